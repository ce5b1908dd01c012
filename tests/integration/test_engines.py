"""Private engines for real: their containers, their layout beside ours, their bad days; and nothing is left."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.containers.choice import Choice
from bench.containers.stacks import Stacks
from bench.doctor import socket_storage
from bench.drivers import btrfs
from bench.drivers.engine import EngineDriver, EngineStack
from bench.engines import base
from bench.engines.docker import Docker
from bench.errors import BenchError
from bench.layers.content import Directory, File
from bench.measure import compare
from bench.measure.planning import make
from bench.measure.request import Request
from bench.measure.runner import Runner
from bench.model import WITHOUT_TYPES
from bench.reading.analysis import Analysis
from bench.reading.claims import Outcome
from bench.store.reader import load
from scenarios.layout.reading import MOST
from tests.builders import write_run
from tests.host.isolated import isolated
from tests.integration.places import ENGINES, made, own_volume, require
from tests.integration.traces import Traces, left
from tests.measure.fakes import Quiet
from tests.scenarios.blocks import one_block, small, thinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.drivers.base import Stack
    from bench.model import Sample
    from bench.volumes.base import LoopVolume

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.xdist_group("engines")]
LAYERS = [(Directory("d"), File(f"d/{index}", 4096), File("d/common", 10, origin=index)) for index in range(3)]
ROOM = 700 << 20


def analysed(place: Path, samples: list[Sample]) -> Analysis:
    """Return what the rows of these samples say."""
    return Analysis(load(write_run(place / "run", samples)), discovery.readings())


@contextmanager
def built(name: str, volume: LoopVolume) -> Iterator[tuple[EngineDriver, Stack]]:
    driver = discovery.driver(name)()
    assert isinstance(driver, EngineDriver)
    stack = driver.build(volume.path / "home", LAYERS, (1, 3), 1)
    try:
        yield driver, stack
    finally:
        driver.close(stack)


@pytest.mark.parametrize("name", ENGINES)
def test_its_containers_cost_what_is_measured_without_an_error(name: str, place: Path) -> None:
    volume = own_volume(name)
    require(volume=volume, driver=name)
    plan = small("drivers", volume, name, depths=(3,), profile="standard")
    for cells in plan.cells.values():
        cells[:] = [cell for cell in cells if cell.depth == 3]

    def work() -> None:
        block = one_block(plan, place, lambda cell: cell.depth == 3)
        assert {sample.arm.driver for sample in block.samples} == {"native", name}
        block.check()
        mine = next(sample for sample in block.samples if sample.arm.driver == name)
        assert mine.metrics["mount"] > 1e6  # a process was started
        engine, _, version = mine.how["mount"].partition(" ")
        assert (engine, version.count(".")) == (name.partition("/")[0], 2)
        told = list(discovery.readings()["drivers"].tables(analysed(place, block.samples)))
        assert told[0].title == "Every driver, times a plain directory"
        assert [row[0] for row in told[0].rows] == [f"{name}@{volume}"]
        assert told[1].title == "An engine's container, times the one that is built by hand"
        row = told[1].rows[0]
        assert row[0] == f"{name}@{volume}"
        assert all(0.01 < float(cell.split("×")[0]) < 100 for cell in row[1:5])
        assert told[2].title == "Two stacks that are both built by hand, times each other"
        control, last = told[2].rows
        assert control[0] == f"{name}@{volume}"
        assert all(0.01 < float(cell.split("×")[0]) < 100 for cell in control[1:])
        assert last[1:] == ("too few to tell",) * 4

    isolated(work)


OTHERS = [
    *(
        ("docker/overlay2", scenario)
        for scenario in ("copy_up", "lookup", "whiteouts", "differences", "commit", "inodes")
    ),
    *((name, "commit") for name in ("podman/overlay", "containerd/overlayfs")),
]


@pytest.mark.parametrize(("name", "scenario"), OTHERS)
def test_the_other_scenarios_run_on_it_too(name: str, scenario: str, place: Path) -> None:
    require(volume="ext4", driver=name)
    if not discovery.scenario(scenario).engines:
        with pytest.raises(BenchError, match="its own files lie beside its layers"):
            small(scenario, "ext4", name)
        return
    profile = "standard" if scenario == "commit" else "quick"
    plan = small(scenario, "ext4", name, depths=(3,), sizes=(4096,), profile=profile)

    def work() -> None:
        block = one_block(plan, place, lambda cell: thinned(cell) and int(cell.values.get("deletions", 0)) <= 100)
        assert {sample.temperature for sample in block.samples if sample.arm.driver != "native"} <= {
            "hot",
            "new container",
        }
        block.check()

    isolated(work)


CONFORMANCE = [
    ("docker/overlay2", (1, 2, 5, 72, 125)),
    *((f"docker/{name}", (1, 5)) for name in ("overlay", "vfs", "btrfs")),
]


@pytest.mark.parametrize(("name", "depths"), CONFORMANCE)
def test_what_is_built_by_hand_is_what_docker_builds(name: str, depths: tuple[int, ...], place: Path) -> None:
    volume = own_volume(name)
    require(volume=volume, driver=name)
    wanted = Request("standard", scenarios=("layout",), drivers=(name,), volumes=(volume,), depths=depths)
    plan = make(wanted)

    def work() -> None:
        block = one_block(plan, place, lambda cell: True)
        assert {sample.depth for sample in block.samples} == set(depths)
        block.check()
        analysis = analysed(place, block.samples)
        table, costs = discovery.readings()["layout"].tables(analysis)
        assert table.rows == ((f"{name}@{volume}", *(4 * (f"{len(depths)} of {len(depths)}",))),)
        assert [row[:3] for row in costs.rows] == [(f"{name}@{volume}", f"{depth}", "3") for depth in depths]
        assert all(float(row[5].split("×")[0]) > 0 for row in costs.rows)
        if MOST in depths:
            [limit] = discovery.readings()["layout"].claims["C3"](analysis)
            assert "loaded an image of 125 layers and refused one of 126" in limit.evidence
            [held] = discovery.readings()["layout"].claims["C4"](analysis)
            assert "link 125, lower 124, diff 125, work 124, merged 0, committed 124" in held.evidence
            assert held.evidence.endswith("absolute at 1, absolute at 5, relative at 72, relative at 125")
        for sample in block.samples:
            assert sample.counters["different_at_rest"] == 0
            assert sample.counters.get("different_numbers") == (0 if name == "docker/btrfs" else None)
            if sample.depth == MOST:
                assert sample.counters["refuses_126"] == 1
            if name == "docker/overlay2":
                assert sample.counters["layers_with_lower"] == sample.depth - 1
                assert sample.counters["relative_lower"] == (sample.depth >= 72)

    isolated(work)


def test_other_inode_numbers_on_btrfs_are_a_mismatch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(volume="btrfs", driver="docker/btrfs")
    monkeypatch.setattr(btrfs, "_unpacking", nullcontext)
    plan = make(Request("standard", scenarios=("layout",), drivers=("docker/btrfs",), volumes=("btrfs",), depths=(2,)))

    def work() -> None:
        [sample] = one_block(plan, place, lambda cell: True).samples
        assert sample.counters["different_at_rest"] == 0
        assert sample.counters["different_numbers"] > 0
        assert "again: theirs inode 259, ours inode 257" in sample.mismatches[0].why

    isolated(work)


def test_a_difference_of_layout_is_a_mismatch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(volume="ext4", driver="docker/overlay2")
    kind = discovery.driver("overlay2")
    real = kind.build

    def build(*arguments: object) -> Stack:
        stack = real(*arguments)  # type: ignore[arg-type]
        (stack.home / stack.ids[0] / "committed").chmod(0o644)
        return stack

    monkeypatch.setattr(kind, "build", build)
    plan = make(
        Request("standard", scenarios=("layout",), drivers=("docker/overlay2",), volumes=("ext4",), depths=(2,))
    )

    def work() -> None:
        [sample] = one_block(plan, place, lambda cell: True).samples
        assert sample.counters["different_at_rest"] == 1
        assert "layer 0/committed: theirs -rw------- 0:0 '', ours -rw-r--r-- 0:0 ''" in sample.mismatches[0].why

    isolated(work)


def test_docker_chooses_and_refuses_drivers_by_file_system(place: Path) -> None:
    require(volume="ext4", driver="docker/vfs")
    plan = make(Request("standard", scenarios=("choice",), drivers=("docker/vfs",), volumes=("ext4",)))

    def work() -> None:
        block = one_block(plan, place, lambda cell: True)
        block.check()
        sample, without = sorted(block.samples, key=lambda sample: sample.params["types"] == WITHOUT_TYPES)
        assert sample.counters["chooses_overlay2"] == 1
        assert (sample.counters["runs_overlay2"], sample.counters["runs_btrfs"]) == (1, 0)
        assert (sample.counters["deprecates_overlay2"], sample.counters["deprecates_overlay"]) == (0, 1)
        assert any("btrfs: refused: failed to start daemon" in proof for proof in sample.proofs)
        analysis = analysed(place, block.samples)
        [default] = discovery.readings()["choice"].claims["C1"](analysis)
        assert default.outcome is Outcome.CONFIRMED
        assert (
            "on a fresh ext4 dockerd took overlay2 by itself; it called deprecated: aufs, overlay, devicemapper"
            in default.evidence
        )
        backing, untyped = discovery.readings()["choice"].claims["C2"](analysis)
        assert backing.evidence == "on ext4 dockerd started with overlay2, fuse-overlayfs, overlay, vfs"
        assert any("without d_type support" in proof for proof in without.proofs)
        assert untyped.outcome is Outcome.CONFIRMED
        assert untyped.evidence.startswith("on ext4 without types in listings dockerd refused overlay2; it took ")
        [table] = discovery.readings()["choice"].tables(analysis)
        assert [row[0] for row in table.rows] == ["ext4", "ext4 without types in listings"]
        assert table.rows[0][1] == "overlay2"

    isolated(work)


def test_a_test_runner_gets_none(tmp_path: Path) -> None:
    require(volume="ext4", driver="docker/overlay2")
    stacks = Stacks(tmp_path, tmp_path)
    with pytest.raises(BenchError, match="no docker/overlay2@ext4 in tests: a test runner that is killed"):
        stacks.prepare(Choice("docker/overlay2", "ext4", 1))


def test_it_is_compared_like_any_driver_but_not_cold() -> None:
    require(volume="ext4", driver="docker/overlay2")
    [one] = compare.make("overlay2@ext4", "docker/overlay2@ext4", scenarios=("lookup",))
    plan = compare.plan_of([one], seed=1, budget=60)
    assert set(plan.volumes) == {"ext4", "docker/overlay2@ext4"}
    with pytest.raises(BenchError, match="docker/overlay2@ext4 cannot run here: no cold cells: the engine holds files"):
        compare.make("overlay2@ext4", "docker/overlay2@ext4,temperature=cold", scenarios=("lookup",))


def test_a_budget_that_building_takes_is_told(place: Path) -> None:
    require(volume="ext4")
    require(volume="ext4", driver="docker/overlay2")
    plan = small("lookup", "ext4", "docker/overlay2", depths=(3,))

    def work() -> None:
        with made("ext4", place) as volume:
            samples: list[Sample] = []
            runner = Runner(plan, dict.fromkeys(plan.volumes, volume), samples.append, Quiet(), time.monotonic() - 1)
            with pytest.raises(BenchError, match="time was over after building 1 of 2 stacks; give a larger --budget"):
                runner.build()

    isolated(work)


def test_a_daemon_that_does_not_start_is_told_with_its_last_words(place: Path) -> None:
    require(volume="ext4", driver="docker/overlay2")

    def work() -> None:
        with made("ext4", place, size=ROOM) as volume:
            (volume.path / "home").mkdir()
            engine = Docker(volume.path / "home", "btrfs")
            with pytest.raises(BenchError, match=r"dockerd has ended .*prerequisites for driver not satisfied"):
                engine.start()
            assert engine.containerd is not None
            assert engine.containerd.process.poll() is not None, "it would outlive the dockerd that it was started for"

    isolated(work)


def test_an_engine_named_by_its_socket_tells_how_it_stores(place: Path) -> None:
    require(volume="ext4", driver="docker/overlay2")

    def work() -> None:
        with made("ext4", place, size=ROOM) as volume:
            (volume.path / "home").mkdir()
            engine = Docker(volume.path / "home", "overlay2")
            engine.start()
            try:
                told = socket_storage(engine.socket).reason
            finally:
                engine.stop()
            assert "driver overlay2 on extfs; root " in told
            assert str(volume.path / "home") in told

    isolated(work)


def test_a_daemon_that_dies_is_told_and_the_next_unit_fails_alike(place: Path) -> None:
    require(volume="ext4", driver="docker/overlay2")

    def work() -> None:
        with made("ext4", place, size=ROOM) as volume, built("docker/overlay2", volume) as (driver, stack):
            container = driver.create_read_write(stack, 3)
            assert isinstance(stack, EngineStack)
            assert stack.engine is not None
            assert stack.engine.daemon is not None
            os.kill(stack.engine.daemon.process.pid, signal.SIGKILL)
            stack.engine.daemon.process.wait()
            with pytest.raises(BenchError, match=r"dockerd has ended \(status -9\)"), driver.mount(container):
                pass

    isolated(work)


def test_a_version_whose_files_are_not_known_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(volume="ext4", driver="docker/overlay2")
    monkeypatch.setattr(Docker, "versions", ("19.03.",))

    def work() -> None:
        with made("ext4", place, size=ROOM) as volume:
            (volume.path / "home").mkdir()
            engine = Docker(volume.path / "home", "overlay2")
            with pytest.raises(BenchError, match=r"docker 20\.10\.\S+ is not known here: .* leave docker/overlay2 out"):
                engine.start()
            engine.stop()

    isolated(work)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: content[: len(content) // 2], "unexpected EOF"),
        (lambda content: content[: (at := content.index(b'"sha256:') + 8)] + b"0000" + content[at + 4 :], "diffID"),
    ],
    ids=["truncated", "wrong digest"],
)
def test_an_archive_that_is_damaged_is_refused(
    spoil: object, words: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(volume="ext4", driver="docker/overlay2")
    real = Docker.load

    def load(self: Docker, archive: Path) -> None:
        archive.write_bytes(spoil(archive.read_bytes()))  # type: ignore[operator]
        real(self, archive)

    monkeypatch.setattr(Docker, "load", load)

    def work() -> None:
        with (
            made("ext4", place, size=ROOM) as volume,
            pytest.raises(BenchError, match=f"docker refused to load the image: .*{words}"),
            built("docker/overlay2", volume),
        ):
            pass

    isolated(work)


def test_outside_of_a_namespace_of_ours_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="docker is not started here: this is the host's own mount namespace"):
        Docker(tmp_path, "overlay2").start()


def test_an_absent_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_program", lambda name: None if name == "runc" else "/bin/true")
    support = Docker.probe()
    assert (support.ok, support.reason, support.fix) == (
        False,
        "the program runc is not installed",
        "apt-get install runc",
    )


def test_a_busybox_that_needs_libraries_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamic = tmp_path / "busybox"
    dynamic.write_bytes(b"\x7fELF" + bytes(100) + b"/lib64/ld-linux-x86-64.so.2\0")
    monkeypatch.setattr(base, "find_program", lambda name: str(dynamic))
    assert base.static_busybox().reason == f"{dynamic} is no static program"


def test_more_layers_than_it_takes_are_refused_before_anything_is_made() -> None:
    require(volume="ext4", driver="docker/overlay2")
    with pytest.raises(BenchError, match="docker/overlay2 takes at most 125 layers: depth 126 was asked for"):
        make(Request(drivers=("docker/overlay2",), volumes=("ext4",), depths=(126,)))


def test_nothing_is_left_of_it(place: Path) -> None:
    require(volume="ext4", driver="docker/overlay2")
    (place / "ext4").mkdir()
    before = Traces.of(place, "none")

    def work() -> None:
        with made("ext4", place, size=ROOM) as volume, built("docker/overlay2", volume) as (driver, stack):
            container = driver.create_read_write(stack, 3)
            with driver.mount(container) as merged:
                assert (merged / "d" / "common").exists()
            # the container is not removed, and its process is ended by nobody

    isolated(work)
    assert not left(place, "none", before)
    assert not Path("/run/layer-bench").exists()
