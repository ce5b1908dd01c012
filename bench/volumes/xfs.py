"""xfs with the current defaults of mkfs: ftype=1, reflink=1."""

from __future__ import annotations

from pathlib import Path

from bench.host.packages import Package
from bench.kernel.xfs import finish_background_work, writebacks
from bench.volumes.base import Recipe

__all__ = ["TYPELESS", "VOLUME", "XfsRecipe"]

TYPELESS = ("-q", "-f", "-K", "-m", "crc=0", "-n", "ftype=0")  # only format V4 can be without types: mkfs.xfs(8), crc


class XfsRecipe(Recipe):
    """xfs, which frees inodes of deleted files in the background."""

    def settle(self, path: Path) -> None:
        """Wait until the inodes are freed."""
        finish_background_work(path)

    def writebacks(self, path: Path) -> int:
        """Return the log items that it has written back."""
        return writebacks(path)


VOLUME = XfsRecipe(
    name="xfs",
    title="xfs (reflink=1)",
    filesystem="xfs",
    program="mkfs.xfs",
    packages=(Package("mkfs.xfs", "xfsprogs", "xfs and xfs-noreflink volumes", version="-V"),),
    arguments=("-q", "-f", "-K", "-n", "ftype=1", "-m", "reflink=1"),  # -K: no discards, as for ext4
    typeless=TYPELESS,
    clones=True,
    directory_bytes=0,  # small directories live in the inode
    minimum_bytes=320 << 20,  # mkfs.xfs refuses less than 300 MiB
    order=2,
)
