"""Selection of an undisturbed CPU before a unit's clock starts.

A virtual CPU shares its core with the core's other hardware thread, which may run another process or another
guest. The same system call then takes up to twice as long, for milliseconds to minutes. No counter of the guest
shows it, but a loop of fixed work (the probe) does. So before a unit's clock starts, the harness searches for a
CPU on which the probe runs at its best speed, waits for a limited time if there is none, and records the speed
before and after. The decision precedes the operation, is the same for every arm, and no unit is dropped.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import chain, cycle
from time import perf_counter_ns

from bench.model import SLACK

__all__ = ["MOST", "PATIENCE", "Pace", "Settled", "checksum"]

CONTENT = bytes(range(256)) * 64
"""What the probe checks: 16 KiB, which with zlib's tables fit into the first-level cache of a core; 4 µs here."""
PATIENCE = 15_000_000
"""Nanoseconds that a unit may wait, about the time of its set-up, so that a run in the worst phases, when no CPU is
undisturbed, has half of its units."""
MOST = 300_000_000
"""What a unit does not wait is left to those after it, up to this. In a busy minute no CPU of two was undisturbed for
20 % of the time, in spells of 24 ms in the median; but half of that time was in spells of more than 100 ms."""
RECENT = 500  # number of waits whose smallest readings determine the best; older ones are forgotten
BEST = 0.25  # the quantile of these readings that is the best: a smaller one may be a rare speed
PROBES = 4  # a reading is the minimum of these: the first ones after a migration or an operation have cold caches
WARM_UP = 50  # readings of each CPU before the first unit


def checksum() -> int:
    """Return the nanoseconds of a fixed amount of work, now, on this CPU: a CRC-32, a loop in C without calls.

    A loop of the interpreter is a bad probe: what ran before it decides how its indirect branches are predicted, and
    it takes 0.86 to 1.4 times its usual time on a CPU that nobody disturbs (docs/method.md).
    """
    start = perf_counter_ns()
    zlib.crc32(CONTENT)
    return perf_counter_ns() - start


@dataclass(frozen=True)
class Settled:
    """Result of a wait. `slowness`: the probe's time on `cpu` divided by the best (1.0: undisturbed)."""

    cpu: int
    slowness: float
    waited: int  # nanoseconds


@dataclass
class Pace:
    """Readings of `probe` in this process.

    Only the smallest reading of each wait is kept: a long wait has many readings of disturbed CPUs, which would soon
    raise the best.
    """

    probe: Callable[[], int] = checksum
    readings: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    patience: int = 0  # nanoseconds that may still be waited

    def begin(self, patience: int = PATIENCE) -> None:
        """Let a unit begin: it may wait for `patience`, and for what those before it left."""
        self.patience = min(self.patience + patience, MOST)

    def warm_up(self, cpus: Collection[int]) -> None:
        """Take the first readings; leaves the process on the last of `cpus`."""
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
            self.readings.extend(self.read() for _ in range(WARM_UP))

    def best(self) -> float:
        """Return the estimated nanoseconds of an undisturbed reading; requires at least one reading."""
        return sorted(self.readings)[int(len(self.readings) * BEST)]

    def settle(self, cpus: Collection[int]) -> Settled:
        """Migrate to one of `cpus`: the first undisturbed one, or when patience is at its end the least disturbed.

        The current CPU is tried first, to avoid migrations between two operations of a unit.
        """
        if not self.readings:
            self.warm_up(cpus)
        current = os.sched_getaffinity(0)
        cpus = sorted(cpus, key=lambda cpu: current != {cpu})
        best, start = self.best(), perf_counter_ns()
        by_cpu: dict[int, int] = {}
        smallest = sys.maxsize
        for cpu in chain(cpus, cycle(cpus)):
            os.sched_setaffinity(0, {cpu})
            by_cpu[cpu] = self.read()
            smallest = min(smallest, by_cpu[cpu])
            waited = perf_counter_ns() - start
            if by_cpu[cpu] <= SLACK * best or (waited > self.patience and len(by_cpu) == len(cpus)):
                break
        chosen = min(by_cpu, key=lambda tried: by_cpu[tried]) if by_cpu[cpu] > SLACK * best else cpu
        self.readings.append(smallest)
        os.sched_setaffinity(0, {chosen})
        waited = perf_counter_ns() - start
        self.patience = max(self.patience - waited, 0)
        return Settled(chosen, by_cpu[chosen] / best, waited)

    def slowness(self) -> float:
        """Return the probe's time on the current CPU divided by the best."""
        return self.read() / self.best()

    def read(self) -> int:
        """Return the nanoseconds of the probe on the current CPU."""
        return min(self.probe() for _ in range(PROBES))
