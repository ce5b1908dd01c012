"""A known slowdown for the suite's test of itself: the timed system calls take so much longer."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["delayed"]

CALLS = ("access", "open", "unlink")  # of os, those that scenarios time for their `compared` metric


@contextmanager
def delayed(nanoseconds: float) -> Iterator[None]:
    """While entered, os.access, os.open and os.unlink busy-wait for so long after the real call.

    Both sides of a comparison are run this way, the one that is not slowed with 0, so that the call of the wrapper
    (some 0.1 µs) is no difference between them.
    """
    with ExitStack() as undo:
        for name in CALLS:
            undo.enter_context(mock.patch.object(os, name, _slowed(getattr(os, name), nanoseconds)))
        yield


def _slowed(call: Callable[..., Any], nanoseconds: float) -> Callable[..., Any]:
    def slowed(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        end = perf_counter_ns() + nanoseconds
        while perf_counter_ns() < end:
            pass
        return result

    return slowed
