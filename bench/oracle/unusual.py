"""Operations that few programs do: on names near the longest, and with the marks of drivers."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench.oracle.attributes import RemoveAttribute, SetAttribute
from bench.oracle.contents import Append, Create
from bench.oracle.entries import Unlink
from bench.oracle.operations import Look

__all__ = ["CreateHidden", "SetMark", "UnlinkLong", "WriteAndUnlinkLong"]


@dataclass(frozen=True)
class UnlinkLong(Unlink):
    """Delete a file of the image with a long name; the name of its mark may be too long."""

    name = "unlink-long-name"


@dataclass(frozen=True)
class WriteAndUnlinkLong(Append):
    """Write to a file of the image with a long name, then delete it."""

    name = "write-and-unlink-long-name"

    def do(self, root: int) -> object:
        """Return the content after the write, and what the name is after the deletion."""
        written = super().do(root)
        os.unlink(self.path, dir_fd=root)
        return written, Look(self.path).do(root)


@dataclass(frozen=True)
class CreateHidden(Create):
    """Make a new file whose name a daemon may leave out of listings."""

    name = "create-.fuse_hidden-name"

    def do(self, root: int) -> object:
        """Return what it is, and what its directory lists then."""
        return super().do(root), Look(os.path.dirname(self.path) or ".").do(root)


@dataclass(frozen=True)
class SetMark(SetAttribute):
    """Set an attribute that marks a directory as opaque to some driver, and remove it."""

    name = "setxattr-mark"

    def do(self, root: int) -> object:
        """Return all user attributes while it is set."""
        attributes = super().do(root)
        RemoveAttribute(self.path, self.key).do(root)
        return attributes
