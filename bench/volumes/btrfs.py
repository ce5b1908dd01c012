"""btrfs with the defaults of mkfs: one device, duplicated metadata."""

from __future__ import annotations

from bench.host.packages import Package
from bench.volumes.base import Recipe

VOLUME = Recipe(
    name="btrfs",
    title="btrfs",
    filesystem="btrfs",
    program="mkfs.btrfs",
    packages=(Package("mkfs.btrfs", "btrfs-progs", "btrfs volumes and the btrfs driver", version="--version"),),
    arguments=("-q", "-f", "--nodiscard"),
    clones=True,
    counts=False,
    directory_bytes=0,  # items of the metadata tree, which statfs counts by chunks
    minimum_bytes=512 << 20,  # metadata is allocated in chunks of up to 256 MiB
    inode_bytes=2048,  # inode item, directory entries and name, duplicated
    profile="standard",
    drivers=("overlay2", "vfs", "btrfs", "docker/vfs", "docker/btrfs"),
    order=4,
)
