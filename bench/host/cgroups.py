"""Control groups of the containers of a run's engines: all below one name, and empty after the run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["NAME", "idle", "remove"]

NAME = "layer-bench"  # the parent of the containers' groups
ROOT = Path("/sys/fs/cgroup")


def idle(root: Path = ROOT) -> list[Path]:
    """Return this suite's groups without processes, in the hierarchy of version 2 or in each of version 1."""
    return [group for group in _ours(root) if _is_idle(group)]


def _is_idle(group: Path) -> bool:
    try:
        return not any(_processes(path) for path in (group, *group.rglob("*")))
    except FileNotFoundError:  # one disappeared meanwhile, so they are in use
        return False


def remove(root: Path = ROOT) -> None:
    """Remove this suite's groups and their children; those with processes remain (EBUSY)."""
    for group in _ours(root):
        with contextlib.suppress(FileNotFoundError):  # one disappeared meanwhile
            children = sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
            for directory in (*children, group):
                with contextlib.suppress(OSError):
                    directory.rmdir()


def _ours(root: Path) -> Iterator[Path]:
    yield from (path for path in (root / NAME, *root.glob(f"*/{NAME}")) if path.is_dir())


def _processes(group: Path) -> str:
    try:
        return (group / "cgroup.procs").read_text(encoding="ascii").strip()
    except OSError:  # not a group, or removed
        return ""
