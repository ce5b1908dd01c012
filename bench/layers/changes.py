"""What a container changed of its image: read from its own layer, or found by comparing whole trees."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "DELETED",
    "OPAQUE",
    "OPAQUE_FILE",
    "PRESENT",
    "WHITEOUT",
    "Change",
    "attributes",
    "is_opaque",
    "is_whiteout",
    "naive",
    "of_upper",
]

DELETED, OPAQUE, PRESENT = "deleted", "opaque", "present"
WHITEOUT, OPAQUE_FILE = ".wh.", ".wh..wh..opq"
# Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"; userxattr; fuse-overlayfs main.c
OPAQUE_ATTRIBUTES = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
MARKS_OF_DRIVERS = ("user.overlay.", "user.fuseoverlayfs.")  # what they keep in the layer about its files
KEPT = ("user.", "security.capability")  # attributes that a file keeps from layer to layer
SECOND = 10**9


@dataclass(frozen=True, order=True)
class Change:
    """A path that is deleted, a directory that hides what the image has there, or something that is new or other."""

    path: str
    kind: str


def of_upper(upper: Path, *, wh_files: bool = False) -> Iterator[Change]:
    """Yield what the layer of an overlay holds, parents first: as many steps as there are changes.

    A directory that hides the image's is there twice: as opaque and as present. With `wh_files` a file `.wh.NAME`
    is a mark, as fuse-overlayfs makes it where it may make no device nodes (main.c, create_whiteout); to the kernel's
    overlayfs it is a file.
    """
    yield from _upper(str(upper), "", wh_files=wh_files)


def _upper(top: str, below: str, *, wh_files: bool) -> Iterator[Change]:
    with os.scandir(f"{top}/{below}") as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}{entry.name}"
        state = entry.stat(follow_symlinks=False)
        marks = wh_files and entry.name.startswith(WHITEOUT)
        if is_whiteout(state):
            if not marks:  # fuse-overlayfs makes `.wh..opq` beside its mark of an opaque directory
                yield Change(path, DELETED)
        elif marks:
            if entry.name != OPAQUE_FILE:
                yield Change(f"{below}{entry.name.removeprefix(WHITEOUT)}", DELETED)
        elif stat.S_ISDIR(state.st_mode):
            if is_opaque(entry.path, wh_files=wh_files):
                yield Change(path, OPAQUE)
            yield Change(path, PRESENT)
            yield from _upper(top, f"{path}/", wh_files=wh_files)
        else:
            yield Change(path, PRESENT)


def is_whiteout(told: os.stat_result) -> bool:
    """Tell whether it is overlayfs's mark of a deleted name: a character device 0:0."""
    return stat.S_ISCHR(told.st_mode) and told.st_rdev == 0


def is_opaque(path: str, *, wh_files: bool) -> bool:
    """Tell whether a directory of a container's layer hides the image's, by attribute or, with `wh_files`, a file."""
    names = os.listxattr(path, follow_symlinks=False)
    marked = any(name in names and os.getxattr(path, name) == b"y" for name in OPAQUE_ATTRIBUTES)
    return marked or (wh_files and os.path.lexists(f"{path}/{OPAQUE_FILE}"))


def naive(before: Path, after: Path) -> Iterator[Change]:
    """Yield what is other in `after`, parents first, by looking at every name of both trees.

    As Docker compares (pkg/archive/changes.go of 20.10: addChanges, statDifferent, sameFsTime): mode, owner, device
    and attributes, and of what is no directory size and modification time; two times of one second are the same if one
    of them has no nanoseconds. A directory in which something changed is itself present, so that the layer alone has
    its metadata. Docker compares only `security.capability`; here all attributes count that an archive keeps.
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
        inside = list(_compared(before, after, f"{path}/")) if directory else []
        if inside or not _same(here, there) or attributes(f"{after}/{path}") != attributes(f"{before}/{path}"):
            yield Change(path, PRESENT)
        yield from inside


def _all(top: str, below: str) -> Iterator[Change]:
    for name, state in sorted(_entries(f"{top}/{below}").items()):
        yield Change(f"{below}{name}", PRESENT)
        if stat.S_ISDIR(state.st_mode):
            yield from _all(top, f"{below}{name}/")


def _entries(directory: str) -> dict[str, os.stat_result]:
    with os.scandir(directory) as found:
        return {entry.name: entry.stat(follow_symlinks=False) for entry in found}


def _same(here: os.stat_result, there: os.stat_result) -> bool:
    """Tell whether two entries of one kind have the same metadata, as Docker compares it."""
    if (here.st_mode, here.st_uid, here.st_gid, here.st_rdev) != (
        there.st_mode,
        there.st_uid,
        there.st_gid,
        there.st_rdev,
    ):
        return False
    if stat.S_ISDIR(here.st_mode):
        return True
    return here.st_size == there.st_size and _same_time(here.st_mtime_ns, there.st_mtime_ns)


def _same_time(here: int, there: int) -> bool:
    """Tell whether two times in nanoseconds are the same to Docker: many archives have whole seconds."""
    whole = here % SECOND == 0 or there % SECOND == 0
    return here == there or (whole and here // SECOND == there // SECOND)


def attributes(path: str) -> dict[str, bytes]:
    """Return the extended attributes that belong to what is at `path`, by name; none where it can have none."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}
    kept = (name for name in names if name.startswith(KEPT) and not name.startswith(MARKS_OF_DRIVERS))
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in kept}
