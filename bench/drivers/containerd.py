"""containerd's snapshotters, by a private containerd."""

from __future__ import annotations

from bench.drivers.engine import engine_driver
from bench.drivers.overlay2 import Overlay2
from bench.drivers.vfs import Vfs
from bench.engines.containerd import Containerd

__all__ = ["DRIVERS"]

DRIVERS = (
    engine_driver(Containerd, "overlayfs", Overlay2, cumulative=False),
    engine_driver(Containerd, "native", Vfs, cumulative=True),
)
