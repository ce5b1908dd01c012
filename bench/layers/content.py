"""Layer content: directories, and files whose bytes are a function of a seed, a path and an offset.

A user's content (bench.layers.given) may also have copies of files, symbolic links and hard links, and a user's image
(bench.layers.archived) files in an archive, devices and fifos, each with its metadata. A layer may delete names of the
layers below: with a whiteout if layers are stacked, by removal if each layer is a whole tree.
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

__all__ = [
    "BLOCK",
    "CHUNK",
    "Archived",
    "Copy",
    "Deleted",
    "Directory",
    "Entry",
    "File",
    "HardLink",
    "Layer",
    "Link",
    "Metadata",
    "Node",
    "Ranges",
    "data_bytes",
    "data_ranges",
    "hides",
    "inside",
    "objects",
    "pieces",
    "read_equals",
]

BLOCK = 4096  # the block size of all volumes
CHUNK = 1 << 20  # bytes written and compared at a time
_STAMP = 16  # bytes at the start of each chunk that are unique to the file


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an archive says of a file: permission bits, owner, group, modification time in ns, extended attributes."""

    mode: int
    uid: int
    gid: int
    time: int
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of a layer; parents come before children. `opaque`: it hides the directory in the layers below.

    The empty path is the root, which may be an entry for its metadata. `implied`: the archive names only what lies in
    it, so that a directory of the layers below stays as it is.
    """

    path: str
    mode: int = 0o755
    opaque: bool = False
    metadata: Metadata | None = None
    implied: bool = False


Ranges = tuple[tuple[int, int], ...]
"""Parts of a file, each as (offset, bytes), in order and disjoint."""


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of `size` bytes. `origin` distinguishes files of one path in different layers.

    `data`: the parts that are written, the rest being holes; None: all of it. `named`: the path that determines its
    bytes, if it is not its own.
    """

    path: str
    size: int
    origin: int = 0
    mode: int = 0o644
    data: Ranges | None = None
    named: str = ""
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Copy(File):
    """A regular file with the content of the file `source` of `size` bytes."""

    source: Path = Path()


@dataclass(frozen=True, slots=True)
class Archived(File):
    """A regular file with the `size` bytes at `offset` of the open file `descriptor`.

    `stored`: of a sparse file the parts that the archive has, one after the other from `offset` on; the rest is zeros.
    """

    descriptor: int = -1
    offset: int = 0
    stored: Ranges | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`."""

    path: str
    target: str
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A character or block device or a fifo: `kind` is its S_IFMT, `device` the number of a device."""

    path: str
    kind: int
    device: int = 0
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class HardLink:
    """A hard link to `target`, earlier in the same layer, which is no directory."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """The deletion of a name of the layers below, or of the `content` of a directory there, which stays."""

    path: str
    content: bool = False


Entry = Directory | File | Link | Node | HardLink | Deleted
Layer = Sequence[Entry]


@lru_cache(maxsize=2)
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(CHUNK)  # noqa: S311  content, not a secret


def hides(entry: Entry) -> bool:
    """Tell whether an entry of a layer hides a name of the layers below."""
    return isinstance(entry, Deleted) or (isinstance(entry, Directory) and entry.opaque)


def pieces(file: File, seed: int) -> Iterator[bytes]:
    """Yield the content of `file` in chunks of at most CHUNK bytes, holes as zeros."""
    if isinstance(file, Copy | Archived):
        yield from _read(file) if isinstance(file, Copy) else _extract(file)
        return
    for offset in range(0, file.size, CHUNK):
        length = min(CHUNK, file.size - offset)
        name = f"{seed}:{file.named or file.path}:{file.origin}:{offset}".encode()
        stamp = hashlib.blake2b(name, digest_size=_STAMP).digest()
        piece = (stamp + memoryview(_noise(seed))[_STAMP : max(length, _STAMP)])[:length]
        yield piece if file.data is None else _with_holes(piece, offset, file.data)


def _with_holes(data: bytes, offset: int, ranges: Ranges) -> bytes:
    """Return the part `data` at `offset` of a file, with zeros outside of `ranges`."""
    result = bytearray(len(data))
    for start, end in inside(ranges, offset, len(data)):
        result[start:end] = data[start:end]
    return bytes(result)


def inside(data: Ranges, offset: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield the intersections of `data` with the piece of `length` bytes at `offset`, as (start, end) in the piece."""
    for begin, size in data:
        start, end = max(begin - offset, 0), min(begin + size - offset, length)
        if start < end:
            yield start, end


def data_bytes(entries: Iterable[object]) -> int:
    """Return the bytes of the blocks of all files in `entries`, without holes."""
    return BLOCK * sum(_blocks(entry) for entry in entries if isinstance(entry, File))


def _blocks(file: File) -> int:
    """Return the number of blocks with data of a file."""
    if file.data is None:
        return -(-file.size // BLOCK)
    blocks, last = 0, -1  # `last`: the last block of the previous part
    for offset, length in file.data:
        if length:
            first, last_of_part = max(offset // BLOCK, last + 1), (offset + length - 1) // BLOCK
            blocks += max(last_of_part - first + 1, 0)
            last = max(last, last_of_part)
    return blocks


def data_ranges(descriptor: int, size: int) -> Ranges | None:
    """Return the parts of an open file of `size` bytes that have data; None if all have, or if it is unknown.

    By lseek(2), SEEK_DATA and SEEK_HOLE: a file system without holes reports one range.
    """
    ranges: list[tuple[int, int]] = []
    end = 0
    try:
        while end < size:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
            ranges.append((start, end - start))
    except OSError as error:
        if error.errno == errno.EINVAL:  # not supported by the file system
            return None
        if error.errno != errno.ENXIO:  # no data from `end` on
            raise
    return None if ranges == [(0, size)] or not size else tuple(ranges)


def objects(layers: Iterable[Iterable[Entry]]) -> int:
    """Return the number of inodes of layers' entries, without their roots."""
    return sum(entry.path != "" and not isinstance(entry, HardLink) for layer in layers for entry in layer)


def _extract(file: Archived) -> Iterator[bytes]:
    """Yield the content of a file in an archive; raise OSError if the archive is shorter than it was."""
    stored = file.stored if file.stored is not None else ((0, file.size),)
    places = accumulate((length for _, length in stored), initial=file.offset)
    parts = deque((offset, offset + length, place) for (offset, length), place in zip(stored, places, strict=False))
    for start in range(0, file.size, CHUNK):
        end = min(start + CHUNK, file.size)
        piece = bytearray(end - start)
        while parts and parts[0][0] < end:
            offset, last, place = parts[0]
            first, until = max(offset, start), min(last, end)
            content = os.pread(file.descriptor, until - first, place + first - offset)
            if len(content) != until - first:
                raise OSError(errno.EIO, "the archive is shorter than it was", file.path)
            piece[first - start : until - start] = content
            if last > end:
                break
            parts.popleft()
        yield bytes(piece)


def _read(file: Copy) -> Iterator[bytes]:
    with file.source.open("rb", buffering=0) as source:
        while piece := source.read(CHUNK):
            yield piece


def read_equals(descriptor: int, file: File, seed: int, *, head: bytes = b"") -> bool:
    """Tell whether the open file has `file`'s content with its first bytes replaced by `head`."""
    offset = 0
    size = max(file.size, len(head))
    if os.fstat(descriptor).st_size != size:
        return False
    if file.size == 0:
        return os.pread(descriptor, len(head) + 1, 0) == head
    for piece in pieces(file, seed):
        expected = piece
        if offset < len(head):
            expected = head[offset : offset + max(len(piece), len(head))] + piece[len(head) - offset :]
        if os.pread(descriptor, len(expected) + (offset + len(expected) == size), offset) != expected:
            return False
        offset += len(piece)
    return True
