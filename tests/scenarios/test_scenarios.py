"""Every scenario on every driver and volume, for real: one block, no error and no counter off its expectation."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count, product
from typing import TYPE_CHECKING, Any

import pytest

from bench import discovery
from bench.errors import BenchError
from bench.layers.content import Directory, File, HardLink, Link
from bench.measure.compare import make as make_comparisons
from bench.measure.compare import observe_pair, plan_of
from bench.measure.planning import make
from bench.measure.request import PROFILES, Request
from bench.measure.runner import Runner
from bench.model import Cell, Temperature, parse_size
from bench.volumes.xfs import XfsRecipe
from scenarios.copy_up import measure as copy_up
from scenarios.copy_up.reading import FILES
from tests.host.isolated import isolated
from tests.integration.places import BY_HAND, LOOPED, own_volume, require, working, works
from tests.measure.fakes import FOREVER, Quiet
from tests.scenarios.blocks import one_block, small, thinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from bench.drivers.base import Driver, Stack
    from bench.layers.content import Layer
    from bench.model import Sample
    from bench.scenario.contract import Unit

pytestmark = pytest.mark.root
MOUNTED = tuple(name for name in BY_HAND if discovery.driver(name).mounts_layers and works(name, "ext4"))
SCENARIOS = sorted(name for name, one in discovery.scenarios().items() if one.command == "run" and not one.needs_engine)


def profile_of(scenario: str) -> str:
    """Return the least thorough profile that has it."""
    return next(name for name in PROFILES if tuple(discovery.scenario(scenario).grids(name)))


@pytest.mark.slow
@pytest.mark.parametrize("volume", LOOPED)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_runs_without_an_error_or_a_mismatch(scenario: str, volume: str, place: Path) -> None:
    require(volume=volume)
    usual = {name: kind for name, kind in discovery.drivers().items() if kind.profile == "quick"}
    # the profile of these has the usual drivers and others
    asked = {"drivers": (*usual,), "commit": (*usual,), "mounting": MOUNTED}.get(scenario, ())
    plan = small(scenario, volume, *asked, profile=profile_of(scenario))
    if scenario not in plan.cells:
        pytest.skip("; ".join(skip.reason for skip in plan.skips))
    working = {name for name, kind in usual.items() if kind().probe(discovery.volume(volume)).ok}
    two = {"native", "overlay2"}
    seen = {cell.arm.driver for cell in plan.cells[scenario]}
    own = {"limits": {"overlay2"}, "types": {"overlay2"}, "harness": two, "steady": two, "mounting": {*MOUNTED}}
    assert seen == own.get(scenario, working)

    def work() -> None:
        block = one_block(plan, place, thinned)
        assert {sample.arm.driver for sample in block.samples} == seen
        block.check()
        assert block.problems == []

    isolated(work)


OTHERS = [name for name in BY_HAND if discovery.driver(name).profile != "quick"]
EVERY = [name for name in SCENARIOS if name not in {"limits", "harness", "mounting", "types"}]


@pytest.mark.slow
@pytest.mark.parametrize("volume", sorted({own_volume(name) for name in OTHERS}))
def test_every_scenario_runs_on_the_drivers_of_other_profiles(volume: str, place: Path) -> None:
    require(volume=volume)
    drivers = working([name for name in OTHERS if own_volume(name) == volume], volume)
    plan = small(EVERY, volume, *drivers, sizes=(0, 1 << 20))
    wanted = {
        (scenario, name)
        for scenario, name in product(EVERY, drivers)
        if discovery.driver(name).copies_on_write or not discovery.scenario(scenario).changes
    }
    native = {(scenario, "native") for scenario in EVERY}
    planned = {(cell.scenario, cell.arm.driver) for cell in plan.all_cells}
    assert planned == wanted | native

    def work() -> None:
        # native on the volumes of the quick profile is in the test above
        keep_native = volume not in LOOPED
        block = one_block(plan, place, lambda cell: thinned(cell) and (cell.arm.driver in drivers or keep_native))
        seen = {(sample.scenario, sample.arm.driver) for sample in block.samples}
        assert seen == wanted | (native if keep_native else set())
        block.check()
        assert block.problems == []

    isolated(work)


@pytest.mark.parametrize("scenario", [name for name in EVERY if discovery.scenario(name).changes])
def test_a_scenario_that_changes_files_is_refused_where_nothing_copies_on_write(scenario: str) -> None:
    require(volume="ext4", driver="mergerfs")
    with pytest.raises(BenchError, match="mergerfs has no copy-on-write"):
        small(scenario, "ext4", "mergerfs", profile=profile_of(scenario))


def test_every_scenario_runs_on_every_driver_of_btrfs(place: Path) -> None:
    require(volume="btrfs")
    everywhere = [name for name in BY_HAND if works(name, "btrfs")]
    scenarios = ("copy_up", "inodes", "lookup", "whiteouts")
    plan = small(scenarios, "btrfs", *everywhere, depths=(1, 3), profile="standard")

    def work() -> None:
        block = one_block(plan, place, thinned)
        seen = {(sample.scenario, sample.arm.driver) for sample in block.samples}
        assert {*product(scenarios, ("native", "overlay2", "btrfs"))} <= seen
        block.check()

    isolated(work)


OPTIONS = ["metacopy=on", "volatile=on", "redirect_dir=on", "index=on", "xino=on", "nfs_export=on", "via=mount2"]
FSYNC = ["fsync=auto", "fsync=strict", "fsync=volatile", "fsync=strict,metacopy=on"]
TAKEN = ("copy_up", "lookup", "whiteouts")  # the scenarios of which every option may change something


@pytest.mark.parametrize("options", [OPTIONS, FSYNC], ids=["of overlayfs", "fsync"])
def test_every_scenario_runs_with_every_option(options: list[str], place: Path) -> None:
    drivers = working([f"overlay2,{option}" for option in options], "ext4")
    plan = small(TAKEN, "ext4", *drivers, depths=(2,), sizes=(4096,))

    def work() -> None:
        block = one_block(plan, place, thinned)
        seen = {(sample.scenario, sample.arm.name) for sample in block.samples}
        assert {*product(TAKEN, (f"{driver}@ext4" for driver in drivers))} <= seen
        block.check()

    isolated(work)


@pytest.mark.parametrize("volume", ["ext4", "xfs", "xfs-noreflink", "btrfs"])
def test_a_first_write_flushes_as_often_as_its_option_says(volume: str, place: Path) -> None:
    """A strict one also for an empty file and after a clone; a volatile one never."""
    require(volume=volume)
    drivers = working([f"overlay2,{option}" for option in FSYNC], volume)
    plan = small("copy_up", volume, *drivers, depths=(2,), sizes=(0, 4096))
    copies = volume in {"ext4", "xfs-noreflink"}

    def work() -> None:
        block = one_block(plan, place, lambda cell: cell.arm.driver == "overlay2" and cell.temperature == "hot")
        block.check()
        for driver in drivers:
            own = [sample for sample in block.samples if sample.arm.name == f"{driver}@{volume}"]
            seen = {(sample.params["size"], sample.counters["open_flushes"] // 12) for sample in own}
            strict, volatile = "strict" in driver, "volatile" in driver
            assert seen == {(0, int(strict)), (4096, int(strict or (copies and not volatile)))}, driver

    isolated(work)


@pytest.mark.parametrize("scenario", ["copy_up", "lookup", "whiteouts"])
def test_a_deep_stack_runs(scenario: str, place: Path) -> None:
    require(volume="ext4", driver="overlay2")
    plan = small(scenario, "ext4", "overlay2", depths=(500,), sizes=(4096,), profile="full")

    def work() -> None:
        block = one_block(
            plan, place, lambda cell: thinned(cell) and cell.arm.driver == "overlay2" and cell.temperature != "hot"
        )
        if scenario != "copy_up":  # which is hot in all its cells of one size
            assert {sample.depth for sample in block.samples} == {500}
        block.check()

    isolated(work)


def altered(layers: Sequence[Layer], change: Callable[[File], Iterable[File]]) -> list[Layer]:
    """Return the layers with each of their files replaced."""
    return [
        tuple(new for entry in layer for new in (change(entry) if isinstance(entry, File) else (entry,)))
        for layer in layers
    ]


class Sabotage:
    """Makes a driver build something else than it was asked for."""

    def __init__(self, change: Callable[[File], Iterable[File]]) -> None:
        self.change = change

    def apply(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        kind = discovery.driver(name)
        real = kind.build

        def build(driver: Driver, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
            stack = real(driver, home, altered(layers, self.change), depths, seed)
            return replace(stack, layers=layers)

        monkeypatch.setattr(kind, "build", build)


OTHER_CONTENT = Sabotage(lambda file: (replace(file, origin=file.origin + 7),))
LONGER = Sabotage(lambda file: (replace(file, size=file.size + 1),))
FEWER = Sabotage(lambda file: () if file.path.endswith(("-1", "/1", "inside")) else (file,))
# `opener` brings the directory up before, so losing it would fail before what is to be shown.
SABOTAGED = [
    ("copy_up", OTHER_CONTENT, "ProofError: not proven: the image's file is unchanged"),
    ("copy_up", LONGER, "ProofError: not proven: content is the page written"),
    ("copy_up", FEWER, "No such file or directory"),
    ("lookup", FEWER, "ProofError: not proven: "),
    ("whiteouts", FEWER, "No such file or directory"),
]


@pytest.mark.parametrize(("scenario", "sabotage", "error"), SABOTAGED)
def test_drivers_that_built_something_else_give_errors_and_no_samples(
    scenario: str, sabotage: Sabotage, error: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(volume="ext4")
    changes = discovery.scenario(scenario).changes
    able = [name for name in BY_HAND if discovery.driver(name).copies_on_write or not changes]
    drivers = {name for name in able if works(name, "ext4")}
    for driver in drivers:
        sabotage.apply(monkeypatch, driver)
    plan = small(scenario, "ext4", *sorted(drivers - {"native"}), depths=(3,), sizes=(8192,))

    def work() -> None:
        block = one_block(plan, place, lambda cell: cell.temperature != Temperature.COLD and many(cell))
        assert {sample.arm.driver for sample in block.samples} == drivers
        for sample in block.samples:
            assert error in sample.error, sample
            assert not sample.metrics
        assert len(block.problems) == len(block.samples)

    isolated(work)


def many(cell: Cell) -> bool:
    return int(cell.values.get("deletions", 100)) == 100


def test_a_lookup_that_reads_a_lower_layer_is_a_mismatch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(volume="ext4", driver="overlay2")
    OTHER_CONTENT.apply(monkeypatch, "overlay2")
    plan = small("lookup", "ext4", "overlay2", depths=(3,))

    def work() -> None:
        samples = one_block(plan, place, lambda cell: cell.arm.driver == "overlay2").samples
        assert samples
        for sample in samples:
            told = [str(one) for one in sample.mismatches]
            assert told == ["reads_topmost is 0, expected 1 (non-directories do not merge)"]

    isolated(work)


@pytest.mark.parametrize("volume", ["ext4", "xfs"])
def test_an_inode_too_many_is_a_mismatch(volume: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(volume=volume)
    Sabotage(lambda file: (file, replace(file, path=f"{file.path}x")) if file.path.endswith("-1") else (file,)).apply(
        monkeypatch, "vfs"
    )
    plan = small("inodes", volume, "vfs", depths=(1,))

    def work() -> None:
        samples = one_block(plan, place, lambda cell: cell.arm.driver == "vfs").samples
        assert samples
        for sample in samples:
            [wrong] = sample.mismatches
            assert (wrong.counter, wrong.value) == ("inodes", wrong.low + 1)

    isolated(work)


def test_a_stack_built_elsewhere_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = discovery.driver("overlay2")
    real = kind.build
    monkeypatch.setattr(
        kind,
        "build",
        lambda driver, home, layers, depths, seed: real(driver, home.with_name("else"), layers, depths, seed),
    )
    plan = small("inodes", "ext4", "overlay2", depths=(1,))

    def work() -> None:
        samples = one_block(plan, place, lambda cell: cell.arm.driver == "overlay2").samples
        assert samples[0].error == "ProofError: not proven: the stack is on disk"
        assert not samples[0].metrics

    isolated(work)


def test_a_steady_state_on_the_wrong_file_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make(Request(scenarios=("steady",), volumes=("ext4",), drivers=("overlay2",), profile="standard"))
    if "steady" not in plan.cells:
        pytest.skip("; ".join(skip.reason for skip in plan.skips))
    broken = replace(discovery.scenario("steady"), touch=lambda unit: None)  # nothing is copied up
    monkeypatch.setattr(discovery, "scenarios", lambda: {"steady": broken})

    def work() -> None:
        samples = one_block(
            plan,
            place,
            lambda cell: cell.arm.driver == "overlay2" and cell.values == {"state": "upper", "pattern": "randread"},
        ).samples
        assert [sample.error for sample in samples] == ["ProofError: not proven: the file is where the cell says"]

    isolated(work)


def test_a_write_that_did_not_land_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = small("harness", "ext4", "overlay2")

    def work() -> None:
        real = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, b"\xff" * len(data), offset))
        samples = one_block(plan, place, lambda cell: cell.values["clock"] == "python").samples
        assert {sample.error for sample in samples} == {"ProofError: not proven: every file holds what was written"}

    isolated(work)


def test_a_page_that_was_not_written_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = small("copy_up", "ext4", "overlay2", depths=(2,), sizes=(8192,))

    def work() -> None:
        monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: len(data))
        samples = one_block(plan, place).samples
        assert samples
        assert all("content is the page written" in sample.error for sample in samples)

    isolated(work)


def test_what_the_file_system_wrote_by_itself_is_not_counted_as_an_opens(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the log worker of xfs does every 30 s."""
    plan = small("copy_up", "xfs", "overlay2", depths=(2,), sizes=(8192,))
    asked = count()
    monkeypatch.setattr(XfsRecipe, "writebacks", lambda recipe, path: next(asked) // 3)  # other units: every third

    def work() -> None:
        samples = one_block(plan, place).samples
        told = [any("by itself" in proof for proof in sample.proofs) for sample in samples]
        assert sorted(set(told)) == [False, True]
        assert not any(sample.error or sample.mismatches for sample in samples)
        assert [not {"open_bytes", "open_flushes"} & set(sample.counters) for sample in samples] == told

    isolated(work)


def test_whiteouts_that_are_not_there_are_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted below the mount instead of in it: the name is gone and the image has changed."""
    plan = small("whiteouts", "ext4", "overlay2", depths=(3,))
    scenario = discovery.scenario("whiteouts")

    def operate(unit: Unit) -> None:
        image = unit.driver.layer_path(unit.container, 0)
        for name in list((image / "victims").iterdir()):
            name.unlink()
        for _ in scenario.operate(unit) or ():
            pass

    broken = replace(scenario, operate=operate, touch=lambda unit: None)
    monkeypatch.setattr(discovery, "scenarios", lambda: {"whiteouts": broken})

    def work() -> None:
        samples = one_block(plan, place, lambda cell: cell.arm.driver == "overlay2" and many(cell)).samples
        assert samples
        assert all(sample.error for sample in samples)

    isolated(work)


@pytest.mark.parametrize("volume", LOOPED)
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if discovery.scenario(name).compared])
def test_units_in_turns_measure_all_that_single_ones_do(scenario: str, volume: str, place: Path) -> None:
    """Two of one stack, and one of each of two drivers, with every proof and counter of a unit."""
    require(volume=volume)
    known = discovery.scenario(scenario)
    assert known.compared is not None
    comparisons = [
        *make_comparisons(f"overlay2@{volume}", f"overlay2@{volume}", scenarios=(scenario,)),
        *make_comparisons(f"overlay2@{volume}", f"vfs@{volume}", scenarios=(scenario,), first=1),
    ]
    plan = plan_of(comparisons, seed=3, budget=60)
    samples: list[Sample] = []

    def work() -> None:
        size = plan.volumes[volume]
        made = discovery.volume(volume).make(place / volume, place, size=size.bytes, inodes=size.inodes)
        try:
            runner = Runner(plan, {volume: made}, samples.append, Quiet(), FOREVER)
            runner.build()
            for one in comparisons:
                observe_pair(runner, one, known, [one.cell(side, 1) for side in "ab"], 0)
        finally:
            made.close()
        assert len(samples) == 4
        for sample in samples:
            assert (sample.error, sample.mismatches) == ("", ()), sample
            assert sample.metrics[one.metric] > 0
            assert sample.how["operations"]
        assert len({sample.operations[one.metric] for sample in samples}) == 1

    isolated(work)


@pytest.mark.parametrize("apart", [False, True])
def test_before_each_timed_first_write_in_turns_its_own_unit_did_an_untimed_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    """So that it never pays for what the other unit left; a unit by itself needs one, before the first."""
    require(volume="ext4")
    one = make_comparisons("overlay2@ext4", "overlay2,volatile=on@ext4", scenarios=("copy_up",))[0]
    plan = plan_of([one], seed=3, budget=60)
    written: list[tuple[str, bool]] = []
    real = copy_up._first_write

    def noted(unit: Unit, file: File) -> Any:
        written.append((str(unit.params["side"]), file.path.startswith(copy_up.WARMER)))
        return real(unit, file)

    monkeypatch.setattr(copy_up, "_first_write", noted)
    samples: list[Sample] = []

    def work() -> None:
        size = plan.volumes["ext4"]
        volume = discovery.volume("ext4").make(place / "ext4", place, size=size.bytes, inodes=size.inodes)
        try:
            runner = Runner(plan, {"ext4": volume}, samples.append, Quiet(), FOREVER)
            runner.build()
            both = [one.cell(side, 1) for side in "ab"]
            observe_pair(runner, replace(one, apart=apart), discovery.scenario("copy_up"), both, 0)
        finally:
            volume.close()
        assert [sample.error for sample in samples] == ["", ""]
        assert {sample.operations["first_write"] for sample in samples} == {FILES}
        if apart:
            timed = [(side, False) for side in "ab" for _ in range(FILES)]
            assert written == [("a", True), *timed[:FILES], ("b", True), *timed[FILES:]]
            return
        turns = list(zip(written[::2], written[1::2], strict=True))
        assert all(untimed == (side, True) for untimed, (side, _) in turns)
        assert sorted(timed for _, timed in turns) == [(side, False) for side in "ab" for _ in range(FILES)]
        assert turns[0] != turns[1], "they alternate"

    isolated(work)


def test_a_comparison_looks_up_only_what_it_judges(place: Path) -> None:
    require(volume="ext4")
    plan = small("lookup", "ext4", "overlay2", depths=(3,))
    samples: list[Sample] = []

    def work() -> None:
        volume = discovery.volume("ext4").make(place / "ext4", place, size=192 << 20, inodes=2000)
        try:
            runner = Runner(plan, {"ext4": volume}, samples.append, Quiet(), FOREVER)
            runner.build()
            cell = next(cell for cell in plan.cells["lookup"] if cell.arm.driver == "overlay2")
            for judged in ("miss", "nested", "", "first"):
                runner.observe(discovery.scenario("lookup"), cell, 0, judged)
            told = [set(sample.metrics) for sample in samples]
            assert told[:2] == [{"first", "miss"}, {"first", "nested"}]
            assert told[2] == {metric.name for metric in discovery.readings()["lookup"].metrics}
            assert set(told[3]) == {"first"}
            assert [sample.error for sample in samples] == [""] * 4
            assert samples[0].operations["miss"] == 4 * samples[2].operations["miss"]
        finally:
            volume.close()

    isolated(work)


@pytest.mark.parametrize("name", ["overlay2", "overlay", "fuse-overlayfs", "unionfs-fuse"])
def test_layers_that_fill_their_volume_end_the_run_and_a_copy_up_without_room_leaves_nothing(
    name: str, place: Path
) -> None:
    require(volume="ext4", driver=name)
    plan = small("copy_up", "ext4", name, depths=(1,), sizes=(parse_size("16MiB"),))
    samples: list[Sample] = []

    def work() -> None:
        volume = discovery.volume("ext4").make(place / "ext4", place, size=192 << 20, inodes=2000)
        try:
            runner = Runner(plan, {"ext4": volume}, samples.append, Quiet(), FOREVER)
            runner.build()
            state = os.statvfs(volume.path)  # root may also write the blocks reserved for root
            (volume.path / "filler").write_bytes(bytes(state.f_bfree * state.f_frsize - (10 << 20)))
            volume.sync()
            [cell] = [
                cell
                for cell in plan.cells["copy_up"]
                if cell.arm.driver == name and cell.temperature == "hot" and cell.values["position"] == "bottom"
            ]
            with pytest.raises(BenchError, match="volume ext4 cannot be written any more: No space left on device"):
                runner.observe(discovery.scenario("copy_up"), cell, 0)
            [sample] = samples
            if name == "unionfs-fuse":  # it leaves a part of the file in its place
                assert sample.error == "ProofError: not proven: without room the file has the image's size"
                return
            assert "No space left on device" in sample.error
            assert {
                "without room the file has the image's size",
                "without room upper has nothing of the file",
                "without room the work directory is empty",
            } <= set(sample.proofs)
        finally:
            volume.close()

    isolated(work)


def test_a_stack_that_does_not_fit_its_volume_is_one_error(place: Path) -> None:
    require(volume="ext4")
    plan = small("copy_up", "ext4", "overlay2", depths=(1,), sizes=(parse_size("128MiB"),))

    def work() -> None:
        volume = discovery.volume("ext4").make(place / "ext4", place, size=160 << 20, inodes=2000)
        try:
            runner = Runner(plan, {"ext4": volume}, lambda sample: None, Quiet(), FOREVER)
            with pytest.raises(BenchError, match=r"building copy_up for .*@ext4 failed: No space left on device"):
                runner.build()
        finally:
            volume.close()

    isolated(work)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_image_is_a_prefix_of_one_chain(scenario: str) -> None:
    """Content follows from the layer's number alone: parents come first, and no two kinds share a path."""
    item = discovery.scenario(scenario)
    for grid in item.grids("quick"):
        params = {name: values[0] for name, values in grid.params.items()}
        kinds: dict[str, type] = {}
        for index in range(4):
            layer = item.layer(index, params)
            assert list(layer) == list(item.layer(index, dict(params)))
            paths = [entry.path for entry in layer]
            for number, entry in enumerate(layer):
                parent = entry.path.rpartition("/")[0]
                assert not parent or parent in paths[:number]
                assert kinds.setdefault(entry.path, type(entry)) is type(entry)
                assert isinstance(entry, File | Directory | Link | HardLink)
