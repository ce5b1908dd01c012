"""A quiet moment: on which CPU and when a unit's clock may start, and what was found there.

A virtual CPU shares its core with whoever runs on the core's other hardware thread, in this guest or in
another. The same system call then takes up to twice as long, for milliseconds to minutes, and no counter
of the guest shows it; a loop of fixed work does. So before a unit's clock starts, the harness looks for a
CPU on which that loop runs as fast as it did at its best, waits a little if there is none, and records
what it found then and afterwards. It decides before the operation, alike for every arm, and drops nothing.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from itertools import chain, cycle, repeat
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["PATIENCE", "SLACK", "Pace", "Settled", "loop"]

LOOPS = 1_000  # of the probe: some 15 µs
PATIENCE = 30_000_000
"""Nanoseconds that a unit waits for a quiet moment, at most. On a shared host whose cores were disturbed
half of the time, 5 ms found one in 63 to 82 % of cases, 20 ms in 96 %, 40 ms in 98 %, and 2.3 ms were
waited on average; the interquartile range of a hot lookup fell from 31 % of its median to 1 %."""
SLACK = 1.05  # a probe up to this times the best is undisturbed: a busy sibling made it 1.4 to 2 times
RECENT = 2_000  # probes that the best is told from, so that what a clock rate once allowed is forgotten
BEST = 0.02  # the quantile of them that is the best: not the minimum, which a single odd reading sets
AFTERWARDS = 4  # probes after an operation, whose caches made the first two or three slower
WARM_UP = 100  # probes of each CPU before the first unit


def loop() -> int:
    """Return the nanoseconds that a fixed piece of interpreter work takes now, on this CPU."""
    start = perf_counter_ns()
    for _ in repeat(None, LOOPS):
        pass
    return perf_counter_ns() - start


@dataclass(frozen=True)
class Settled:
    """Where a unit's clock starts. `slowness`: the probe's time there over its best (1.0: undisturbed)."""

    cpu: int
    slowness: float
    waited: int  # nanoseconds


@dataclass
class Pace:
    """What the probe has read so far in this process, `probe` being how."""

    probe: Callable[[], int] = loop
    readings: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))

    def warm_up(self, cpus: Collection[int]) -> None:
        """Learn what the best is; leaves the process on the last of `cpus`."""
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
            self.readings.extend(self.probe() for _ in range(WARM_UP))

    def best(self) -> float:
        """Return the nanoseconds of an undisturbed probe, as far as is known; needs one reading."""
        return sorted(self.readings)[int(len(self.readings) * BEST)]

    def settle(self, cpus: Collection[int]) -> Settled:
        """Stay on one of `cpus`: the first that is undisturbed, or after PATIENCE the least disturbed.

        Tries the CPU that it is on first, so that between two operations of a unit nothing moves without need.
        """
        if not self.readings:
            self.warm_up(cpus)
        here = os.sched_getaffinity(0)
        cpus = sorted(cpus, key=lambda cpu: here != {cpu})
        best, start = self.best(), perf_counter_ns()
        seen: dict[int, int] = {}
        for cpu in chain(cpus, cycle(cpus)):
            os.sched_setaffinity(0, {cpu})
            self.probe()  # the first one after a move finds cold caches
            seen[cpu] = self.probe()
            self.readings.append(seen[cpu])
            waited = perf_counter_ns() - start
            if seen[cpu] <= SLACK * best or waited > PATIENCE:
                break
        found = min(seen, key=lambda one: seen[one]) if seen[cpu] > SLACK * best else cpu
        os.sched_setaffinity(0, {found})
        return Settled(found, seen[found] / best, perf_counter_ns() - start)

    def slowness(self) -> float:
        """Return how much slower than at its best the probe runs now, here: the best of a few."""
        return min(self.probe() for _ in range(AFTERWARDS)) / self.best()
