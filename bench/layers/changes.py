"""What a container changed of its image: read from its own layer, or found by comparing whole trees."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "DELETED",
    "OPAQUE",
    "OPAQUE_FILE",
    "PRESENT",
    "WHITEOUT",
    "Change",
    "is_opaque",
    "is_whiteout",
    "naive",
    "of_upper",
]

DELETED, OPAQUE, PRESENT = "deleted", "opaque", "present"
WHITEOUT, OPAQUE_FILE = ".wh.", ".wh..wh..opq"
# Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"; userxattr; fuse-overlayfs main.c
OPAQUE_ATTRIBUTES = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")


@dataclass(frozen=True, order=True)
class Change:
    """A path that is deleted, a directory that hides what the image has there, or something that is new or other."""

    path: str
    kind: str


def of_upper(upper: Path) -> Iterator[Change]:
    """Yield what the layer of an overlay holds, parents first: as many steps as there are changes.

    A directory that hides the image's is there twice: as opaque and as present.
    """
    yield from _upper(str(upper), "")


def _upper(top: str, below: str) -> Iterator[Change]:
    with os.scandir(f"{top}/{below}") as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}{entry.name}"
        told = entry.stat(follow_symlinks=False)
        if is_whiteout(told):
            if not entry.name.startswith(WHITEOUT):  # fuse-overlayfs makes one beside its mark of an opaque directory
                yield Change(path, DELETED)
        elif entry.name == OPAQUE_FILE:
            continue
        elif entry.name.startswith(WHITEOUT):
            yield Change(f"{below}{entry.name.removeprefix(WHITEOUT)}", DELETED)
        elif stat.S_ISDIR(told.st_mode):
            if is_opaque(entry.path):
                yield Change(path, OPAQUE)
            yield Change(path, PRESENT)
            yield from _upper(top, f"{path}/")
        else:
            yield Change(path, PRESENT)


def is_whiteout(told: os.stat_result) -> bool:
    """Tell whether it is overlayfs's mark of a deleted name: a character device 0:0."""
    return stat.S_ISCHR(told.st_mode) and told.st_rdev == 0


def is_opaque(path: str) -> bool:
    """Tell whether a directory of a container's layer hides the image's, by attribute or by a file in it."""
    names = os.listxattr(path, follow_symlinks=False)
    return any(name in names and os.getxattr(path, name) == b"y" for name in OPAQUE_ATTRIBUTES) or os.path.lexists(
        f"{path}/{OPAQUE_FILE}"
    )


def naive(before: Path, after: Path) -> Iterator[Change]:
    """Yield what is other in `after`, parents first, by looking at every name of both trees.

    As Docker compares (pkg/archive/changes.go, addDirChanges of 20.10): mode, owner, device, and of what is no
    directory size and modification time.
    """
    yield from _compared(str(before), str(after), "")


def _compared(before: str, after: str, below: str) -> Iterator[Change]:
    old, new = (_entries(f"{top}/{below}") for top in (before, after))
    for name in sorted(old.keys() | new.keys()):
        path = f"{below}{name}"
        if name not in new:
            yield Change(path, DELETED)
            continue
        here = new[name]
        there = old.get(name)
        directory = stat.S_ISDIR(here.st_mode)
        if there is not None and stat.S_ISDIR(there.st_mode) != directory:
            if not directory:
                yield Change(path, PRESENT)
                continue
            yield Change(path, OPAQUE)
            there = None
        if there is None:
            yield Change(path, PRESENT)
            if directory:
                yield from _all(after, f"{path}/")
            continue
        if _facts(here) != _facts(there):
            yield Change(path, PRESENT)
        if directory:
            yield from _compared(before, after, f"{path}/")


def _all(top: str, below: str) -> Iterator[Change]:
    for name, told in sorted(_entries(f"{top}/{below}").items()):
        yield Change(f"{below}{name}", PRESENT)
        if stat.S_ISDIR(told.st_mode):
            yield from _all(top, f"{below}{name}/")


def _entries(directory: str) -> dict[str, os.stat_result]:
    with os.scandir(directory) as found:
        return {entry.name: entry.stat(follow_symlinks=False) for entry in found}


def _facts(told: os.stat_result) -> tuple[int, ...]:
    facts = (told.st_mode, told.st_uid, told.st_gid, told.st_rdev)
    return facts if stat.S_ISDIR(told.st_mode) else (*facts, told.st_size, told.st_mtime_ns)
