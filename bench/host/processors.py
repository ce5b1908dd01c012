"""Which processors a program may run on that is not what the clock is on."""

from __future__ import annotations

import os

__all__ = ["ALLOWED", "allow_all"]

ALLOWED = frozenset(os.sched_getaffinity(0))  # to us, as we were started: a unit is timed on one of them


def allow_all(pid: int = 0) -> None:
    """Let a process, or the calling thread (0), run on all that we may: it was born on the harness's one."""
    os.sched_setaffinity(pid, ALLOWED)
