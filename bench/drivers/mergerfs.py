"""mergerfs: several directories shown as one, in user space; what is in the image's cannot be changed apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from bench.drivers.base import Container, CopyUp
from bench.drivers.fuse import FuseUnion
from bench.host.packages import Package
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Mergerfs"]


class Mergerfs(FuseUnion):
    """No storage driver, but the union that people know; without copy-on-write it shows what lookups cost."""

    name = default_program = "mergerfs"
    title = "mergerfs (user space, no copy-on-write)"
    packages: ClassVar = (Package("mergerfs", "mergerfs", "the mergerfs driver", version="-V"),)
    order = 8
    profile = "standard"
    usual_volumes = ("ext4", "xfs")
    copies_on_write = False
    takes_marks = False

    def command(self, lower: Sequence[str], upper: str, work: str) -> list[str]:
        """First found, so that the topmost file wins; NC keeps new files out of the image's branches."""
        branches = ":".join([f"{upper}=RW", *(f"{path}=NC" for path in lower)])
        options = (
            f"func.access=ff,func.getattr=ff,func.open=ff,category.search=ff,category.create=ff,fsname={self.name}"
        )
        return [self.program, "-f", "-o", options, branches]

    def changes(self, container: Container) -> None:
        """Its marks are its own, so that an engine would have to compare."""

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """It opens the image's own file: nothing is copied, which is why first writes are not measured."""
        return CopyUp(None, "none", "mergerfs has no copy-on-write")


DRIVER = Mergerfs
