"""Docker's storage drivers, by a private dockerd: what the stacks that are built by hand are held against."""

from __future__ import annotations

from bench.drivers.btrfs import Btrfs
from bench.drivers.engine import engine_driver
from bench.drivers.fuse_overlayfs import FuseOverlayfs
from bench.drivers.overlay import Overlay
from bench.drivers.overlay2 import Overlay2
from bench.drivers.vfs import Vfs
from bench.engines.docker import Docker

__all__ = ["DRIVERS"]

DRIVERS = (
    engine_driver(Docker, "overlay2", Overlay2, cumulative=False),
    engine_driver(Docker, "fuse-overlayfs", FuseOverlayfs, cumulative=False),
    engine_driver(Docker, "overlay", Overlay, cumulative=True),
    engine_driver(Docker, "vfs", Vfs, cumulative=True, volumes=("ext4", "xfs", "btrfs")),
    engine_driver(Docker, "btrfs", Btrfs, cumulative=True, volumes=("btrfs",)),
)
