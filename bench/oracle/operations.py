"""Operations on files, each a frozen record that can be run below any directory."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import ClassVar

from bench.oracle.access import file_at, names_at, seen_at

__all__ = ["Look", "Operation", "Result"]

Result = tuple[str, object]
"""Result of an operation: ("ok", observation), or (name of errno, None)."""


@dataclass(frozen=True)
class Operation:
    """One system call or a few; `path` is relative to the directory in which it runs."""

    path: str

    name: ClassVar[str]

    def do(self, root: int) -> object:
        """Run it below the open directory `root`; return the observation. Raises OSError."""
        raise NotImplementedError

    def __str__(self) -> str:
        values = (getattr(self, field.name) for field in fields(self))
        arguments = (f"{len(value)} bytes" if isinstance(value, bytes) else repr(value) for value in values)
        return f"{self.name}({', '.join(arguments)})"


@dataclass(frozen=True)
class Look(Operation):
    """Read the metadata and content of a name."""

    name = "look"

    def do(self, root: int) -> object:
        """Return its metadata, and its content, entries or target."""
        seen = seen_at(root, self.path)
        if seen.kind == "file":
            return (seen, *file_at(root, self.path))
        if seen.kind == "directory":
            return seen, names_at(root, self.path)
        return seen, os.readlink(self.path, dir_fd=root) if seen.kind == "link" else None
