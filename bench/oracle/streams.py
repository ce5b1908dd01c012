"""Streams of operations, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from bench.oracle.attributes import ChangeMode, ChangeOwner, ChangeTimes, RemoveAttribute, SetAttribute
from bench.oracle.contents import (
    Append,
    Create,
    MapAndWrite,
    MapOlder,
    Overwrite,
    ReadOlder,
    Truncate,
    Write,
)
from bench.oracle.entries import (
    ListWhileChanging,
    MakeDirectory,
    MakeFifo,
    MakeHardLink,
    MakeNode,
    RemoveDirectory,
    Rename,
    SymbolicLink,
    Unlink,
)
from bench.oracle.operations import Look, Operation

__all__ = ["KINDS", "stream"]

LARGE = 70_000  # maximum size of a file in bytes: more than a page, and small enough for a fast stream


XATTRS = ("user.one", "user.two")


KINDS: tuple[type[Operation], ...] = (
    *(Create, Write, Append, Truncate, Overwrite, Unlink, MakeDirectory, RemoveDirectory, Rename, MakeHardLink),
    *(SymbolicLink, ChangeMode, ChangeOwner, ChangeTimes, SetAttribute, RemoveAttribute, MakeNode, MakeFifo),
    *(MapAndWrite, ReadOlder, MapOlder, ListWhileChanging, Look),
)


# Operations need existing names, so those that create names are drawn more often and those that remove whole
# directories less: with equal weights three quarters of all operations failed, now half do.
_MORE_OR_LESS = {Unlink: 8, Overwrite: 6, Create: 4, MakeHardLink: 4, MakeFifo: 1, MakeNode: 1, RemoveDirectory: 1}


_WEIGHTS = [_MORE_OR_LESS.get(kind, 2) for kind in KINDS]


_ON_DIRECTORIES: dict[type[Operation], float] = {
    MakeDirectory: 0.8,
    RemoveDirectory: 0.3,
    Rename: 0.05,
    **dict.fromkeys((ChangeMode, ChangeOwner, ChangeTimes, SetAttribute, RemoveAttribute, Look), 0.2),
}


_MODES = (0o600, 0o644, 0o755, 0o777, 0o1777, 0o4755, 0o000)


def stream(random: random.Random, count: int, directories: Sequence[str], names: Sequence[str]) -> Iterator[Operation]:
    """Yield `count` operations on few paths, so that they interact: each of `names` in each of `directories`."""
    for _ in range(count):
        yield _draw(random, directories, names)


def _draw(random: random.Random, directories: Sequence[str], names: Sequence[str]) -> Operation:
    [kind] = random.choices(KINDS, _WEIGHTS)

    def path() -> str:
        directory = random.choice(directories)
        # Sometimes the directory itself, which can be renamed, removed and created again.
        if directory and kind in _ON_DIRECTORIES and random.random() < _ON_DIRECTORIES[kind]:
            return directory
        return f"{directory}/{random.choice(names)}".lstrip("/")

    data = random.randbytes(random.choice((1, 10, 4096)))
    values: dict[str, Callable[[], object]] = {
        "path": path,
        "mode": lambda: random.choice(_MODES),
        "offset": lambda: random.choice((0, 1, 4095, 8192)),
        "data": lambda: data,
        "size": lambda: random.choice((0, 1, 4096, 10_000, LARGE)),
        "to": path,
        "target": lambda: random.choice(names),
        "uid": lambda: random.choice((0, 1000)),
        "gid": lambda: random.choice((0, 1000)),
        "seconds": lambda: random.randrange(1, 2_000_000_000),
        "key": lambda: random.choice(XATTRS),
        "value": lambda: random.randbytes(8),
        "device": lambda: random.choice((3, 5)),
        "made": lambda: random.choice(names),
        "deleted": lambda: random.choice(names),
    }
    drawn = {field.name: values[field.name]() for field in fields(kind)}
    if kind is ListWhileChanging:
        drawn["path"] = random.choice(directories) or "."
    make: Any = kind
    operation: Operation = make(**drawn)
    return operation
