"""Reading a layer's archive as entries, whose content stays in the archive.

Whiteouts apply to the layers below and never to the layer itself, in any order of members (OCI image specification,
layer.md). Symbolic links of the layer are resolved within it, as in a chroot; those of the layers below are unknown
here and give way to directories, as with overlayfs.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import IO, cast

from bench.errors import BenchError
from bench.layers.content import Archived, Deleted, Directory, Entry, HardLink, Link, Metadata, Node, Ranges
from bench.layers.members import XATTR, Kind, Member, clean, leads_out, members, open_archive, refused
from bench.layers.tree import Tree

__all__ = ["LINKS", "Region", "RegionFile", "Room", "read_layer"]

MADE = 0o755  # the mode of a directory without a member of its own; its owner is 0
LINKS = 40  # maximum of symbolic links in one path (include/linux/namei.h, MAXSYMLINKS)
SECOND = 10**9
MEMBERS = 500_000  # of an image: each takes some 800 bytes of memory
NAME_BYTES = 96 << 20  # of an image
_KINDS = {tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}

Below = Callable[[str], int | None]
"""Returns the mode of a path in the layers below; None if it is not there."""


def _nothing(path: str) -> int | None:
    return None


@dataclass(frozen=True)
class Region:
    """The `size` bytes at `offset` of the open file `descriptor`: an archive."""

    descriptor: int
    offset: int
    size: int


@dataclass
class Room:
    """What is left of the members that are kept in memory, and of the bytes of their names and attributes."""

    members: int = field(default_factory=lambda: MEMBERS)
    bytes: int = field(default_factory=lambda: NAME_BYTES)

    def take(self, member: Member) -> None:
        """Count a member; raises BenchError if it is one too many."""
        header = member.header
        self.members -= 1
        self.bytes -= len(header.name) + len(header.linkname) + sum(map(len, header.pax_headers.values()))
        if self.members < 0 or self.bytes < 0:
            limit = f"{MEMBERS:,} files" if self.members < 0 else f"{NAME_BYTES >> 20} MiB of names and attributes"
            raise BenchError("the image is too large", why=f"it has more than {limit}", fix="it may be an attack")


def read_layer(
    archive: Region, *, below: Below = _nothing, devices: bool = False, room: Room | None = None
) -> list[Entry]:
    """Return the entries of a layer's archive: deletions, then parents before their content.

    A hard link may lead to a file of the layers `below`. Raises BenchError for a damaged archive, a refused member
    (bench.layers.members), or more than there is `room` for.
    """
    reader = _Reader(archive, below)
    room = room or Room()
    with open_archive(cast("IO[bytes]", io.BufferedReader(RegionFile(archive)))) as opened:
        for member in members(opened, devices=devices):
            room.take(member)
            reader.add(member)
            opened.members.clear()  # type: ignore[attr-defined]  # of which tarfile keeps all
    return reader.entries()


class RegionFile(io.RawIOBase):
    """A region as a file of its own."""

    def __init__(self, region: Region) -> None:
        super().__init__()
        self.region, self.position = region, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.region.size}[whence]
        self.position = max(start + offset, 0)
        return self.position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read on, at most to the region's end."""
        length = min(len(buffer), max(self.region.size - self.position, 0))
        content = os.pread(self.region.descriptor, length, self.region.offset + self.position)
        buffer[: len(content)] = content
        self.position += len(content)
        return len(content)


class _Reader:
    """A layer being read. All paths are relative to its root, without symbolic links in their parents."""

    def __init__(self, archive: Region, below: Below) -> None:
        self.archive, self.below = archive, below
        self.tree = Tree()
        self.whiteouts: dict[str, None] = {}
        self.opaque: dict[str, None] = {}
        self.borrowed: list[tuple[str, str]] = []  # hard links, by member, and their targets in the layers below

    def add(self, member: Member) -> None:
        """Add a member."""
        name = member.header.name
        if member.kind is Kind.OPAQUE:
            self.opaque[self._walk(member.path.split("/"), member.header, make=False)] = None
        elif member.kind is Kind.WHITEOUT:
            self.whiteouts[self._resolve(member.path, member.header, make=False)] = None
        elif not member.path and not member.header.isdir():
            raise refused(name, "the root of an image is a directory")
        else:
            path = self._resolve(member.path, member.header, make=True)
            entry = self._hard_link(member.header, path) if member.header.islnk() else self._entry(member.header, path)
            self.tree.add((entry,))

    def entries(self) -> list[Entry]:
        """Return the layer; raises BenchError for a hard link to a file that the layer itself hides."""
        for name, linked in self.borrowed:
            hidden = any(path in self.whiteouts for path in _and_parents(linked))
            if hidden or any(path in self.opaque for path in (*_and_parents(linked)[:-1], "")):
                raise refused(name, f"it is a hard link to {linked!r}, which the layer itself deletes")
        deletions: list[Entry] = []
        for path in self.whiteouts:
            own = self.tree.get(path)
            if isinstance(own, Directory):
                self.tree.replace(replace(own, opaque=True, implied=False))
            elif own is None and self._may_hide(path):
                deletions.append(Deleted(path))
        for path in self.opaque:
            own = self.tree.get(path)
            if isinstance(own, Directory):
                self.tree.replace(replace(own, opaque=True))
            elif own is None and path not in self.whiteouts and self._may_hide(path):
                deletions.append(Deleted(path, content=True))
        return [*deletions, *self.tree.entries]

    def _may_hide(self, path: str) -> bool:
        """Whether there may be something to hide below a path: its parents are directories that nothing hides."""
        return all(
            isinstance(self.tree.get(parent), Directory | None) and parent not in self.whiteouts
            for parent in _and_parents(path)[:-1]
        )

    def _entry(self, header: tarfile.TarInfo, path: str) -> Entry:
        metadata = _metadata(header)
        if header.isdir():
            return Directory(path, metadata.mode, metadata=metadata)
        if header.issym():
            return Link(path, header.linkname, metadata)
        if header.type in _KINDS:
            device = os.makedev(header.devmajor, header.devminor) if header.isdev() and not header.isfifo() else 0
            return Node(path, _KINDS[header.type], device, metadata)
        offset = self.archive.offset + header.offset_data
        return Archived(
            path,
            header.size,
            mode=metadata.mode,
            metadata=metadata,
            descriptor=self.archive.descriptor,
            offset=offset,
            stored=_stored(header),
        )

    def _hard_link(self, header: tarfile.TarInfo, path: str) -> HardLink:
        """Return a link to a file of the layer, or else of the layers below; `entries` checks that it is not hidden."""
        linked = self._resolve(clean(header.linkname, header.name), header, make=False)
        source = self.tree.get(linked)
        mode = self.below(linked) if source is None else None
        if not linked or (source is None and mode is None):
            raise refused(header.name, f"it is a hard link to {header.linkname!r}, which is not there")
        if f"{linked}/".startswith(f"{path}/"):
            raise refused(header.name, f"it is a hard link to {header.linkname!r}, which it would replace")
        if isinstance(source, Directory) or (mode is not None and stat.S_ISDIR(mode)):
            raise refused(header.name, f"it is a hard link to {header.linkname!r}, which is a directory")
        if source is None:
            self.borrowed.append((header.name, linked))
        return HardLink(path, source.target if isinstance(source, HardLink) else linked)

    def _resolve(self, path: str, header: tarfile.TarInfo, *, make: bool) -> str:
        """Return a path in the layer with its parents' symbolic links resolved within the layer."""
        *parents, last = path.split("/")
        directory = self._walk(parents, header, make=make)
        return f"{directory}/{last}" if directory else last

    def _walk(self, parts: list[str], header: tarfile.TarInfo, *, make: bool) -> str:
        """Return the directory of `parts`, resolved as in a chroot; with `make`, add missing directories.

        Raises BenchError if a link leads out of the root, or to a name that the layer does not have, as dockerd and
        podman do.
        """
        name = header.name
        current: list[str] = []
        remaining = list(reversed(parts))
        links, link_end = 0, -1  # `link_end`: number of parts remaining after those of a link's target
        while remaining:
            part = remaining.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                if not current:
                    raise leads_out(name)
                current.pop()
                continue
            path = "/".join([*current, part])
            entry = self.tree.get(path)
            if entry is None:
                if links and len(remaining) >= link_end:
                    raise refused(name, "it lies below a symbolic link to what is not in the layer")
                if make:
                    self.tree.add((Directory(path, MADE, metadata=_made(header), implied=True),))
                current.append(part)
            elif isinstance(entry, Link):
                links += 1
                if links > LINKS:
                    raise refused(name, "it lies below too many symbolic links")
                if link_end < 0 or len(remaining) < link_end:
                    link_end = len(remaining)
                if entry.target.startswith("/"):
                    current.clear()
                remaining.extend(reversed(entry.target.split("/")))
            elif isinstance(entry, Directory):
                current.append(part)
            else:
                raise refused(name, f"{path!r} is no directory there")
        return "/".join(current)


def _and_parents(path: str) -> list[str]:
    """Return the parents of a path, topmost first, and the path."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _metadata(header: tarfile.TarInfo) -> Metadata:
    own = ((key.removeprefix(XATTR), value) for key, value in header.pax_headers.items() if key.startswith(XATTR))
    found = tuple((key, value.encode("utf-8", "surrogateescape")) for key, value in own)
    return Metadata(stat.S_IMODE(header.mode), header.uid, header.gid, _time(header), found)


def _made(header: tarfile.TarInfo) -> Metadata:
    """Return the metadata of a directory that only the name of a member tells of."""
    return Metadata(MADE, 0, 0, _time(header))


def _time(header: tarfile.TarInfo) -> int:
    """Return a member's time in ns; a float has fewer digits than a pax header."""
    text = header.pax_headers.get("mtime")
    return int(Decimal(text if text is not None else header.mtime) * SECOND)


def _stored(header: tarfile.TarInfo) -> Ranges | None:
    """Return the parts of a sparse file that are in the archive; None if all is."""
    sparse = cast("Sequence[tuple[int, int]] | None", header.sparse)
    if sparse is None:
        return None
    parts = tuple((offset, length) for offset, length in sparse if length)
    end = 0
    for offset, length in parts:
        if offset < end or length < 0 or offset + length > header.size:
            raise refused(header.name, "the parts of this sparse file overlap, or lie beyond its end")
        end = offset + length
    return parts
