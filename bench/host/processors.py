"""CPU affinity of programs that are not timed."""

from __future__ import annotations

import os

__all__ = ["ALLOWED", "allow_all"]

ALLOWED = frozenset(os.sched_getaffinity(0))  # CPUs of this process at its start; a unit is timed on one of them


def allow_all(pid: int = 0) -> None:
    """Let a process, or the calling thread (0), run on all of them: it inherited the single CPU of the harness."""
    os.sched_setaffinity(pid, ALLOWED)
