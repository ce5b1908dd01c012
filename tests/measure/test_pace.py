"""Where the clock starts: the first undisturbed CPU, else the least disturbed, and no wait beyond patience."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.measure import pace
from bench.measure.pace import MOST, PATIENCE, Pace

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

BEST = 10_000


class Machine:
    """Two CPUs whose probes take what `state` says, and a clock that they move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *state: int) -> None:
        self.state, self.now, self.here, self.moves = list(state), 0, {0, 1}, [-1]
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: self.here)
        monkeypatch.setattr(os, "sched_setaffinity", self.move)
        monkeypatch.setattr(pace, "perf_counter_ns", lambda: self.now)
        self.pace = Pace(probe=self.probe, patience=PATIENCE)
        self.pace.readings.extend([BEST] * 100)

    def move(self, pid: int, cpus: set[int]) -> None:
        self.here = cpus
        self.moves.append(min(cpus))

    def probe(self) -> int:
        self.now += self.state[self.moves[-1]]
        return self.state[self.moves[-1]]


def test_an_undisturbed_cpu_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, BEST, BEST)
    settled = machine.pace.settle([1, 0])
    assert (settled.cpu, settled.slowness, settled.waited) == (1, 1.0, pace.PROBES * BEST)
    assert machine.here == {1}


def test_the_other_cpu_is_taken_where_the_first_is_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, BEST, 2 * BEST)
    assert machine.pace.settle([1, 0]).cpu == 0
    assert machine.here == {0}


def test_the_cpu_that_it_is_on_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, BEST, BEST)
    machine.here = {0}
    assert machine.pace.settle([1, 0]).cpu == 0


def test_after_patience_the_least_disturbed_is_taken_and_its_slowness_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 15_000, 2 * BEST)
    settled = machine.pace.settle([1, 0])
    assert (settled.cpu, settled.slowness) == (0, 1.5)
    assert machine.here == {0}
    assert PATIENCE < settled.waited <= PATIENCE + 2 * pace.PROBES * BEST


def test_without_patience_each_cpu_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 3 * BEST, 2 * BEST)
    machine.pace.patience = 0
    assert machine.pace.settle([0, 1]).cpu == 1
    assert machine.now == 5 * pace.PROBES * BEST


def test_what_a_unit_does_not_wait_is_left_to_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, BEST, BEST)
    machine.pace.patience = 0
    for _ in range(4):
        machine.pace.begin()
        machine.pace.settle([1, 0])
    machine.state = [2 * BEST, 2 * BEST]
    machine.pace.begin()
    left, waited = machine.pace.patience, machine.pace.settle([1, 0]).waited
    assert 4.9 * PATIENCE < left < waited <= left + 4 * pace.PROBES * BEST
    machine.pace.begin()
    assert machine.pace.settle([1, 0]).waited <= PATIENCE + 4 * pace.PROBES * BEST
    for _ in range(100):
        machine.pace.begin()
    assert machine.pace.patience == MOST


def test_of_a_wait_the_least_reading_alone_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 15_000, 2 * BEST)
    machine.pace.settle([1, 0])
    assert list(machine.pace.readings) == [*[BEST] * 100, 15_000]


def test_a_quiet_moment_that_comes_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 2 * BEST, 2 * BEST)
    times: Iterator[int] = iter([2 * BEST] * (3 * pace.PROBES - 1) + [BEST] * (pace.PROBES + 1))

    def probe() -> int:
        return next(times)

    machine.pace.probe = probe
    settled = machine.pace.settle([1, 0])
    assert settled.slowness == 1.0
    assert settled.cpu == machine.moves[-1] == 1  # the third reading, whose last probe was quick, is the first CPU's


def test_the_best_is_no_single_odd_reading_and_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Pace(probe=lambda: BEST)
    told.readings.extend([1, *[BEST] * 99])
    assert told.best() == BEST
    told.readings.extend([2 * BEST] * pace.RECENT)
    assert told.best() == 2 * BEST


def test_it_learns_the_best_of_all_cpus_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, BEST, 2 * BEST)
    machine.pace.readings.clear()
    assert machine.pace.settle([1, 0]).cpu == 0
    assert set(machine.pace.readings) == {BEST, 2 * BEST}


def test_the_real_probe_takes_time_that_grows_with_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    short = min(pace.checksum() for _ in range(20))
    monkeypatch.setattr(pace, "CONTENT", 100 * pace.CONTENT)
    assert min(pace.checksum() for _ in range(5)) > 10 * short
