"""Changes of a container against its image: read from its own layer, or found by comparing whole trees."""

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
OWN_FILES = ".wh..wh."  # prefix of what aufs keeps in a branch for itself (moby pkg/archive, WhiteoutMetaPrefix)
# Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"; userxattr; fuse-overlayfs main.c
OPAQUE_ATTRIBUTES = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
MARKS_OF_DRIVERS = ("user.overlay.", "user.fuseoverlayfs.")  # attributes that drivers keep in a layer
KEPT = ("user.", "security.capability")  # attributes that a file keeps from layer to layer
SECOND = 10**9


@dataclass(frozen=True, order=True)
class Change:
    """A path that is deleted, opaque (hides the image's directory), or present (new or changed)."""

    path: str
    kind: str


def of_upper(upper: Path, *, wh_files: bool = False) -> Iterator[Change]:
    """Yield the changes in an overlay's upper layer, parents first; the cost is linear in their number.

    An opaque directory is yielded twice, as opaque and as present. With `wh_files` a file `.wh.NAME` is a whiteout, as
    fuse-overlayfs creates it without the permission to create device nodes (main.c, create_whiteout); for the kernel's
    overlayfs it is a file.
    """
    yield from _upper(str(upper), "", wh_files=wh_files)


def _upper(top: str, prefix: str, *, wh_files: bool) -> Iterator[Change]:
    with os.scandir(f"{top}/{prefix}") as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{prefix}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if wh_files and entry.name.startswith(OWN_FILES) and entry.name != OPAQUE_FILE:
            continue
        is_mark = wh_files and entry.name.startswith(WHITEOUT)
        if is_whiteout(status):
            if not is_mark:  # fuse-overlayfs makes `.wh..opq` in addition to the mark of an opaque directory
                yield Change(path, DELETED)
        elif is_mark:
            if entry.name != OPAQUE_FILE:
                yield Change(f"{prefix}{entry.name.removeprefix(WHITEOUT)}", DELETED)
        elif stat.S_ISDIR(status.st_mode):
            if is_opaque(entry.path, wh_files=wh_files):
                yield Change(path, OPAQUE)
            yield Change(path, PRESENT)
            yield from _upper(top, f"{path}/", wh_files=wh_files)
        else:
            yield Change(path, PRESENT)


def is_whiteout(status: os.stat_result) -> bool:
    """Tell whether it is overlayfs's whiteout: a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str, *, wh_files: bool) -> bool:
    """Tell whether a directory of a container's layer is opaque, by attribute or, with `wh_files`, by a file."""
    names = os.listxattr(path, follow_symlinks=False)
    marked = any(name in names and os.getxattr(path, name) == b"y" for name in OPAQUE_ATTRIBUTES)
    return marked or (wh_files and os.path.lexists(f"{path}/{OPAQUE_FILE}"))


def naive(before: Path, after: Path) -> Iterator[Change]:
    """Yield the changes from `before` to `after`, parents first, by comparing every name of both trees.

    The comparison is Docker's (pkg/archive/changes.go of 20.10: addChanges, statDifferent, sameFsTime): mode, owner,
    device and attributes, and except for directories size and modification time; two times within the same second are
    equal if one has no nanoseconds. A directory with changes in it is present too, so that the layer has its metadata.
    Docker compares only the attribute `security.capability`; here all attributes that an archive keeps are compared.
    """
    yield from _compare(str(before), str(after), "")


def _compare(before: str, after: str, prefix: str) -> Iterator[Change]:
    old, new = (_entries(f"{top}/{prefix}") for top in (before, after))
    for name in sorted(old.keys() | new.keys()):
        path = f"{prefix}{name}"
        if name not in new:
            yield Change(path, DELETED)
            continue
        new_stat = new[name]
        old_stat = old.get(name)
        directory = stat.S_ISDIR(new_stat.st_mode)
        if old_stat is not None and stat.S_ISDIR(old_stat.st_mode) != directory:
            if not directory:
                yield Change(path, PRESENT)
                continue
            yield Change(path, OPAQUE)
            old_stat = None
        if old_stat is None:
            yield Change(path, PRESENT)
            if directory:
                yield from _all(after, f"{path}/")
            continue
        nested = list(_compare(before, after, f"{path}/")) if directory else []
        if nested or not _same(new_stat, old_stat) or attributes(f"{after}/{path}") != attributes(f"{before}/{path}"):
            yield Change(path, PRESENT)
        yield from nested


def _all(top: str, prefix: str) -> Iterator[Change]:
    for name, status in sorted(_entries(f"{top}/{prefix}").items()):
        yield Change(f"{prefix}{name}", PRESENT)
        if stat.S_ISDIR(status.st_mode):
            yield from _all(top, f"{prefix}{name}/")


def _entries(directory: str) -> dict[str, os.stat_result]:
    with os.scandir(directory) as scan:
        return {entry.name: entry.stat(follow_symlinks=False) for entry in scan}


def _same(new: os.stat_result, old: os.stat_result) -> bool:
    """Tell whether two entries of the same kind have equal metadata, by Docker's rules."""
    if (new.st_mode, new.st_uid, new.st_gid, new.st_rdev) != (old.st_mode, old.st_uid, old.st_gid, old.st_rdev):
        return False
    if stat.S_ISDIR(new.st_mode):
        return True
    return new.st_size == old.st_size and _same_time(new.st_mtime_ns, old.st_mtime_ns)


def _same_time(new: int, old: int) -> bool:
    """Tell whether two times in nanoseconds are equal by Docker's rules: many archives have whole seconds."""
    whole_seconds = new % SECOND == 0 or old % SECOND == 0
    return new == old or (whole_seconds and new // SECOND == old // SECOND)


def attributes(file: str | int) -> dict[str, bytes]:
    """Return the extended attributes of a path or open file that an archive keeps; none if it supports none."""
    follow = {} if isinstance(file, int) else {"follow_symlinks": False}
    try:
        names = os.listxattr(file, **follow)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}
    kept = (name for name in names if name.startswith(KEPT) and not name.startswith(MARKS_OF_DRIVERS))
    return {name: os.getxattr(file, name, **follow) for name in kept}
