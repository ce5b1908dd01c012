"""What a command could leave behind: mounts, loop devices, processes, files."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["MARK", "Traces", "left", "processes"]

MARK = "BENCH_TEST_MARK"  # an environment variable that all processes of a command inherit
SETTLE_SECONDS = 20.0  # the kernel detaches loop devices and reaps processes a moment after the last of them


@dataclass(frozen=True)
class Traces:
    """What is there now of the commands with a mark, and of work in a directory."""

    mounts: frozenset[str]
    loops: frozenset[str]
    processes: frozenset[str]
    files: frozenset[str]

    @staticmethod
    def of(workdir: Path, mark: str, sessions: Collection[int] = ()) -> Traces:
        """Look; loop devices and files are those of `workdir`, as others may measure on the same machine."""
        return Traces(
            frozenset(Path("/proc/self/mountinfo").read_text().splitlines()),
            frozenset(_loops(workdir)),
            frozenset(f"{pid} {_command(pid)}" for pid in processes(mark, sessions)),
            frozenset(str(Path(top, name)) for top, below, files in os.walk(workdir) for name in [*below, *files]),
        )

    def __sub__(self, before: Traces) -> Traces:
        return Traces(*(getattr(self, field.name) - getattr(before, field.name) for field in fields(self)))

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


def left(
    workdir: Path, mark: str, before: Traces, *, sessions: Collection[int] = (), seconds: float = SETTLE_SECONDS
) -> Traces:
    """Return what is there that was not before, once it is nothing or `seconds` are over."""
    end = time.monotonic() + seconds
    while (more := Traces.of(workdir, mark, sessions) - before) and time.monotonic() < end:
        time.sleep(0.05)
    return more


def processes(mark: str, sessions: Collection[int] = ()) -> list[int]:
    """Return the processes that have the mark in their environment, or are of these sessions, oldest first."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                own = wanted in (entry / "environ").read_bytes().split(b"\0")
                if own or os.getsid(int(entry.name)) in sessions:
                    found.append(int(entry.name))
            except OSError:  # it ended, or is another user's
                continue
    return sorted(found)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _loops(workdir: Path) -> list[str]:
    found = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if f"{workdir}/" in file.read_text():  # in a chroot it begins with what is above that
                found.append(file.parent.parent.name)
        except OSError:  # detached just now
            continue
    return found
