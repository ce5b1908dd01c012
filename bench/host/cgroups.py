"""The control groups of containers that a run's engines start: all below one name, and empty once the run is over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["NAME", "idle", "remove"]

NAME = "layer-bench"  # the parent of the containers' groups
ROOT = Path("/sys/fs/cgroup")


def idle(root: Path = ROOT) -> list[Path]:
    """Return our groups in which no process is, in the one hierarchy of version 2 or in each of version 1."""
    return [top for top in _ours(root) if _is_idle(top)]


def _is_idle(top: Path) -> bool:
    try:
        return not any(_processes(group) for group in (top, *top.rglob("*")))
    except FileNotFoundError:  # one went while we looked, so that somebody is at work there
        return False


def remove(root: Path = ROOT) -> None:
    """Remove our groups with those below; what has processes stays (EBUSY)."""
    for top in _ours(root):
        with contextlib.suppress(FileNotFoundError):  # one went while we looked
            below = sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
            for directory in (*below, top):
                with contextlib.suppress(OSError):
                    directory.rmdir()


def _ours(root: Path) -> Iterator[Path]:
    yield from (path for path in (root / NAME, *root.glob(f"*/{NAME}")) if path.is_dir())


def _processes(group: Path) -> str:
    try:
        return (group / "cgroup.procs").read_text(encoding="ascii").strip()
    except OSError:  # no group, or gone
        return ""
