"""A layer as a tar archive, as images carry it: what is deleted is a name that begins with `.wh.`.

From the OCI image specification, layer.md ("Whiteouts", "Opaque whiteout").
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from typing import IO, TYPE_CHECKING

from bench.errors import BenchError
from bench.layers.changes import DELETED, OPAQUE, OPAQUE_FILE, WHITEOUT, Change

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["apply", "export"]

XATTR = "SCHILY.xattr."  # of a pax header, as tar(1) and Docker write extended attributes
KEPT = ("user.", "security.capability")  # attributes that belong to a file rather than to the overlay


def export(changes: Iterable[Change], tree: Path, target: IO[bytes]) -> None:
    """Write `changes`, whose files are below `tree`, to `target`."""
    seen: dict[tuple[int, int], str] = {}
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for change in changes:
            head, _, name = change.path.rpartition("/")
            prefix = f"{head}/" if head else ""
            if change.kind == DELETED:
                archive.addfile(tarfile.TarInfo(f"{prefix}{WHITEOUT}{name}"))
            elif change.kind == OPAQUE:
                archive.addfile(tarfile.TarInfo(f"{change.path}/{OPAQUE_FILE}"))
            else:
                _add(archive, tree / change.path, change.path, seen)


def _add(archive: tarfile.TarFile, path: Path, name: str, seen: dict[tuple[int, int], str]) -> None:
    told = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.mtime = stat.S_IMODE(told.st_mode), told.st_uid, told.st_gid, told.st_mtime
    kinds = {
        stat.S_IFDIR: tarfile.DIRTYPE,
        stat.S_IFLNK: tarfile.SYMTYPE,
        stat.S_IFIFO: tarfile.FIFOTYPE,
        stat.S_IFCHR: tarfile.CHRTYPE,
        stat.S_IFBLK: tarfile.BLKTYPE,
    }
    kind = stat.S_IFMT(told.st_mode)
    if kind == stat.S_IFSOCK:
        return  # a socket means nothing without the process that made it; Docker leaves it out too
    info.type = kinds.get(kind, tarfile.REGTYPE)
    info.pax_headers = {
        XATTR + key: os.getxattr(path, key, follow_symlinks=False).decode("utf-8", "surrogateescape")
        for key in _attributes(path)
        if key.startswith(KEPT)
    }
    if info.issym():
        info.linkname = os.readlink(path)
    if info.isdev():
        info.devmajor, info.devminor = os.major(told.st_rdev), os.minor(told.st_rdev)
    if told.st_nlink > 1 and not info.isdir():
        first = seen.setdefault((told.st_dev, told.st_ino), name)
        if first != name:
            info.type, info.linkname = tarfile.LNKTYPE, first
    if info.isreg():
        info.size = told.st_size
        with path.open("rb") as content:
            archive.addfile(info, content)
    else:
        archive.addfile(info)


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return []


def apply(source: IO[bytes], tree: Path, *, devices: bool = False) -> None:
    """Apply a layer's archive to the directory `tree`, as an engine unpacks it over the layers below.

    Raises BenchError, before it writes anything outside, for an archive that is cut short, whose names or hard links
    lead out of `tree`, or, unless it may have `devices`, with a device node: there is no container around `tree`
    that keeps anyone from opening it.
    """
    root = os.path.realpath(tree)
    times: list[tuple[str, float]] = []
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for info in archive:
                if info.isdev() and not info.isfifo() and not devices:
                    raise BenchError(
                        f"the layer's archive has a device node: {info.name!r}",
                        why=f"it would open the host's device {info.devmajor}:{info.devminor}",
                        mend="leave it out of the layer",
                    )
                _one(archive, info, root, times)
    except tarfile.TarError as error:
        raise BenchError("the layer's archive is damaged", why=str(error), mend="make it again") from error
    for path, mtime in reversed(times):  # of directories, once all is in them
        os.utime(path, (mtime, mtime))


def _one(archive: tarfile.TarFile, info: tarfile.TarInfo, root: str, times: list[tuple[str, float]]) -> None:
    name = info.name.removeprefix("./").rstrip("/")
    target = _inside(root, name)
    head, _, last = name.rpartition("/")
    if last == OPAQUE_FILE:
        place = _inside(root, head)
        for inside in os.listdir(place) if os.path.isdir(place) else ():
            _remove(os.path.join(place, inside))
        return
    if last.startswith(WHITEOUT):
        _remove(_inside(root, f"{head}/{last.removeprefix(WHITEOUT)}".lstrip("/")))
        return
    directory = os.path.isdir(target) and not os.path.islink(target)
    if os.path.lexists(target) and not (info.isdir() and directory):
        _remove(target)
        directory = False
    if info.isdir():
        if not directory:
            os.mkdir(target)
    elif info.issym():
        os.symlink(info.linkname, target)
    elif info.islnk():
        os.link(_inside(root, info.linkname), target, follow_symlinks=False)
        return
    elif info.isfifo():
        os.mkfifo(target)
    elif info.isdev():
        kind = stat.S_IFCHR if info.ischr() else stat.S_IFBLK
        os.mknod(target, kind | info.mode, os.makedev(info.devmajor, info.devminor))
    elif info.isreg():
        content = archive.extractfile(info)
        assert content is not None
        with open(target, "xb") as file:
            shutil.copyfileobj(content, file)
    else:
        raise BenchError(f"the layer's archive has {name!r} of an unknown type {info.type!r}")
    _dress(info, target, times)


def _dress(info: tarfile.TarInfo, target: str, times: list[tuple[str, float]]) -> None:
    """Give owner, mode, attributes and time."""
    os.chown(target, info.uid, info.gid, follow_symlinks=False)
    if not info.issym():
        os.chmod(target, info.mode)
    for key, value in info.pax_headers.items():
        if key.startswith(XATTR):
            content = value.encode("utf-8", "surrogateescape")
            os.setxattr(target, key.removeprefix(XATTR), content, follow_symlinks=False)
    if info.isdir():
        times.append((target, info.mtime))
    else:
        os.utime(target, (info.mtime, info.mtime), follow_symlinks=False)


def _inside(root: str, name: str) -> str:
    """Return the path of a name below `root`; raises BenchError where it, or a link on its way, leads out."""
    parent, last = os.path.split(os.path.join(root, name))
    real = os.path.realpath(parent)
    if name.startswith("/") or ".." in name.split("/") or not (real == root or real.startswith(f"{root}/")):
        raise BenchError(
            f"the layer's archive leads out of its directory: {name!r}", mend="do not use it; it may be an attack"
        )
    return os.path.join(real, last) if last else real


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
