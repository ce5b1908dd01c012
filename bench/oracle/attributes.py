"""Operations on a file's metadata: mode, owner, times, extended attributes."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from bench.oracle.access import (
    attributes_at,
    seen_at,
)
from bench.oracle.operations import Operation

__all__ = ["ChangeMode", "ChangeOwner", "ChangeTimes", "RemoveAttribute", "SetAttribute"]


@dataclass(frozen=True)
class ChangeMode(Operation):
    """chmod."""

    mode: int
    name = "chmod"

    def do(self, root: int) -> object:
        """Return the metadata afterwards; symbolic links are skipped, because their target may lie outside."""
        if stat.S_ISLNK(os.stat(self.path, dir_fd=root, follow_symlinks=False).st_mode):
            return "a link"
        os.chmod(self.path, self.mode, dir_fd=root)
        return seen_at(root, self.path)


@dataclass(frozen=True)
class ChangeOwner(Operation):
    """chown."""

    uid: int
    gid: int
    name = "chown"

    def do(self, root: int) -> object:
        """lchown, which clears set-user-ID bits of files; return the metadata afterwards."""
        os.chown(self.path, self.uid, self.gid, dir_fd=root, follow_symlinks=False)
        return seen_at(root, self.path)


@dataclass(frozen=True)
class ChangeTimes(Operation):
    """utimensat."""

    seconds: int
    name = "utimes"

    def do(self, root: int) -> object:
        """Return the modification time afterwards, in seconds: daemons differ in their handling of nanoseconds."""
        nanoseconds = self.seconds * 10**9
        os.utime(self.path, ns=(nanoseconds, nanoseconds), dir_fd=root, follow_symlinks=False)
        return int(os.stat(self.path, dir_fd=root, follow_symlinks=False).st_mtime)


@dataclass(frozen=True)
class SetAttribute(Operation):
    """setxattr."""

    key: str
    value: bytes
    name = "setxattr"

    def do(self, root: int) -> object:
        """Return all user attributes afterwards."""
        path = f"/proc/self/fd/{root}/{self.path}"
        os.setxattr(path, self.key, self.value, follow_symlinks=False)
        return attributes_at(root, self.path)


@dataclass(frozen=True)
class RemoveAttribute(Operation):
    """removexattr."""

    key: str
    name = "removexattr"

    def do(self, root: int) -> object:
        """Return all user attributes afterwards."""
        os.removexattr(f"/proc/self/fd/{root}/{self.path}", self.key, follow_symlinks=False)
        return attributes_at(root, self.path)
