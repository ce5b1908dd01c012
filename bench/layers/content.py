"""Layer content: directories, and files whose bytes follow from a seed, a path and an offset.

What a user gives (bench.layers.given) may also be a copy of a file, a symbolic link, or another name of a file; and a
layer may delete what the layers below hold, which is a mark where layers are stacked and an absence where each holds
the whole tree.
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

__all__ = [
    "BLOCK",
    "CHUNK",
    "Copy",
    "Deleted",
    "Directory",
    "Entry",
    "File",
    "HardLink",
    "Layer",
    "Link",
    "Ranges",
    "data_bytes",
    "data_ranges",
    "hides",
    "materialise",
    "pieces",
    "read_equals",
]

BLOCK = 4096  # the block size that mkfs chooses for every volume here
CHUNK = 1 << 20  # bytes written and compared at a time
T = TypeVar("T")
_STAMP = 16  # bytes at the head of each chunk that differ from file to file


@dataclass(frozen=True)
class Directory:
    """A directory of a layer; parents come before children. `opaque`: it hides what the layers below have there."""

    path: str
    mode: int = 0o755
    opaque: bool = False


Ranges = tuple[tuple[int, int], ...]
"""Parts of a file, each as (offset, bytes), in order and apart from each other."""


@dataclass(frozen=True)
class File:
    """A regular file of `size` bytes. `origin` tells apart files of one path in several layers.

    `data`: the only parts that are written, the rest being holes; None: all of it. `named`: the path that its bytes
    follow from, where that is not its own.
    """

    path: str
    size: int
    origin: int = 0
    mode: int = 0o644
    data: Ranges | None = None
    named: str = ""


@dataclass(frozen=True)
class Copy(File):
    """A regular file with the content of the file `source`, which has `size` bytes."""

    source: Path = Path()


@dataclass(frozen=True)
class Link:
    """A symbolic link to `target`."""

    path: str
    target: str


@dataclass(frozen=True)
class HardLink:
    """Another name of the file at `target`, a File that comes earlier in the same layer."""

    path: str
    target: str


@dataclass(frozen=True)
class Deleted:
    """A name of the layers below that is deleted."""

    path: str


Entry = Directory | File | Link | HardLink | Deleted
Layer = Sequence[Entry]


@lru_cache(maxsize=2)
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(CHUNK)  # noqa: S311  content, not a secret


def hides(entry: Entry) -> bool:
    """Tell whether an entry of a layer hides what the layers below have there."""
    return isinstance(entry, Deleted) or (isinstance(entry, Directory) and entry.opaque)


def pieces(file: File, seed: int) -> Iterator[bytes]:
    """Yield the content of `file` in chunks of at most CHUNK bytes, holes as zeros."""
    if isinstance(file, Copy):
        yield from _read(file)
        return
    for offset in range(0, file.size, CHUNK):
        length = min(CHUNK, file.size - offset)
        name = f"{seed}:{file.named or file.path}:{file.origin}:{offset}".encode()
        stamp = hashlib.blake2b(name, digest_size=_STAMP).digest()
        whole = (stamp + memoryview(_noise(seed))[_STAMP : max(length, _STAMP)])[:length]
        yield whole if file.data is None else _with_holes(whole, offset, file.data)


def _with_holes(whole: bytes, offset: int, data: Ranges) -> bytes:
    """Return the piece `whole` at `offset` of a file with zeros where it has a hole."""
    piece = bytearray(len(whole))
    for start, end in _inside(data, offset, len(whole)):
        piece[start:end] = whole[start:end]
    return bytes(piece)


def _inside(data: Ranges, offset: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield what the piece of `length` bytes at `offset` has of `data`, as (start, end) within the piece."""
    for begin, size in data:
        start, end = max(begin - offset, 0), min(begin + size - offset, length)
        if start < end:
            yield start, end


def data_bytes(entries: Iterable[object]) -> int:
    """Return the bytes of the blocks that the files among `entries` fill; holes fill none."""
    return BLOCK * sum(_blocks(entry) for entry in entries if isinstance(entry, File))


def _blocks(file: File) -> int:
    """Return how many blocks hold data of a file."""
    if file.data is None:
        return -(-file.size // BLOCK)
    blocks, last = 0, -1  # `last`: the block that the part before ended in
    for offset, length in file.data:
        if length:
            first, last_of_part = max(offset // BLOCK, last + 1), (offset + length - 1) // BLOCK
            blocks += max(last_of_part - first + 1, 0)
            last = max(last, last_of_part)
    return blocks


def data_ranges(descriptor: int, size: int) -> Ranges | None:
    """Return the parts of an open file of `size` bytes that hold data; None if all do, or nothing tells.

    lseek(2), SEEK_DATA and SEEK_HOLE: a file system that knows no holes reports one range.
    """
    found: list[tuple[int, int]] = []
    end = 0
    try:
        while end < size:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
            found.append((start, end - start))
    except OSError as error:
        if error.errno == errno.EINVAL:  # such a file system does not tell
            return None
        if error.errno != errno.ENXIO:  # no data from `end` on
            raise
    return None if found == [(0, size)] or not size else tuple(found)


def _read(file: Copy) -> Iterator[bytes]:
    with file.source.open("rb", buffering=0) as source:
        while piece := source.read(CHUNK):
            yield piece


def materialise(entries: Iterable[Entry], target: Path, seed: int, opaque: str = "") -> None:
    """Write `entries` below the existing directory `target`; a later file of one path replaces the earlier.

    With `opaque`, the attribute that marks an opaque directory, `target` is a layer of an overlay: what it deletes gets
    a mark (fs/overlayfs: a character device 0:0). Without, it is a whole tree, and that is deleted.

    No link is followed, of `entries` or of earlier layers: it would lead out of `target`.
    """
    base = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parents = {"": base}
    try:
        for entry in entries:
            head, _, name = entry.path.rpartition("/")
            if head not in parents:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                parents[head] = os.open(head, flags, dir_fd=base)
            if isinstance(entry, Directory):
                _make(entry, name, parents[head])
                if entry.opaque and not opaque:
                    _empty(name, parents[head])
                if entry.opaque and opaque:
                    os.setxattr(target / entry.path, opaque, b"y", follow_symlinks=False)
            elif isinstance(entry, Deleted):
                _delete(name, parents[head], marked=bool(opaque))
            elif isinstance(entry, Link):
                _replacing(name, parents[head], partial(os.symlink, entry.target, dir_fd=parents[head]))
            elif isinstance(entry, HardLink):
                _hard_link(entry, name, base, parents[head])
            else:
                _write(entry, name, parents[head], seed)
    finally:
        for descriptor in parents.values():
            os.close(descriptor)


def _make(directory: Directory, name: str, parent: int) -> None:
    try:
        os.mkdir(name, directory.mode, dir_fd=parent)
    except FileExistsError:  # a layer below brought it
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.chmod(name, directory.mode, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, directory.mode, dir_fd=parent)


def _empty(name: str, parent: int) -> None:
    """Remove what a directory holds; it stays the one that it was, as where an archive is unpacked."""
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for inside in os.listdir(directory):
            _delete(inside, directory, marked=False)
    finally:
        os.close(directory)


def _delete(name: str, parent: int, *, marked: bool) -> None:
    if marked:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
    elif stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        shutil.rmtree(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)


def _replacing(name: str, parent: int, make: Callable[[str], T]) -> T:
    """Make `name`; what a layer below brought is replaced, not written to, because it may have other names."""
    try:
        return make(name)
    except FileExistsError:
        os.unlink(name, dir_fd=parent)
        return make(name)


def _hard_link(link: HardLink, name: str, base: int, parent: int) -> None:
    make = partial(os.link, link.target, src_dir_fd=base, dst_dir_fd=parent, follow_symlinks=False)
    _replacing(name, parent, make)


def _write(file: File, name: str, parent: int, seed: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = _replacing(name, parent, partial(os.open, flags=flags, mode=file.mode, dir_fd=parent))
    try:
        offset = 0
        for piece in pieces(file, seed):
            data = [(0, len(piece))] if file.data is None else _inside(file.data, offset, len(piece))
            for start, end in data:
                if os.pwrite(descriptor, piece[start:end], offset + start) != end - start:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.path)
            offset += len(piece)
        if file.data is not None:
            os.ftruncate(descriptor, file.size)
    finally:
        os.close(descriptor)


def read_equals(descriptor: int, file: File, seed: int, *, head: bytes = b"") -> bool:
    """Tell whether the open file holds `file`'s content with its first bytes replaced by `head`."""
    offset = 0
    size = max(file.size, len(head))
    if os.fstat(descriptor).st_size != size:
        return False
    if file.size == 0:
        return os.pread(descriptor, len(head) + 1, 0) == head
    for piece in pieces(file, seed):
        want = piece
        if offset < len(head):
            want = head[offset : offset + max(len(piece), len(head))] + piece[len(head) - offset :]
        if os.pread(descriptor, len(want) + (offset + len(want) == size), offset) != want:
            return False
        offset += len(piece)
    return True
