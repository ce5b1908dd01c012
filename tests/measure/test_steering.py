"""What a run spends its time on: three blocks of all cells, then what headline figures still need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.errors import BenchError
from bench.measure import session
from bench.measure.planning import make
from bench.measure.request import Request, parse_precision
from bench.measure.schedule import LEAST_BLOCKS, Gain, NextBlock, Schedule
from bench.measure.steering import LEAST_UNITS, OTHERS_EVERY, Steering
from bench.model import Cell, Sample
from tests.builders import make_sample, write_run

if TYPE_CHECKING:
    from pathlib import Path

LATER = NextBlock("lookup", LEAST_UNITS, False)
LOOKUP = Request(scenarios=("lookup",), volumes=("ext4",), drivers=("overlay2",))


def rows(cells: list[Cell], blocks: int, spread: float) -> list[Sample]:
    """Units of these cells, whose times scatter by so much around a line over the depth."""
    random = np.random.default_rng(1)
    samples: list[Sample] = []
    for block in range(blocks):
        for cell in cells:
            factor = random.lognormal(0, spread)
            samples.append(
                make_sample(
                    len(samples),
                    cell.arm.name,
                    block=block,
                    scenario=cell.scenario,
                    depth=cell.depth,
                    temperature=cell.temperature,
                    params=dict(cell.params),
                    metrics={"bottom": (1000 + 100 * cell.depth) * factor},
                )
            )
    return samples


def steering(
    path: Path, spread: float, request: Request = LOOKUP, blocks: int = LEAST_UNITS
) -> tuple[Steering, list[Cell]]:
    plan = make(request)
    cells = list(plan.cells["lookup"])
    write_run(path, rows(cells, blocks, spread))
    made = Steering(plan, path)
    made.look("lookup", blocks)
    return made, cells


def test_the_first_blocks_have_all_cells(tmp_path: Path) -> None:
    made, cells = steering(tmp_path / "run", 0.001)
    assert all(made.cells(NextBlock("lookup", block, True)) == cells for block in range(LEAST_BLOCKS))


def test_what_is_precise_enough_rests(tmp_path: Path) -> None:
    made, _ = steering(tmp_path / "run", 0.001)
    assert made.cells(LATER) == []
    assert made.gains({"lookup": LEAST_UNITS}) == {"lookup": Gain(0, 1)}
    assert made.words == "3 of 3 figures within 5 %"


def test_few_units_that_agree_by_chance_are_not_enough(tmp_path: Path) -> None:
    made, _ = steering(tmp_path / "run", 0.001, blocks=LEAST_BLOCKS)
    assert made.words == "0 of 3 figures within 5 %"


def test_what_may_not_be_measured_again_is_not_waited_for(tmp_path: Path) -> None:
    plan = make(Request(scenarios=("inodes",), volumes=("ext4",), drivers=("overlay2",)))
    write_run(tmp_path / "run", [])
    made = Steering(plan, tmp_path / "run")
    most = max(cell.max_blocks or 0 for cell in plan.cells["inodes"])
    assert [made.gains({"inodes": blocks})["inodes"] != Gain(0) for blocks in (most - 1, most)] == [True, False]


def test_what_is_not_is_measured_again_with_all_that_it_needs(tmp_path: Path) -> None:
    made, cells = steering(tmp_path / "run", 0.3)
    assert made.words == "0 of 3 figures within 5 %"
    wanted = made.cells(LATER)
    assert {cell.arm.name for cell in wanted} == {"overlay2@ext4", "native@ext4"}
    assert [cell for cell in wanted if cell.arm.name == "native@ext4"] == [
        cell for cell in cells if (cell.arm.name, cell.depth, cell.temperature) == ("native@ext4", 32, "hot")
    ]
    gains = made.gains({"lookup": LEAST_UNITS})
    assert gains["lookup"] is not None
    assert gains["lookup"].fall > 0


def test_cells_of_precise_figures_stay_until_the_last_one_rests(tmp_path: Path) -> None:
    """A unit's neighbours are part of its conditions."""
    made, cells = steering(tmp_path / "run", 0.001)
    every = [cell for cell in cells if any(cell in needed for needed in made.needs.values())]
    keys = [key for key in made.needs if key[1] == "lookup_layer_new"]
    made.figures["lookup"] = [figure for figure in made.figures["lookup"] if figure.headline.key != keys[0][1]]
    assert made.words == "2 of 3 figures within 5 %"
    assert {cell.temperature for cell in every} == {"hot", "new container", "cold"}
    assert made.cells(LATER) == every


def test_a_figure_that_cannot_be_made_is_not_waited_for(tmp_path: Path) -> None:
    """Two depths are no slope."""
    request = Request(scenarios=("lookup",), volumes=("ext4",), drivers=("overlay2",), depths=(1, 32))
    made, _ = steering(tmp_path / "run", 0.001, request)
    assert made.words == "1 of 1 figures within 5 %"
    assert made.cells(LATER) == []


def test_cells_without_any_figure_take_all_the_time(tmp_path: Path) -> None:
    request = Request(scenarios=("lookup",), volumes=("ext4",), drivers=("overlay2",), depths=(1, 2))
    made, cells = steering(tmp_path / "run", 0.001, request)
    assert made.gains({"lookup": LEAST_UNITS}) == {"lookup": None}
    assert Schedule(made.plan.cells, {"lookup": 1.0}, {"lookup": LEAST_UNITS}, last={"lookup": 1.0}).next(
        9.0, {"lookup": None}
    ) == NextBlock("lookup", LEAST_UNITS, True)
    assert cells


def test_others_than_overlay2_matter_if_they_are_named(tmp_path: Path) -> None:
    request = Request(scenarios=("lookup",), volumes=("ext4",), drivers=("fuse-overlayfs",))
    made, _ = steering(tmp_path / "run", 0.3, request)
    assert {arm.driver for _, _, arm in made.needs} == {"fuse-overlayfs"}
    made, _ = steering(tmp_path / "other", 0.3, Request(scenarios=("lookup",), volumes=("ext4",)))
    assert {arm.driver for _, _, arm in made.needs} == {"overlay2"}


@pytest.mark.parametrize(("named", "first"), [((), {"ext4", "xfs"}), (("btrfs", "ext4"), {"btrfs", "ext4"})])
def test_ext4_and_xfs_come_first_unless_volumes_are_named(
    named: tuple[str, ...], first: set[str], tmp_path: Path
) -> None:
    """The others have one block of four, and what is left of the time when the first rest."""
    plan = make(Request("standard", scenarios=("lookup",), volumes=("ext4", "xfs", "btrfs"), drivers=("overlay2",)))
    plan.request = replace(plan.request, volumes=named)
    run = tmp_path / "run"
    write_run(run, rows(list(plan.cells["lookup"]), LEAST_UNITS, 0.3))
    made = Steering(plan, run)
    made.look("lookup", LEAST_UNITS)
    later = [NextBlock("lookup", LEAST_UNITS + number, False) for number in range(OTHERS_EVERY)]
    volumes = [frozenset(cell.arm.volume for cell in made.cells(block)) for block in later]
    assert volumes == [first] * (OTHERS_EVERY - 1) + [{"ext4", "xfs", "btrfs"}]
    made.figures["lookup"] = [
        replace(figure, precision=0.001) if figure.arm.volume in first else figure for figure in made.figures["lookup"]
    ]
    assert {cell.arm.volume for cell in made.cells(LATER)} == {"ext4", "xfs", "btrfs"} - first


def test_a_slope_needs_no_cell_beyond_its_line(tmp_path: Path) -> None:
    plan = make(Request("full", scenarios=("whiteouts",), volumes=("ext4",), drivers=("overlay2",)))
    write_run(tmp_path / "run", [])
    needs = Steering(plan, tmp_path / "run").needs
    [slope] = [cells for key, cells in needs.items() if key[1] == "whiteout_listing"]
    assert {cell.values["deletions"] for cell in slope} == {1, 10, 100, 1000}
    assert max(int(cell.values["deletions"]) for cell in plan.cells["whiteouts"]) > 1000


def test_a_figure_whose_cells_have_had_their_blocks_is_not_waited_for(tmp_path: Path) -> None:
    plan = make(Request("standard", scenarios=("copy_up",), volumes=("ext4",), drivers=("overlay2",)))
    most, large = 30, 16 << 20
    plan.cells["copy_up"] = [
        replace(cell, max_blocks=most) if cell.values["size"] == large else cell for cell in plan.cells["copy_up"]
    ]
    write_run(tmp_path / "run", [])
    made = Steering(plan, tmp_path / "run")
    before, after = (made.gains({"copy_up": blocks})["copy_up"] for blocks in (most - 1, most))
    assert before is not None
    assert after is not None
    assert after.fall > 0, "other figures are"
    assert before.fall * (most - 1) == pytest.approx(after.fall * most + 1)


def chosen(gains: dict[str, float | None], blocks: int, last: dict[str, float], share: float = 1.0) -> str | None:
    plan = make(LOOKUP)
    schedule = Schedule(dict.fromkeys(gains, plan.cells["lookup"]), dict.fromkeys(gains, 0.5))
    for number in range(blocks):
        for name in gains:
            schedule.ran(NextBlock(name, number, True), last[name])
    following = schedule.next(
        100.0, {name: None if gain is None else Gain(gain, share) for name, gain in gains.items()}
    )
    return following.scenario if following else None


def test_next_is_what_gains_most_in_a_second() -> None:
    assert chosen({"a": 0.1, "b": 0.2}, LEAST_BLOCKS, {"a": 1.0, "b": 1.5}) == "b"
    assert chosen({"a": 0.1, "b": 0.2}, LEAST_BLOCKS, {"a": 1.0, "b": 3.0}) == "a"
    assert chosen({"a": 0.0, "b": None}, LEAST_BLOCKS, {"a": 1.0, "b": 3.0}) == "b"
    assert chosen({"a": 0.0, "b": 0.0}, LEAST_BLOCKS, {"a": 1.0, "b": 3.0}) is None
    assert chosen({"a": 0.0, "b": 0.0}, LEAST_BLOCKS - 1, {"a": 1.0, "b": 3.0}) is not None


def test_a_block_of_few_cells_is_as_cheap_as_these() -> None:
    """A scenario whose whole block takes long comes to its figures by a block of their cells."""
    whole = {"a": 10.0, "b": 26.0}
    assert chosen({"a": 0.0, "b": 0.1}, 1, {"a": 90.0, "b": 90.0}) is None
    assert chosen({"a": 0.0, "b": 0.1}, 1, {"a": 90.0, "b": 90.0}, share=0.1) == "b"
    plan = make(LOOKUP)
    schedule = Schedule(dict.fromkeys(whole, plan.cells["lookup"]), dict.fromkeys(whole, 0.5))
    for name, seconds in whole.items():
        schedule.ran(NextBlock(name, 0, True), seconds)
    schedule.ran(NextBlock("a", 1, True), 10.0)
    schedule.ran(NextBlock("a", 2, True), 10.0)
    assert schedule.next(90.0, {"a": Gain(0.01), "b": Gain(0.2)}) == NextBlock("b", 1, False)


def test_figures_and_the_blocks_of_all_cells_share_the_time() -> None:
    """`b` has no figures: its blocks come when those of `a` have had as much time."""
    plan = make(LOOKUP)
    schedule = Schedule(dict.fromkeys("ab", plan.cells["lookup"]), dict.fromkeys("ab", 0.5))
    gains, seconds, order = {"a": Gain(0.1), "b": None}, {"a": 12.0, "b": 20.0}, []
    while len(schedule.whole.get("b", ())) < LEAST_BLOCKS:
        block = schedule.next(23.5, gains)
        assert block is not None
        order.append(block)
        schedule.ran(block, seconds[block.scenario])
        assert abs(schedule.figured - schedule.spared) <= sum(seconds.values())
    assert order[0] == NextBlock("a", 0, True), "figures can be made of it"
    assert order[1] == NextBlock("a", 1, False)
    assert order[2] == NextBlock("b", 0, True, spare=True)
    assert [block for block in order if block.scenario == "b"] == [
        NextBlock("b", number, True, spare=True) for number in range(LEAST_BLOCKS)
    ]
    assert Schedule(
        dict.fromkeys("ab", plan.cells["lookup"]), dict.fromkeys("ab", 0.5), {"a": 1}, whole={"a": [12.0]}
    ).next(1000.0, gains) == NextBlock("b", 0, True, spare=True), "there is time for all"


def test_first_blocks_that_would_take_the_time_of_others_wait_for_their_gain() -> None:
    assert chosen({"a": 0.1, "b": 0.1}, LEAST_BLOCKS - 1, {"a": 1.0, "b": 26.0}) == "a"
    assert chosen({"a": 0.1, "b": 0.1}, LEAST_BLOCKS - 1, {"a": 26.0, "b": 26.0}) == "a"
    assert chosen({"a": 0.0, "b": None}, LEAST_BLOCKS - 1, {"a": 26.0, "b": 26.0}) == "b"


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), (" 2.5 %", 0.025)])
def test_a_precision_is_a_share(text: str, share: float) -> None:
    assert parse_precision(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("arguments", "precision"),
    [((), 0.05), (("--profile", "standard"), 0.02), (("--profile", "full", "--precision", "4%"), 0.04)],
)
def test_the_profile_sets_the_precision_unless_it_is_asked_for(
    arguments: tuple[str, ...], precision: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Request] = []

    def execute(request: Request, context: object) -> None:
        asked.append(request)
        raise BenchError("that is enough")

    monkeypatch.setattr(session, "execute", execute)
    done = CliRunner().invoke(cli, ["run", *arguments, "--results", str(tmp_path)])
    assert isinstance(done.exception, BenchError | SystemExit)
    assert [request.precision for request in asked] == [precision]
