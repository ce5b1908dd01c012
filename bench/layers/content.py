"""Layer content: directories and files whose bytes follow from a seed, a path and an offset."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CHUNK", "Directory", "File", "Layer", "flatten", "materialise", "pieces", "read_equals"]

CHUNK = 1 << 20  # bytes written and compared at a time
_STAMP = 16  # bytes at the head of each chunk that differ from file to file


@dataclass(frozen=True)
class Directory:
    """A directory of a layer; parents come before children."""

    path: str
    mode: int = 0o755


@dataclass(frozen=True)
class File:
    """A regular file of `size` bytes. `origin` tells apart files of one path in several layers."""

    path: str
    size: int
    origin: int = 0
    mode: int = 0o644


Entry = Directory | File
Layer = Sequence[Entry]


@lru_cache(maxsize=2)
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(CHUNK)  # noqa: S311  content, not a secret


def pieces(file: File, seed: int) -> Iterator[bytes]:
    """Yield the content of `file` in chunks of at most CHUNK bytes."""
    for offset in range(0, file.size, CHUNK):
        length = min(CHUNK, file.size - offset)
        name = f"{seed}:{file.path}:{file.origin}:{offset}".encode()
        stamp = hashlib.blake2b(name, digest_size=_STAMP).digest()
        yield (stamp + memoryview(_noise(seed))[_STAMP : max(length, _STAMP)])[:length]


def materialise(entries: Iterable[Entry], target: Path, seed: int) -> None:
    """Write `entries` below the existing directory `target`; a later file of one path replaces the earlier."""
    base = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parents = {"": base}
    try:
        for entry in entries:
            head, _, name = entry.path.rpartition("/")
            if head not in parents:
                parents[head] = os.open(head, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=base)
            if isinstance(entry, Directory):
                try:
                    os.mkdir(name, entry.mode, dir_fd=parents[head])
                except FileExistsError:  # a layer below brought it
                    os.chmod(name, entry.mode, dir_fd=parents[head])
            else:
                _write(entry, name, parents[head], seed)
    finally:
        for descriptor in parents.values():
            os.close(descriptor)


def _write(file: File, name: str, parent: int, seed: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, file.mode, dir_fd=parent)
    try:
        for piece in pieces(file, seed):
            if os.write(descriptor, piece) != len(piece):
                raise OSError(28, os.strerror(28), file.path)  # a short write to a file: no space
    finally:
        os.close(descriptor)


def flatten(layers: Iterable[Layer]) -> list[Entry]:
    """Return the entries of the merged tree: the topmost file of each path, directories once."""
    merged: dict[str, Entry] = {}
    for layer in layers:
        for entry in layer:
            merged[entry.path] = entry
    return list(merged.values())


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
