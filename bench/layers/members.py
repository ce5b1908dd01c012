"""The members of a layer's archive: their meaning, and which of them are refused.

From the OCI image specification, layer.md ("Whiteouts", "Opaque whiteout"). Where it does not specify the behaviour,
dockerd 20.10, podman 4.3 and containerd 1.6 were tested; docs/method.md has the results.
"""

from __future__ import annotations

import enum
import math
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from tarfile import InvalidHeaderError, ReadError, TruncatedHeaderError  # type: ignore[attr-defined]
from typing import IO, Self

from bench.errors import BenchError
from bench.layers.changes import MARKS_OF_DRIVERS, OPAQUE_FILE, WHITEOUT

__all__ = ["XATTR", "Kind", "Member", "clean", "damaged", "leads_out", "members", "open_archive", "refused"]

XATTR = "SCHILY.xattr."  # prefix of extended attributes in pax headers, as written by tar(1) and Docker
NOT_OF_A_FILE = ("trusted.overlay.", *MARKS_OF_DRIVERS)  # attributes with which a driver would hide lower files
OWNERS = 2**32 - 1  # of the kernel's uid_t; the last value means "unchanged" in chown(2)
NAME, PATH = 255, 4095  # bytes of a name and of a path (include/linux/limits.h: NAME_MAX; PATH_MAX with its NUL)
TIMES = 2**63  # seconds, of time_t
MAJORS, MINORS = 2**12, 2**20  # of the kernel's dev_t (include/linux/kdev_t.h)
HEADER = 1 << 20  # bytes of a header with long names or attributes; Linux has 64 KiB for all attributes of a file
LONG_HEADERS = (b"x", b"g", b"X", b"L", b"K")  # of pax, Solaris and GNU
TYPES = frozenset(
    (
        *(tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE),
        *(tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
    )
)


class Kind(enum.Enum):
    """Meaning of a member for its path."""

    ENTRY = "is there"
    WHITEOUT = "is deleted"
    OPAQUE = "hides what lies below"


@dataclass(frozen=True)
class Member:
    """A member of the archive; `path` is the path that it refers to, relative to the root, and empty for the root."""

    kind: Kind
    path: str
    header: tarfile.TarInfo


class _Header(tarfile.TarInfo):
    """A header whose damage is always an error; tarfile takes a damaged one after the first for the archive's end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """Read the next header."""
        try:
            return super().fromtarfile(tarfile)
        except (InvalidHeaderError, TruncatedHeaderError) as error:
            raise ReadError(str(error)) from error

    def _proc_member(self, tarfile: tarfile.TarFile) -> Self:
        """Refuse headers that are larger than memory should be; tarfile reads any at once."""
        if self.type in LONG_HEADERS and self.size > HEADER:
            raise ReadError(f"a header of {self.size:,} bytes")
        member: Self = super()._proc_member(tarfile)  # type: ignore[misc]
        return member


def open_archive(source: IO[bytes], what: str = "the layer's archive") -> tarfile.TarFile:
    """Open an archive that can be sought in; raises BenchError if it is none."""
    try:
        return tarfile.open(fileobj=source, mode="r:", tarinfo=_Header, encoding="utf-8", errors="surrogateescape")
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise damaged(error, what) from error


def refused(name: str, why: str) -> BenchError:
    """Return the error for a member that cannot be part of a layer."""
    return BenchError(f"the layer's archive has {name!r}", why=why, fix="leave it out of the layer")


def leads_out(name: str) -> BenchError:
    """Return the error for a name that is outside of the image's root."""
    return BenchError(
        f"the layer's archive leads out of its directory: {name!r}", fix="do not use it; it may be an attack"
    )


def clean(name: str, member: str) -> str:
    """Normalise a name relative to the image's root as the engines do: `/a`, `./a` and `b/../a` become `a`.

    Raises BenchError, with the name of the `member`, if it is outside of the root or invalid.
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
    path = "/".join(parts)
    size = len(os.fsencode(path))
    if size > NAME and any(len(os.fsencode(part)) > NAME for part in parts):
        raise refused(member, f"a name has at most {NAME} bytes")
    if size > PATH:
        raise refused(member, f"a path has at most {PATH:,} bytes")
    return path


def members(archive: tarfile.TarFile, *, devices: bool = False) -> Iterator[Member]:
    """Yield the members of `archive` in order, without aufs's own marks (`.wh..wh.NAME`), which engines ignore.

    Raises BenchError for a damaged archive and for invalid members: duplicate names, names outside of the root, marks
    without the name of a file, numbers out of range, types and attributes that a file cannot have; and device nodes,
    unless `devices` are permitted.
    """
    paths: set[str] = set()
    for header in _headers(archive):
        path = clean(header.name, header.name)
        if path in paths:
            raise refused(header.name, "it is there twice")
        paths.add(path)
        head, _, last = path.rpartition("/")
        if any(part.startswith(WHITEOUT) for part in head.split("/")):
            raise refused(header.name, f"a name that begins with {WHITEOUT} is a mark, and nothing lies in it")
        if last == OPAQUE_FILE:
            yield Member(Kind.OPAQUE, head, header)
        elif last.startswith(WHITEOUT):
            name = last.removeprefix(WHITEOUT)
            if name in {"", ".", ".."}:
                raise refused(header.name, "it marks no file as deleted")
            if not name.startswith(WHITEOUT):
                yield Member(Kind.WHITEOUT, f"{head}/{name}".lstrip("/"), header)
        else:
            _check(header, devices=devices)
            yield Member(Kind.ENTRY, path, header)


def _headers(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the headers; raise BenchError for any kind of damage."""
    while True:
        try:
            header = archive.next()
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise damaged(error) from error
        if header is None:
            return
        yield header


def damaged(error: Exception, what: str = "the layer's archive") -> BenchError:
    """Return the error for a damaged archive."""
    return BenchError(f"{what} is damaged", why=str(error), fix="make it again")


def _check(header: tarfile.TarInfo, *, devices: bool) -> None:
    """Raise BenchError for a header with values that a file cannot have."""
    if header.type not in TYPES:
        raise refused(header.name, f"its type is {header.type!r}, which no engine takes")
    for what, number in (("owner", header.uid), ("group", header.gid)):
        if not 0 <= number < OWNERS:
            raise refused(header.name, f"its {what} is {number}, and there are none from {OWNERS} on")
    if not math.isfinite(header.mtime) or not -TIMES < header.mtime < TIMES:
        raise refused(header.name, f"its time is {header.mtime:g} seconds")
    if "\0" in header.linkname or (header.issym() and not header.linkname):
        raise refused(header.name, f"nothing can be called {header.linkname!r}, to which it leads")
    for key in header.pax_headers:
        if key.removeprefix(XATTR).startswith(NOT_OF_A_FILE) and key.startswith(XATTR):
            raise refused(header.name, f"{key.removeprefix(XATTR)} is a mark of a storage driver, not of a file")
    if header.type in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
        node = f"{header.devmajor}:{header.devminor}"
        if not (0 <= header.devmajor < MAJORS and 0 <= header.devminor < MINORS):
            raise refused(header.name, f"there is no device {node}")
        if not devices:
            raise BenchError(
                f"the layer's archive has a device node: {header.name!r}",
                why=f"it would open the host's device {node}",
                fix="leave it out of the layer",
            )
