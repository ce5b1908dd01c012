"""A known slowdown for the self-test: the timed system calls take longer by a given time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

__all__ = ["delayed"]

CALLS = ("access", "open", "unlink")  # functions of os that scenarios time for their `compared` metric


@contextmanager
def delayed(nanoseconds: float) -> Iterator[None]:
    """Make os.access, os.open and os.unlink busy-wait for `nanoseconds` after the real call, while entered.

    Both sides of a comparison run this way, the one that is not slowed with 0, so that the cost of the wrapper (some
    0.1 µs) is the same for both.
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
    def slowed(*arguments: Any, **keywords: Any) -> Any:
        result = call(*arguments, **keywords)
        end = perf_counter_ns() + nanoseconds
        while perf_counter_ns() < end:
            pass
        return result

    return slowed
