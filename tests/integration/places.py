"""Real volumes for tests, made inside the namespaces of a test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import discovery
from bench.measure.arms import parse_driver
from bench.volumes.base import LoopVolume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "BY_HAND",
    "DRIVERS",
    "ENGINES",
    "LAYERED",
    "LOOPED",
    "device_reads",
    "made",
    "own_volume",
    "require",
    "works",
]

LOOPED = ("ext4", "xfs", "xfs-noreflink")
LAYERED = ("overlay2", "fuse-overlayfs", "unionfs-fuse", "mergerfs")  # on overlay2's layout
DRIVERS = ("native", "vfs", "overlay", *LAYERED)
ENGINES = tuple(name for name, kind in discovery.drivers().items() if kind.daemon)
BY_HAND = tuple(name for name, kind in discovery.drivers().items() if not kind.daemon)
SIZE = 128 << 20


@contextmanager
def made(name: str, place: Path, *, size: int = SIZE, inodes: int = 20_000) -> Iterator[LoopVolume]:
    """Make a volume below `place` for as long as this is entered; only in a private mount namespace."""
    recipe = discovery.volume(name)
    volume = recipe.make(place / name, place, size=max(size, recipe.minimum_bytes), inodes=inodes)
    assert isinstance(volume, LoopVolume)
    try:
        yield volume
    finally:
        volume.close()


def own_volume(driver: str) -> str:
    """Return the volume on which a driver is tried: its own kind, if it has one."""
    own = {"btrfs": "btrfs", "zfs": "zfs", "devicemapper": "thin-ext4"}
    return next((volume for name, volume in own.items() if driver.endswith(name)), "ext4")


def works(driver: str, volume: str) -> bool:
    """Tell whether a driver works here on a volume."""
    return discovery.driver(driver)().probe(discovery.volume(volume)).ok


def require(*, volume: str = "", driver: str = "") -> None:
    """Skip the test, with the reason, where a volume or a driver (perhaps with options) does not work."""
    import pytest

    if volume and not (support := discovery.volume(volume).probe()).ok:
        pytest.skip(f"{volume}: {support.reason}")
    if driver:
        name, options = parse_driver(driver)
        support = discovery.driver(name)(dict(options)).probe(discovery.volume(volume or "ext4"))
        if not support.ok:
            pytest.skip(f"{driver}: {support.reason}")


def device_reads(volume: LoopVolume) -> int:
    """Return the bytes read from the volume's device: field 3 of its `stat`, in sectors of 512 bytes."""
    from pathlib import Path

    return int(Path(f"/sys/block/loop{volume.device.number}/stat").read_text().split()[2]) * 512
