"""Real volumes for tests, made inside the namespaces of a test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import discovery
from bench.measure.arms import parse_driver
from bench.volumes.base import LoopVolume

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.model import Support

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
    "working",
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


def _support(driver: str, volume: str) -> Support:
    """Tell whether a driver, perhaps with options, works here on a volume."""
    name, options = parse_driver(driver)
    return discovery.driver(name)(dict(options)).probe(discovery.volume(volume))


def works(driver: str, volume: str) -> bool:
    """Tell whether a driver works here on a volume."""
    return _support(driver, volume).ok


def require(*, volume: str = "", driver: str = "") -> None:
    """Skip the test, with the reason, where a volume or a driver (perhaps with options) does not work."""
    import pytest

    if volume and not (support := discovery.volume(volume).probe()).ok:
        pytest.skip(f"{volume}: {support.reason}")
    if driver and not (support := _support(driver, volume or "ext4")).ok:
        pytest.skip(f"{driver}: {support.reason}")


def working(drivers: Iterable[str], volume: str) -> list[str]:
    """Return the drivers, perhaps with options, that work on a volume; skip the test, with the reason, if none does."""
    support = {driver: _support(driver, volume) for driver in drivers}
    found = [driver for driver, of_driver in support.items() if of_driver.ok]
    if not found:
        import pytest

        pytest.skip("; ".join(f"{driver}: {of_driver.reason}" for driver, of_driver in support.items()))
    return found


def device_reads(volume: LoopVolume) -> int:
    """Return the bytes read from the volume's device: field 3 of its `stat`, in sectors of 512 bytes."""
    from pathlib import Path

    return int(Path(f"/sys/block/loop{volume.device.number}/stat").read_text().split()[2]) * 512
