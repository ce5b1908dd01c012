"""Units in turns: all mounted before the first operation, alternating, and both lost where one fails."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError
from bench.model import TURNS, Cell, Temperature
from tests.measure.fakes import Log, make_cell, make_runner, recording_scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.scenario.contract import Unit

CELLS = [make_cell(Temperature.HOT, driver=driver) for driver in ("recorded", "native")]


@pytest.fixture
def log() -> Log:
    return []


def stepping(log: Log, *numbers: int) -> Callable[[Unit], Iterator[None]]:
    """Return operations of so many steps each that log `<place of the unit>:<step>`."""

    def operate(unit: Unit) -> Iterator[None]:
        times = []
        for step in range(numbers[unit.place[0]]):
            log.append(f"{unit.place[0]}:{step}")
            times.append(float(step))
            yield
        unit.record("time", times)

    return operate


def test_both_are_mounted_before_the_first_operation_and_until_the_last_proof(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, samples, _ = make_runner(monkeypatch, log, CELLS)
    scenario = recording_scenario(log, operate=stepping(log, 2, 2))
    told = runner.observe_together(scenario, CELLS, 3)
    assert log == [
        *("create c0", "before", "create c1", "before"),
        *("mount c0", "touch c0", "sync", "mount c1", "touch c1", "sync"),
        *("0:0", "1:0", "1:1", "0:1", "prove", "prove"),
        *("unmount c1", "unmount c0", "after", "after", "remove c1", "remove c0"),
    ]
    assert list(told) == samples
    assert [row.arm.driver for row in samples] == ["recorded", "native"]
    assert [(row.sequence, row.block, row.error, row.metrics) for row in samples] == [
        (0, 3, "", {"time": 0.5}),
        (1, 3, "", {"time": 0.5}),
    ]
    assert [row.how["operations"] for row in samples] == [TURNS, TURNS]
    assert samples[0].pace == samples[1].pace
    assert (runner.units, runner.sequence) == (2, 2)


def test_who_goes_first_cancels_a_drift_that_changes(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, _, _ = make_runner(monkeypatch, log, CELLS)
    runner.observe_together(recording_scenario(log, operate=stepping(log, 8, 8)), CELLS, 0)
    turns = [call[0] for call in log if ":" in call]
    assert "".join(turns) == "0110100110010110"
    for power in (0, 1, 2):
        sums = [sum(at**power for at, side in enumerate(turns) if side == one) for one in "01"]
        assert sums[0] == sums[1]


def test_a_unit_with_more_to_do_ends_alone(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, samples, _ = make_runner(monkeypatch, log, CELLS)
    runner.observe_together(recording_scenario(log, operate=stepping(log, 1, 4)), CELLS, 0)
    assert [call for call in log if ":" in call] == ["0:0", "1:0", "1:1", "1:2", "1:3"]
    assert [row.metrics for row in samples] == [{"time": 0.0}, {"time": 1.5}]


def test_operations_in_one_piece_are_done_one_after_the_other(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, samples, _ = make_runner(monkeypatch, log, CELLS)
    runner.observe_together(recording_scenario(log), CELLS, 0)
    assert log.count("operate") == 2
    assert [row.metrics for row in samples] == [{"time": 2.0}] * 2


@pytest.mark.parametrize("guilty", [0, 1])
def test_where_one_fails_both_rows_say_so_and_whose_fault_it_was(
    log: Log, monkeypatch: pytest.MonkeyPatch, guilty: int
) -> None:
    def operate(unit: Unit) -> Iterator[None]:
        yield
        unit.record("time", [1.0])
        if unit.place[0] == guilty:
            raise BenchError("the daemon died")

    runner, samples, listener = make_runner(monkeypatch, log, CELLS)
    runner.observe_together(recording_scenario(log, operate=operate), CELLS, 0)
    assert samples[guilty].error == "BenchError: the daemon died"
    assert samples[1 - guilty].error == "the unit that it takes turns with failed: BenchError: the daemon died"
    assert [row.metrics for row in samples] == [{}, {}]
    assert runner.errors == 2
    assert listener.problems == [f"recorded {CELLS[guilty].arm.name} depth 2: the daemon died"]
    assert log[-4:] == ["unmount c1", "unmount c0", "remove c1", "remove c0"]


def test_what_surrounds_the_operations_is_entered_for_each_turn(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def around(cell: Cell) -> Iterator[None]:
        log.append(f"<{cell.arm.driver}:")
        yield
        log.append(">:")

    runner, _, _ = make_runner(monkeypatch, log, CELLS)
    runner.around = around
    runner.observe_together(recording_scenario(log, operate=stepping(log, 2, 2)), CELLS, 0)
    turns = iter([call for call in log if ":" in call])
    first = list(islice(turns, 6))
    assert first == ["<recorded:", "0:0", ">:", "<native:", "1:0", ">:"]


def test_one_unit_is_alone(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, samples, _ = make_runner(monkeypatch, log, CELLS[:1])
    runner.observe(recording_scenario(log, operate=stepping(log, 3)), CELLS[0], 0)
    assert [call for call in log if ":" in call] == ["0:0", "0:1", "0:2"]
    assert "operations" not in samples[0].how
