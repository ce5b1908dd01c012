"""xfs as mkfs makes it today: ftype=1, reflink=1."""

from __future__ import annotations

from bench.volumes.base import Recipe

VOLUME = Recipe(
    name="xfs",
    title="xfs (reflink=1)",
    filesystem="xfs",
    program="mkfs.xfs",
    arguments=("-q", "-f", "-n", "ftype=1", "-m", "reflink=1"),
    clones=True,
    directory_bytes=0,  # small directories live in the inode
    minimum_bytes=320 << 20,  # mkfs.xfs refuses less than 300 MiB
    order=2,
)
