"""Operations on directory entries: files, directories, links, device nodes, and listings."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from bench.oracle.access import (
    names_at,
    open_at,
    opened_at,
    read_at,
    seen_at,
)
from bench.oracle.operations import Operation

__all__ = [
    "ListWhileChanging",
    "MakeDirectory",
    "MakeFifo",
    "MakeHardLink",
    "MakeNode",
    "MakeWhiteout",
    "RemoveDirectory",
    "Rename",
    "SymbolicLink",
    "Unlink",
    "WriteLinked",
]


@dataclass(frozen=True)
class Unlink(Operation):
    """Delete a name."""

    name = "unlink"

    def do(self, root: int) -> object:
        """Return the metadata of the name afterwards."""
        os.unlink(self.path, dir_fd=root)
        return seen_at(root, self.path)


@dataclass(frozen=True)
class MakeDirectory(Operation):
    """Make a directory."""

    mode: int
    name = "mkdir"

    def do(self, root: int) -> object:
        """Return its metadata and its entries: none, whatever the image has there."""
        os.mkdir(self.path, self.mode, dir_fd=root)
        return seen_at(root, self.path), names_at(root, self.path)


@dataclass(frozen=True)
class RemoveDirectory(Operation):
    """Remove an empty directory."""

    name = "rmdir"

    def do(self, root: int) -> object:
        """Return the metadata of the name afterwards."""
        os.rmdir(self.path, dir_fd=root)
        return seen_at(root, self.path)


@dataclass(frozen=True)
class Rename(Operation):
    """Rename; the new name may exist."""

    to: str
    name = "rename"

    def do(self, root: int) -> object:
        """Return the metadata of both names afterwards."""
        os.rename(self.path, self.to, src_dir_fd=root, dst_dir_fd=root)
        return seen_at(root, self.path), seen_at(root, self.to)


@dataclass(frozen=True)
class MakeHardLink(Operation):
    """Make a hard link."""

    to: str
    name = "link"

    def do(self, root: int) -> object:
        """Return the metadata of both names, and whether they have the same inode number."""
        os.link(self.path, self.to, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=False)
        number, linked = (os.stat(path, dir_fd=root, follow_symlinks=False).st_ino for path in (self.path, self.to))
        return seen_at(root, self.path), seen_at(root, self.to), number == linked


@dataclass(frozen=True)
class WriteLinked(Operation):
    """Write to a file by one of its two names, read it by the other, `to`, and delete both."""

    to: str
    data: bytes
    name = "write-linked"

    def do(self, root: int) -> object:
        """Return content and link count, by either name."""
        with opened_at(root, self.path, os.O_WRONLY | os.O_APPEND) as descriptor:
            os.write(descriptor, self.data)
        observed = [(read_at(root, path), seen_at(root, path).links) for path in (self.path, self.to)]
        for path in (self.path, self.to):
            os.unlink(path, dir_fd=root)
        return observed


@dataclass(frozen=True)
class SymbolicLink(Operation):
    """Make a symbolic link."""

    target: str
    name = "symlink"

    def do(self, root: int) -> object:
        """Return its target."""
        os.symlink(self.target, self.path, dir_fd=root)
        return os.readlink(self.path, dir_fd=root)


@dataclass(frozen=True)
class MakeNode(Operation):
    """mknod of a device, which is never opened."""

    device: int
    name = "mknod"

    def do(self, root: int) -> object:
        """A character device other than 0:0; return the metadata."""
        os.mknod(self.path, stat.S_IFCHR | 0o600, os.makedev(1, self.device), dir_fd=root)
        return seen_at(root, self.path)


@dataclass(frozen=True)
class MakeWhiteout(Operation):
    """mknod of a character device 0:0, which overlayfs treats as a whiteout."""

    name = "mknod-0:0"

    def do(self, root: int) -> object:
        """Return the metadata."""
        os.mknod(self.path, stat.S_IFCHR | 0o600, os.makedev(0, 0), dir_fd=root)
        return seen_at(root, self.path)


@dataclass(frozen=True)
class MakeFifo(Operation):
    """mkfifo."""

    name = "mkfifo"

    def do(self, root: int) -> object:
        """Return the metadata."""
        os.mkfifo(self.path, 0o600, dir_fd=root)
        return seen_at(root, self.path)


@dataclass(frozen=True)
class ListWhileChanging(Operation):
    """Read a directory; create a name and delete another between the first entry and the rest."""

    made: str
    deleted: str
    name = "readdir-while-changing"

    def do(self, root: int) -> object:
        """Return the names that were present throughout; POSIX does not specify whether the others are listed."""
        changed = {self.made, self.deleted}
        before = set(names_at(root, self.path))
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        try:
            with os.scandir(descriptor) as entries:
                seen = [entry.name for _, entry in zip(range(1), entries, strict=False)]
                os.close(open_at(descriptor, self.made, os.O_WRONLY | os.O_CREAT))
                if self.deleted in before:
                    os.unlink(self.deleted, dir_fd=descriptor)
                seen += [entry.name for entry in entries]
        finally:
            os.close(descriptor)
        return sorted(set(seen) - changed), len(seen) == len(set(seen)), names_at(root, self.path)
