"""The timed loops. Nothing here but the operation stands between two readings of the clock."""

from __future__ import annotations

import statistics
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["each", "once", "overhead"]

OVERHEAD_READINGS = 2001  # an odd number, so that the median is a reading


def each(operation: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], **fixed: Any) -> list[int]:
    """Call `operation(*argument, **fixed)` for each of `arguments`; return each call's nanoseconds."""
    times = []
    for argument in arguments:
        start = perf_counter_ns()
        operation(*argument, **fixed)
        times.append(perf_counter_ns() - start)
    return times


def once(operation: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Call `operation(*arguments)`; return (nanoseconds, result)."""
    start = perf_counter_ns()
    result = operation(*arguments)
    return perf_counter_ns() - start, result


def overhead() -> float:
    """Return the median nanoseconds between two readings of the clock with nothing between."""
    readings = []
    for _ in range(OVERHEAD_READINGS):
        start = perf_counter_ns()
        readings.append(perf_counter_ns() - start)
    return statistics.median(readings)
