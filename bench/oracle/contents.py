"""Operations on the content of files."""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass

from bench.oracle.access import (
    content_of,
    digest,
    opened_at,
    read_at,
    seen_at,
)
from bench.oracle.operations import Operation

__all__ = [
    "Append",
    "Create",
    "CreateLong",
    "CreateMarked",
    "MapAndWrite",
    "MapOlder",
    "Overwrite",
    "ReadOlder",
    "Truncate",
    "Write",
]


@dataclass(frozen=True)
class Create(Operation):
    """Create a file."""

    mode: int
    name = "create"

    def do(self, root: int) -> object:
        """O_CREAT with O_EXCL; return the metadata."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.mode, dir_fd=root))
        return seen_at(root, self.path)


@dataclass(frozen=True)
class CreateLong(Create):
    """Create a file whose name may be too long for a driver above the file system."""

    name = "create-long-name"


@dataclass(frozen=True)
class CreateMarked(Create):
    """Create a file whose name some drivers and archives treat as a whiteout."""

    name = "create-.wh.-name"


@dataclass(frozen=True)
class Write(Operation):
    """Write at an offset of an existing file."""

    offset: int
    data: bytes
    name = "write"

    def do(self, root: int) -> object:
        """Return the content afterwards."""
        with opened_at(root, self.path, os.O_RDWR) as descriptor:
            os.pwrite(descriptor, self.data, self.offset)
            return content_of(descriptor)


@dataclass(frozen=True)
class Append(Operation):
    """Write at the end."""

    data: bytes
    name = "append"

    def do(self, root: int) -> object:
        """O_APPEND; return the content afterwards, read through another descriptor."""
        with opened_at(root, self.path, os.O_WRONLY | os.O_APPEND) as descriptor:
            os.write(descriptor, self.data)
        return read_at(root, self.path)


@dataclass(frozen=True)
class Truncate(Operation):
    """Change the size."""

    size: int
    name = "truncate"

    def do(self, root: int) -> object:
        """ftruncate; return the content afterwards."""
        with opened_at(root, self.path, os.O_RDWR) as descriptor:
            os.ftruncate(descriptor, self.size)
            return content_of(descriptor)


@dataclass(frozen=True)
class Overwrite(Operation):
    """Open with O_TRUNC and write."""

    data: bytes
    name = "overwrite"

    def do(self, root: int) -> object:
        """With O_CREAT, as a shell's >; return the content afterwards."""
        with opened_at(root, self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            os.write(descriptor, self.data)
        return read_at(root, self.path)


@dataclass(frozen=True)
class MapAndWrite(Operation):
    """Write through a shared mapping."""

    data: bytes
    name = "mmap"

    def do(self, root: int) -> object:
        """Return the content, read through another descriptor, after msync of the mapping."""
        with opened_at(root, self.path, os.O_RDWR) as descriptor:
            if os.fstat(descriptor).st_size < len(self.data):
                return "too short"
            with mmap.mmap(descriptor, 0) as mapped:
                mapped[: len(self.data)] = self.data
                mapped.flush()
        return read_at(root, self.path)


@dataclass(frozen=True)
class ReadOlder(Operation):
    """Write to a file that another descriptor has open for reading."""

    data: bytes
    name = "read-open-file"

    def do(self, root: int) -> object:
        """Return what the older descriptor reads afterwards."""
        with opened_at(root, self.path, os.O_RDONLY) as older:
            with opened_at(root, self.path, os.O_WRONLY | os.O_APPEND) as descriptor:
                os.write(descriptor, self.data)
            return content_of(older)


@dataclass(frozen=True)
class MapOlder(Operation):
    """Write to a file that has an older mapping, made through a read-only descriptor."""

    data: bytes
    name = "map-open-file"

    def do(self, root: int) -> object:
        """Return the content of the mapping afterwards."""
        with opened_at(root, self.path, os.O_RDONLY) as older:
            size = os.fstat(older).st_size
            if not stat.S_ISREG(os.fstat(older).st_mode) or size < len(self.data):
                return "too short"
            with mmap.mmap(older, 0, prot=mmap.PROT_READ) as mapped:
                with opened_at(root, self.path, os.O_WRONLY) as descriptor:
                    os.pwrite(descriptor, self.data, 0)
                return digest(mapped[:size])
