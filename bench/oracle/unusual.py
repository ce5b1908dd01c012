"""Unusual operations: names near the maximum length, and drivers' own marks."""

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
    """Delete a file of the image with a long name; the name of its whiteout may be too long."""

    name = "unlink-long-name"


@dataclass(frozen=True)
class WriteAndUnlinkLong(Append):
    """Write to a file of the image with a long name, then delete it."""

    name = "write-and-unlink-long-name"

    def do(self, root: int) -> object:
        """Return the content after the write, and the metadata of the name after the deletion."""
        written = super().do(root)
        os.unlink(self.path, dir_fd=root)
        return written, Look(self.path).do(root)


@dataclass(frozen=True)
class CreateHidden(Create):
    """Create a file whose name a daemon may leave out of listings."""

    name = "create-.fuse_hidden-name"

    def do(self, root: int) -> object:
        """Return its metadata, and the entries of its directory afterwards."""
        return super().do(root), Look(os.path.dirname(self.path) or ".").do(root)


@dataclass(frozen=True)
class SetMark(SetAttribute):
    """Set an attribute with which some driver marks a directory as opaque, and remove it."""

    name = "setxattr-mark"

    def do(self, root: int) -> object:
        """Return all user attributes while it is set."""
        attributes = super().do(root)
        RemoveAttribute(self.path, self.key).do(root)
        return attributes
