"""A quiet moment: on which CPU and when a unit's clock may start, and what was found there.

A virtual CPU shares its core with whoever runs on the core's other hardware thread, in this guest or in
another. The same system call then takes up to twice as long, for milliseconds to minutes, and no counter
of the guest shows it; a loop of fixed work does. So before a unit's clock starts, the harness looks for a
CPU on which that loop runs as fast as it did at its best, waits a little if there is none, and records
what it found then and afterwards. It decides before the operation, alike for every arm, and drops nothing.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import chain, cycle, repeat
from time import perf_counter_ns

__all__ = ["PATIENCE", "SLACK", "Pace", "Settled", "loop"]

LOOPS = 1_000  # of the probe: some 15 µs
PATIENCE = 15_000_000
"""Nanoseconds that a unit waits for quiet moments, at most: about what it takes to set one up. On a shared host
5 ms found one in 63 to 82 % of cases, 20 ms in 96 %, 40 ms in 98 %; in its worst phases there was none, and
30 ms then halved the number of units."""
SLACK = 1.05  # a reading up to this times the best is undisturbed: a busy sibling made it 1.4 to 2 times
RECENT = 500  # waits, the least reading of each, that the best is told from: what was once possible is forgotten
BEST = 0.25
"""The quantile of them that is the best. Of a CPU that now and then runs faster still, a small quantile is that rare
speed: at 2 % nearly every unit of a run waited in vain, although its figures were as quiet as any."""
PROBES = 4  # of which a reading is the least: the first ones after a move or an operation find cold caches
WARM_UP = 50  # readings of each CPU before the first unit


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
    """What the probe has read so far in this process, `probe` being how.

    Of each wait only the least reading is kept: a long one has many, all of a disturbed CPU, and kept together they
    would soon pass for the best that can be had.
    """

    probe: Callable[[], int] = loop
    readings: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))

    def warm_up(self, cpus: Collection[int]) -> None:
        """Learn what the best is; leaves the process on the last of `cpus`."""
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
            self.readings.extend(self.read() for _ in range(WARM_UP))

    def best(self) -> float:
        """Return the least nanoseconds of an undisturbed reading, as far as is known; needs one reading."""
        return sorted(self.readings)[int(len(self.readings) * BEST)]

    def settle(self, cpus: Collection[int], patience: int = PATIENCE) -> Settled:
        """Stay on one of `cpus`: the first that is undisturbed, or after `patience` ns the least disturbed.

        Tries the CPU that it is on first, so that between two operations of a unit nothing moves without need.
        """
        if not self.readings:
            self.warm_up(cpus)
        here = os.sched_getaffinity(0)
        cpus = sorted(cpus, key=lambda cpu: here != {cpu})
        best, start = self.best(), perf_counter_ns()
        seen: dict[int, int] = {}
        least = sys.maxsize
        for cpu in chain(cpus, cycle(cpus)):
            os.sched_setaffinity(0, {cpu})
            seen[cpu] = self.read()
            least = min(least, seen[cpu])
            waited = perf_counter_ns() - start
            if seen[cpu] <= SLACK * best or (waited > patience and len(seen) == len(cpus)):
                break
        found = min(seen, key=lambda one: seen[one]) if seen[cpu] > SLACK * best else cpu
        self.readings.append(least)
        os.sched_setaffinity(0, {found})
        return Settled(found, seen[found] / best, perf_counter_ns() - start)

    def slowness(self) -> float:
        """Return how much slower than at its best the probe runs now, here."""
        return self.read() / self.best()

    def read(self) -> int:
        """Return the nanoseconds that a probe takes now, here."""
        return min(self.probe() for _ in range(PROBES))
