"""The timed loops, with only the operation between two readings of the clock."""

from __future__ import annotations

import os
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TypeVar

from bench.kernel.directory import working_directory

__all__ = ["NULL", "PASSES", "REFUSED", "Null", "accesses", "each", "once", "overhead", "passes"]

T = TypeVar("T")

PASSES = 16  # over hot names
OVERHEAD_READINGS = 2001  # odd, so that the median is a reading
REFUSED = 8  # no mode of access(2), which the kernel refuses before it looks at the path: EINVAL
NULL_PATHS = 255  # refused to find what a call costs without its work


@dataclass
class Null:
    """What timing costs by itself, which is subtracted from every time.

    `clock`: two readings of the clock with nothing between. `access`: a call of access(2) that does nothing, timed by
    itself. `mapped`: the same, in a pass over many. They are 0 unless `subtract` was called: on a host they are no
    exact numbers, and scenario harness measures them.
    """

    clock: int = 0
    access: int = 0
    mapped: float = 0

    def subtract(self) -> None:
        """Measure them, on a machine whose clock counts instructions, and subtract them from now on."""
        paths = [b"."] * NULL_PATHS
        clock, access = round(overhead()), statistics.median_low(accesses(paths, Path("/"), REFUSED))
        self.mapped = statistics.median(passes(paths, Path("/"), REFUSED))
        self.clock, self.access = clock, access


NULL = Null()


def each(operation: Callable[[T], Any], arguments: Sequence[T]) -> list[int]:
    """Call `operation(argument)` for each of `arguments`; return each call's nanoseconds."""
    times = []
    for argument in arguments:
        start = perf_counter_ns()
        operation(argument)
        times.append(perf_counter_ns() - start - NULL.clock)
    return times


def accesses(paths: Sequence[bytes], directory: Path, mode: int = os.F_OK) -> list[int]:
    """Look up each of `paths`, relative to `directory`, with access(2); return each call's nanoseconds.

    A hot lookup takes little more than a microsecond, so this loop is minimal: bytes, which need no encoding,
    the working directory instead of a keyword argument, and no other calls. It uses `access` and not `stat`,
    because creating the result object of `stat` takes half as long as the lookup.
    """
    times = []
    access, now = os.access, perf_counter_ns
    null = NULL.access
    with working_directory(directory):
        for path in paths:
            start = now()
            access(path, mode)
            times.append(now() - start - null)
    return times


def passes(paths: Sequence[bytes], directory: Path, mode: int = os.F_OK, count: int = PASSES) -> list[float]:
    """Do as `accesses`, in `count` passes over names that may be looked up again; return each pass's mean per call.

    A hot lookup takes about ten times as long as reading the clock, so the clock is read once per pass, and
    the loop is in C (deque and map). The remaining overhead is one call from Python, measured by scenario harness.
    """
    times = []
    access, now = os.access, perf_counter_ns
    modes = [mode] * len(paths)
    with working_directory(directory):
        for _ in repeat(None, count):
            calls = map(access, paths, modes)
            start = now()
            deque(calls, 0)
            times.append((now() - start) / len(paths) - NULL.mapped)
    return times


def once(operation: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Call `operation(*arguments)`; return (nanoseconds, result)."""
    start = perf_counter_ns()
    result = operation(*arguments)
    return perf_counter_ns() - start - NULL.clock, result


def overhead() -> float:
    """Return the median nanoseconds between two successive readings of the clock."""
    readings = []
    for _ in range(OVERHEAD_READINGS):
        start = perf_counter_ns()
        readings.append(perf_counter_ns() - start)
    return statistics.median(readings)
