"""mergerfs: a union of directories in user space without copy-on-write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from bench.drivers.base import Container, CopyUp
from bench.drivers.fuse import FuseUnion
from bench.host.packages import Package
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Mergerfs"]


class Mergerfs(FuseUnion):
    """No storage driver, but a well-known union file system; without copy-on-write it shows the cost of lookups."""

    name = default_program = "mergerfs"
    title = "mergerfs (user space, no copy-on-write)"
    packages: ClassVar = (Package("mergerfs", "mergerfs", "the mergerfs driver", version="-V"),)
    order = 8
    profile = "standard"
    usual_volumes = ("ext4", "xfs")
    copies_on_write = False
    takes_whiteouts = False

    def command(self, lower: Sequence[str], upper: str, work: str) -> list[str]:
        """Policy ff (first found): the topmost file wins; NC keeps new files out of the image's branches."""
        branches = ":".join([f"{upper}=RW", *(f"{path}=NC" for path in lower)])
        options = (
            f"func.access=ff,func.getattr=ff,func.open=ff,category.search=ff,category.create=ff,fsname={self.name}"
        )
        return [self.program, "-f", "-o", options, branches]

    def changes(self, container: Container) -> None:
        """None: it has no whiteouts of overlayfs, so trees have to be compared."""

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """It opens the image's own file without a copy, so first writes are not measured."""
        return CopyUp(None, "none", "mergerfs has no copy-on-write")


DRIVER = Mergerfs
