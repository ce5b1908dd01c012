"""Writing a layer as a tar archive, as images carry it: what is deleted is a name that begins with `.wh.`.

From the OCI image specification, layer.md ("Whiteouts", "Opaque whiteout").
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from bench.errors import BenchError
from bench.layers.changes import DELETED, OPAQUE, OPAQUE_FILE, WHITEOUT, Change, attributes
from bench.layers.content import data_ranges
from bench.layers.members import XATTR

__all__ = ["export"]


def export(changes: Iterable[Change], tree: Path, target: IO[bytes]) -> int:
    """Write `changes`, whose files are below `tree`, to `target`; return how many of its bytes stand for holes.

    Holes become zeros, as in the archives that engines write: layer.md advises against sparse entries.
    Raises BenchError for a name that begins with `.wh.`: in an archive that is the mark of another one.
    """
    seen: dict[tuple[int, int], str] = {}
    holes = 0
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for change in changes:
            head, _, name = change.path.rpartition("/")
            prefix = f"{head}/" if head else ""
            if change.kind != OPAQUE and name.startswith(WHITEOUT):
                raise BenchError(
                    f"{change.path!r} cannot be in a layer's archive",
                    why=f"there, a name that begins with {WHITEOUT} says that another one is deleted",
                    fix="give it another name",
                )
            if change.kind == DELETED:
                archive.addfile(tarfile.TarInfo(f"{prefix}{WHITEOUT}{name}"))
            elif change.kind == OPAQUE:
                archive.addfile(tarfile.TarInfo(f"{change.path}/{OPAQUE_FILE}"))
            else:
                holes += _add(archive, tree / change.path, change.path, seen)
    return holes


def _add(archive: tarfile.TarFile, path: Path, name: str, seen: dict[tuple[int, int], str]) -> int:
    """Add what is at `path`; return the bytes of its holes."""
    state = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.mtime = stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid, state.st_mtime
    kinds = {
        stat.S_IFDIR: tarfile.DIRTYPE,
        stat.S_IFLNK: tarfile.SYMTYPE,
        stat.S_IFIFO: tarfile.FIFOTYPE,
        stat.S_IFCHR: tarfile.CHRTYPE,
        stat.S_IFBLK: tarfile.BLKTYPE,
    }
    kind = stat.S_IFMT(state.st_mode)
    if kind == stat.S_IFSOCK:
        return 0  # a socket means nothing without the process that made it; Docker leaves it out too
    info.type = kinds.get(kind, tarfile.REGTYPE)
    info.pax_headers = {
        XATTR + key: value.decode("utf-8", "surrogateescape") for key, value in attributes(str(path)).items()
    }
    if info.issym():
        info.linkname = os.readlink(path)
    if info.isdev():
        info.devmajor, info.devminor = os.major(state.st_rdev), os.minor(state.st_rdev)
    if state.st_nlink > 1 and not info.isdir():
        first = seen.setdefault((state.st_dev, state.st_ino), name)
        if first != name:
            info.type, info.linkname = tarfile.LNKTYPE, first
    if not info.isreg():
        archive.addfile(info)
        return 0
    info.size = state.st_size
    with path.open("rb") as content:
        data = data_ranges(content.fileno(), info.size)
        content.seek(0)
        archive.addfile(info, content)
    return 0 if data is None else info.size - sum(length for _, length in data)
