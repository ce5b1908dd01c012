"""A known slowdown for the suite's test of itself: the timed system calls take so much longer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

__all__ = ["delayed"]

CALLS = ("access", "open", "unlink")  # of os, those that scenarios time for their `compared` metric


@contextmanager
def delayed(nanoseconds: float) -> Iterator[None]:
    """While entered, os.access, os.open and os.unlink busy-wait for so long after the real call.

    Both sides of a comparison are run this way, the one that is not slowed with 0, so that the call of the wrapper
    (some 0.1 µs) is no difference between them.
    """
    real = {name: getattr(os, name) for name in CALLS}
    try:
        for name, call in real.items():
            setattr(os, name, _slowed(call, nanoseconds))
        yield
    finally:
        for name, call in real.items():
            setattr(os, name, call)


def _slowed(call: Callable[..., Any], nanoseconds: float) -> Callable[..., Any]:
    def slowed(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        end = perf_counter_ns() + nanoseconds
        while perf_counter_ns() < end:
            pass
        return result

    return slowed
