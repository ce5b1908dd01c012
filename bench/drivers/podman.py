"""Podman's storage drivers, by a podman with a storage of its own."""

from __future__ import annotations

from bench.drivers.engine import engine_driver
from bench.drivers.overlay2 import Overlay2
from bench.drivers.vfs import Vfs
from bench.engines.podman import Podman

__all__ = ["DRIVERS"]

DRIVERS = (
    engine_driver(Podman, "overlay", Overlay2, cumulative=False),
    engine_driver(Podman, "vfs", Vfs, cumulative=True),
)
