"""Writing a layer as a tar archive of an image, with whiteouts as names that begin with `.wh.`.

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
    """Write `changes`, whose files are below `tree`, to `target`; return the number of bytes written for holes.

    Holes are written as zeros, as by engines: layer.md advises against sparse entries.
    Raises BenchError for a name that begins with `.wh.`, which in an archive is a whiteout.
    """
    first_names: dict[tuple[int, int], str] = {}
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
                holes += _add(archive, tree / change.path, change.path, first_names)
    return holes


def _add(archive: tarfile.TarFile, path: Path, name: str, first_names: dict[tuple[int, int], str]) -> int:
    """Add the file at `path`; return the bytes of its holes."""
    status = path.lstat()
    header = tarfile.TarInfo(name)
    header.mode, header.mtime = stat.S_IMODE(status.st_mode), status.st_mtime
    header.uid, header.gid = status.st_uid, status.st_gid
    kinds = {
        stat.S_IFDIR: tarfile.DIRTYPE,
        stat.S_IFLNK: tarfile.SYMTYPE,
        stat.S_IFIFO: tarfile.FIFOTYPE,
        stat.S_IFCHR: tarfile.CHRTYPE,
        stat.S_IFBLK: tarfile.BLKTYPE,
    }
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFSOCK:
        return 0  # a socket is useless without its process; Docker leaves it out too
    header.type = kinds.get(kind, tarfile.REGTYPE)
    header.pax_headers = {
        XATTR + key: value.decode("utf-8", "surrogateescape") for key, value in attributes(str(path)).items()
    }
    if header.issym():
        header.linkname = os.readlink(path)
    if header.isdev():
        header.devmajor, header.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    if status.st_nlink > 1 and not header.isdir():
        first = first_names.setdefault((status.st_dev, status.st_ino), name)
        if first != name:
            header.type, header.linkname = tarfile.LNKTYPE, first
    if not header.isreg():
        archive.addfile(header)
        return 0
    header.size = status.st_size
    with path.open("rb") as content:
        data = data_ranges(content.fileno(), header.size)
        content.seek(0)
        archive.addfile(header, content)
    return 0 if data is None else header.size - sum(length for _, length in data)
