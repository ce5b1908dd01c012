"""Layer content: directories, and files whose bytes follow from a seed, a path and an offset.

What a user gives (bench.layers.given) may also be a copy of a file, or a symbolic link; and a layer may delete what
the layers below hold, which is a mark where layers are stacked and an absence where each holds the whole tree.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = [
    "CHUNK",
    "Copy",
    "Deleted",
    "Directory",
    "File",
    "Layer",
    "Link",
    "Tree",
    "flatten",
    "materialise",
    "pieces",
    "read_equals",
]

CHUNK = 1 << 20  # bytes written and compared at a time
_STAMP = 16  # bytes at the head of each chunk that differ from file to file


@dataclass(frozen=True)
class Directory:
    """A directory of a layer; parents come before children. `opaque`: it hides what the layers below have there."""

    path: str
    mode: int = 0o755
    opaque: bool = False


@dataclass(frozen=True)
class File:
    """A regular file of `size` bytes. `origin` tells apart files of one path in several layers."""

    path: str
    size: int
    origin: int = 0
    mode: int = 0o644


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
class Deleted:
    """A name of the layers below that is deleted."""

    path: str


Entry = Directory | File | Link | Deleted
Layer = Sequence[Entry]


@lru_cache(maxsize=2)
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(CHUNK)  # noqa: S311  content, not a secret


def pieces(file: File, seed: int) -> Iterator[bytes]:
    """Yield the content of `file` in chunks of at most CHUNK bytes."""
    if isinstance(file, Copy):
        yield from _read(file)
        return
    for offset in range(0, file.size, CHUNK):
        length = min(CHUNK, file.size - offset)
        name = f"{seed}:{file.path}:{file.origin}:{offset}".encode()
        stamp = hashlib.blake2b(name, digest_size=_STAMP).digest()
        yield (stamp + memoryview(_noise(seed))[_STAMP : max(length, _STAMP)])[:length]


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
                _link(entry, name, parents[head])
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


def _link(link: Link, name: str, parent: int) -> None:
    try:
        os.symlink(link.target, name, dir_fd=parent)
    except FileExistsError:
        os.unlink(name, dir_fd=parent)
        os.symlink(link.target, name, dir_fd=parent)


def _write(file: File, name: str, parent: int, seed: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, file.mode, dir_fd=parent)
    except FileExistsError:  # what a layer below brought is replaced, not written to: it may have other names
        os.unlink(name, dir_fd=parent)
        descriptor = os.open(name, flags, file.mode, dir_fd=parent)
    try:
        for piece in pieces(file, seed):
            if os.write(descriptor, piece) != len(piece):
                raise OSError(28, os.strerror(28), file.path)  # a short write to a file: no space
    finally:
        os.close(descriptor)


class Tree:
    """The merged tree of the layers added so far: the topmost file of each path, directories once, nothing deleted."""

    def __init__(self) -> None:
        """Begin without a layer."""
        self._entries: dict[str, Entry] = {}
        self._counts: Counter[type] = Counter()

    @property
    def entries(self) -> list[Entry]:
        """All of it, each directory before what it holds."""
        return list(self._entries.values())

    @property
    def directories(self) -> int:
        """How many directories it has, its root not among them."""
        return self._counts[Directory]

    @property
    def links(self) -> int:
        """How many symbolic links it has."""
        return self._counts[Link]

    def add(self, layer: Layer) -> None:
        """Put a layer on top."""
        for entry in layer:
            if isinstance(entry, Deleted) or (isinstance(entry, Directory) and entry.opaque):
                below = f"{entry.path}/"
                for path in [path for path in self._entries if f"{path}/".startswith(below)]:
                    self._counts[type(self._entries.pop(path))] -= 1
            if not isinstance(entry, Deleted):
                if (replaced := self._entries.get(entry.path)) is not None:
                    self._counts[type(replaced)] -= 1
                self._counts[type(entry)] += 1
                self._entries[entry.path] = entry


def flatten(layers: Iterable[Layer]) -> list[Entry]:
    """Return the entries of the merged tree of `layers`."""
    tree = Tree()
    for layer in layers:
        tree.add(layer)
    return tree.entries


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
