"""The members of a layer's archive: what each name says, and which of them are refused.

From the OCI image specification, layer.md ("Whiteouts", "Opaque whiteout"). Where it says nothing, dockerd 20.10,
podman 4.3 and containerd 1.6 were asked what they do; docs/method.md has the answers.
"""

from __future__ import annotations

import enum
import math
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from tarfile import InvalidHeaderError, ReadError, TruncatedHeaderError  # type: ignore[attr-defined]
from typing import IO, Self

from bench.errors import BenchError
from bench.layers.changes import MARKS_OF_DRIVERS, OPAQUE_FILE, WHITEOUT

__all__ = ["XATTR", "Kind", "Member", "clean", "damaged", "leads_out", "members", "opened", "refused"]

XATTR = "SCHILY.xattr."  # of a pax header, as tar(1) and Docker write extended attributes
NOT_OF_A_FILE = ("trusted.overlay.", *MARKS_OF_DRIVERS)  # attributes by which a driver would hide what lies below
OWNERS = 2**32 - 1  # the kernel's uid_t; the last one means "unchanged" to chown(2)
TIMES = 2**63  # seconds, of time_t
MAJORS, MINORS = 2**12, 2**20  # of the kernel's dev_t (include/linux/kdev_t.h)
TYPES = frozenset(
    (
        *(tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE),
        *(tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
    )
)


class Kind(enum.Enum):
    """What a member says of its path."""

    ENTRY = "is there"
    WHITEOUT = "is deleted"
    OPAQUE = "hides what lies below"


@dataclass(frozen=True)
class Member:
    """A member of the archive: `path` is what it is about, from the image's root, and empty for the root itself."""

    kind: Kind
    path: str
    info: tarfile.TarInfo


class _Header(tarfile.TarInfo):
    """A header whose damage is an error wherever it stands; tarfile takes all but the first for the archive's end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """Read the next header."""
        try:
            return super().fromtarfile(tarfile)
        except (InvalidHeaderError, TruncatedHeaderError) as error:
            raise ReadError(str(error)) from error


def opened(source: IO[bytes]) -> tarfile.TarFile:
    """Open an archive to read it once, in its order; raises BenchError where it is none."""
    try:
        return tarfile.open(fileobj=source, mode="r|", tarinfo=_Header)
    except tarfile.TarError as error:
        raise damaged(error) from error


def refused(name: str, why: str) -> BenchError:
    """Return the error for a member that cannot be part of a layer."""
    return BenchError(f"the layer's archive has {name!r}", why=why, fix="leave it out of the layer")


def leads_out(name: str) -> BenchError:
    """Return the error for a name that leads out of the image's root."""
    return BenchError(
        f"the layer's archive leads out of its directory: {name!r}", fix="do not use it; it may be an attack"
    )


def clean(name: str, member: str) -> str:
    """Return a name from the image's root as the engines read it: `/a`, `./a` and `b/../a` are `a`.

    Raises BenchError, which names the `member`, where it leads out of the root or no file can have it.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise leads_out(member)
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    if "\0" in name:
        raise refused(member, "a name cannot have a NUL")
    return "/".join(parts)


def members(archive: tarfile.TarFile, *, devices: bool = False) -> Iterator[Member]:
    """Yield what `archive` says, in its order; marks of aufs's own (`.wh..wh.NAME`) are left out, as engines do.

    Raises BenchError for an archive that is damaged, or has what no layer can have: two members of one name, names that
    lead out, marks without the name of a file, numbers out of range, types and attributes that are not of a file; and,
    unless it may have `devices`, device nodes.
    """
    paths: set[str] = set()
    for info in _headers(archive):
        path = clean(info.name, info.name)
        if path in paths:
            raise refused(info.name, "it is there twice")
        paths.add(path)
        head, _, last = path.rpartition("/")
        if any(part.startswith(WHITEOUT) for part in head.split("/")):
            raise refused(info.name, f"a name that begins with {WHITEOUT} is a mark, and nothing lies in it")
        if last == OPAQUE_FILE:
            yield Member(Kind.OPAQUE, head, info)
        elif last.startswith(WHITEOUT):
            name = last.removeprefix(WHITEOUT)
            if name in {"", ".", ".."}:
                raise refused(info.name, "it marks no file as deleted")
            if not name.startswith(WHITEOUT):
                yield Member(Kind.WHITEOUT, f"{head}/{name}".lstrip("/"), info)
        else:
            _check(info, devices=devices)
            yield Member(Kind.ENTRY, path, info)


def _headers(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the headers, whatever way they are damaged in."""
    while True:
        try:
            info = archive.next()
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise damaged(error) from error
        if info is None:
            return
        yield info


def damaged(error: Exception) -> BenchError:
    """Return the error for an archive that cannot be read to its end."""
    return BenchError("the layer's archive is damaged", why=str(error), fix="make it again")


def _check(info: tarfile.TarInfo, *, devices: bool) -> None:
    """Refuse an entry that a file system cannot have, or that is not of a file."""
    if info.type not in TYPES:
        raise refused(info.name, f"its type is {info.type!r}, which no engine takes")
    for what, number in (("owner", info.uid), ("group", info.gid)):
        if not 0 <= number < OWNERS:
            raise refused(info.name, f"its {what} is {number}, and there are none from {OWNERS} on")
    if not math.isfinite(info.mtime) or not -TIMES < info.mtime < TIMES:
        raise refused(info.name, f"its time is {info.mtime:g} seconds")
    if "\0" in info.linkname or (info.issym() and not info.linkname):
        raise refused(info.name, f"nothing can be called {info.linkname!r}, to which it leads")
    for key in info.pax_headers:
        if key.removeprefix(XATTR).startswith(NOT_OF_A_FILE) and key.startswith(XATTR):
            raise refused(info.name, f"{key.removeprefix(XATTR)} is a mark of a storage driver, not of a file")
    if info.type in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
        node = f"{info.devmajor}:{info.devminor}"
        if not (0 <= info.devmajor < MAJORS and 0 <= info.devminor < MINORS):
            raise refused(info.name, f"there is no device {node}")
        if not devices:
            raise BenchError(
                f"the layer's archive has a device node: {info.name!r}",
                why=f"it would open the host's device {node}",
                fix="leave it out of the layer",
            )
