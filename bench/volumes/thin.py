"""Thin volumes of device mapper: ext4 or xfs on a snapshot of an empty base device, in a pool on one loop device.

    layer-bench-loopN-metadata, -data    the two parts of the loop device
    layer-bench-loopN-pool               the pool, in blocks of 64 KiB
    layer-bench-loopN-ID                 a thin device: 1 is the base, 0 the volume itself, others are layers

As Docker's devicemapper driver makes it (daemon/graphdriver/devmapper/deviceset.go of 20.10), but for the two parts of
one loop device instead of two sparse files, and for discards, which stay in the pool: see bench.kernel.loop.fill.
Devices are removed as soon as they are in use, so the kernel takes them away with their last user.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bench.kernel import devmapper, mounts
from bench.kernel.devmapper import SECTOR, Mapped, Target
from bench.kernel.loop import LoopDevice, nameless_file
from bench.model import Support
from bench.volumes import ext4, xfs
from bench.volumes.base import LoopVolume, Recipe, Usage, load_module

__all__ = ["BASE", "POOL_BLOCK", "VOLUMES", "ThinPool", "ThinRecipe", "ThinVolume"]

PREFIX = "layer-bench-"
POOL_BLOCK = 64 << 10  # bytes; Docker's DefaultThinpBlockSize is 128 sectors
LOW_WATER = 32768  # pool blocks, Docker's: below it the kernel sends an event, for which nobody waits here
FEATURES = "2 skip_block_zeroing no_discard_passdown"
METADATA_SHARE, METADATA_MINIMUM = 32, 16 << 20  # of the device for the pool's metadata: a part of it, bytes
SUPERBLOCK = 4096  # bytes; zeroed, they make an empty pool
GUEST = "a guest (`run --kernel 6.1`)"
OWN, BASE = 0, 1  # identities of thin devices; Docker's base is 1 as well
PARTS = ("pool", "metadata", "data")


class ThinRecipe(Recipe):
    """A file system on a thin device."""

    def probe(self) -> Support:
        """Require what the file system requires, and device mapper's thin targets."""
        support = super().probe()
        if not support.ok:
            return support
        load_module("dm_thin_pool")
        try:
            missing = {"linear", "thin", "thin-pool"} - devmapper.targets()
        except OSError:
            return Support.no("not supported by this kernel: no device mapper", f"{GUEST} has it")
        if missing:
            return Support.no(f"not supported by this kernel: no {min(missing)} in device mapper's targets")
        return support

    def make(self, path: Path, work: Path, *, size: int, inodes: int) -> ThinVolume:
        """Make a pool, a base device with a file system, and a snapshot of it, mounted at `path`."""
        return ThinVolume(self, path, work, size=size, inodes=inodes)


@dataclass
class ThinPool:
    """A thin pool on the block device `device` of `size` bytes; its thin devices have file systems of `recipe`."""

    name: str
    device: str
    size: int
    recipe: Recipe
    last: int = BASE  # the last identity of a thin device that was made
    transaction: int = 0  # Docker's count of changes to the set of thin devices, which the pool keeps
    mapped: Mapped | None = None
    _held: int = field(default=-1, repr=False)  # an open descriptor, which keeps the pool

    @property
    def metadata_sectors(self) -> int:
        """The part of the device for the pool's metadata."""
        return max(self.size // METADATA_SHARE, METADATA_MINIMUM) // POOL_BLOCK * POOL_BLOCK // SECTOR

    @property
    def sectors(self) -> int:
        """The rest, and the size of each thin device."""
        return (self.size - self.metadata_sectors * SECTOR) // POOL_BLOCK * POOL_BLOCK // SECTOR

    def open(self) -> None:
        """Assemble the pool from its parts."""
        parts = {"metadata": (0, self.metadata_sectors), "data": (self.metadata_sectors, self.sectors)}
        try:
            numbers = [
                devmapper.activate(f"{self.name}-{part}", Target(sectors, "linear", f"{self.device} {start}")).number
                for part, (start, sectors) in parts.items()
            ]
            table = f"{' '.join(numbers)} {POOL_BLOCK // SECTOR} {LOW_WATER} {FEATURES}"
            self.mapped = devmapper.activate(f"{self.name}-pool", Target(self.sectors, "thin-pool", table))
            self._held = os.open(self.mapped.path, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            self._let_go()

    @property
    def is_open(self) -> bool:
        """Whether it was assembled and not let go."""
        return self._held >= 0

    def close(self) -> None:
        """Let the pool go, with thin devices that are active but not mounted."""
        if self.mapped is not None:
            for name in devmapper.users(self.mapped):
                devmapper.deactivate(name)
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
        for part in PARTS:
            devmapper.wait_until_gone(f"{self.name}-{part}")

    def _let_go(self) -> None:
        """Remove the devices now, or with their last user."""
        for part in PARTS:
            devmapper.deactivate(f"{self.name}-{part}")

    def create(self, identity: int, origin: int | None = None) -> None:
        """Make a thin device: empty, or a snapshot of a device that nobody writes to."""
        self.send(f"create_thin {identity}" if origin is None else f"create_snap {identity} {origin}")

    def delete(self, identity: int) -> None:
        """Give the blocks of a thin device back to the pool."""
        devmapper.wait_until_gone(f"{self.name}-{identity}")
        self.send(f"delete {identity}")

    def commit(self) -> None:
        """Count one change more of the set of thin devices, as Docker does after each."""
        self.send(f"set_transaction_id {self.transaction} {self.transaction + 1}")
        self.transaction += 1

    def send(self, message: str) -> None:
        """Send the pool a message."""
        devmapper.send(f"{self.name}-pool", message)

    def activate(self, identity: int) -> str:
        """Make a thin device usable; return its path."""
        assert self.mapped is not None
        target = Target(self.sectors, "thin", f"{self.mapped.number} {identity}")
        return devmapper.activate(f"{self.name}-{identity}", target).path

    def deactivate(self, identity: int) -> None:
        """Remove a device now, or when it is unmounted."""
        devmapper.deactivate(f"{self.name}-{identity}")

    def mount(self, identity: int, target: Path, *, flags: int = 0) -> None:
        """Activate a thin device and mount it; it goes with the mount."""
        path = self.activate(identity)
        try:
            mounts.mount(path, target, self.recipe.filesystem, flags=flags, options=self.recipe.mount_options)
        finally:
            self.deactivate(identity)

    def used_bytes(self) -> int:
        """Return the bytes of the pool's data that thin devices use, a block that they share once."""
        used, _, _ = devmapper.status(f"{self.name}-pool").split()[2].partition("/")
        return int(used) * POOL_BLOCK


class ThinVolume(LoopVolume):
    """A snapshot of the base device; the layers' devices, mounted below it, are of the same pool."""

    made: ClassVar[dict[str, ThinVolume]] = {}  # by this process, by the names of their pools

    def __init__(self, recipe: Recipe, path: Path, work: Path, *, size: int, inodes: int) -> None:
        self.pool: ThinPool | None = None
        self.work = work
        self.lent: dict[Path, tuple[ThinPool, LoopDevice]] = {}
        try:
            super().__init__(recipe, path, work, size=size, inodes=inodes)
        except BaseException:
            self._close_pool()
            raise

    @classmethod
    def of(cls, path: Path) -> ThinVolume | None:
        """Return the volume whose device `path` is on, None if it is on another file system."""
        name, _, _ = devmapper.mapped_name(os.stat(path).st_dev).rpartition("-")
        return cls.made.get(name)

    def pool_for(self, home: Path) -> ThinPool:
        """Return the pool of a driver's home: the volume's, or the one that was lent to an engine."""
        assert self.pool is not None
        return self.lent[home][0] if home in self.lent else self.pool

    def lend(self, home: Path) -> ThinPool:
        """Make another pool of the volume's size, without a thin device, for an engine that wants one to itself."""
        image = nameless_file(self.work, self.size)
        try:
            device = LoopDevice(image)
        finally:
            os.close(image)
        self.lent[home] = (self._new_pool(device), device)
        return self.lent[home][0]

    def take_back(self, home: Path) -> None:
        """Take the pool of an engine that ended apart."""
        pool, device = self.lent.pop(home)
        pool.close()
        device.close()

    def _new_pool(self, device: LoopDevice) -> ThinPool:
        descriptor = os.open(device.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, bytes(SUPERBLOCK), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        pool = ThinPool(f"{PREFIX}{Path(device.path).name}", device.path, self.size, self.recipe)
        pool.open()
        return pool

    def _mkfs(self, inodes: int) -> list[str]:
        """Make the pool and the base device, and return the command that formats it."""
        self.pool = self._new_pool(self.device)
        self.made[self.pool.name] = self
        self.pool.create(BASE)
        self.pool.commit()
        return self.recipe.mkfs(self.pool.activate(BASE), inodes=inodes)

    def _attach(self) -> None:
        assert self.pool is not None
        if self.pool.is_open:
            self.pool.deactivate(BASE)
            self.pool.create(OWN, BASE)
        else:
            self.pool.open()
        self.pool.mount(OWN, self.path)

    def _detach(self) -> None:
        """Unmount it with the layers that are mounted below it, and take the pool apart."""
        assert self.pool is not None
        for entry in reversed(mounts.mount_table()):
            if Path(entry.target).is_relative_to(self.path):
                mounts.unmount(entry.target)
        self.pool.close()

    def usage(self) -> Usage:
        """Return the bytes that the pool uses; each thin device has inodes of its own, which are not counted."""
        assert self.pool is not None
        self.sync()
        return Usage(None, self.pool.used_bytes())

    def close(self) -> None:
        """Unmount, take the pool apart, close the device."""
        try:
            with suppress(OSError):
                mounts.unmount(self.path, detach=True)
            self._close_pool()
        finally:
            self.device.close()

    def _close_pool(self) -> None:
        if self.pool is not None:
            self.made.pop(self.pool.name, None)
            self.pool.close()
            self.pool = None


def _thin(base: Recipe, **changes: Any) -> ThinRecipe:
    """Return a recipe for `base`'s file system on a thin device."""
    facts = {
        **vars(base),
        "name": f"thin-{base.name}",
        "title": f"{base.filesystem} on a thin device",
        "packages": (),
        "counts": False,
        "profile": "standard",
        "drivers": ("devicemapper", "docker/devicemapper"),
        "modules": ("dm_thin_pool",),
        "order": base.order + 5,
    }
    return ThinRecipe(**{**facts, **changes})


VOLUMES = (_thin(ext4.VOLUME), _thin(xfs.VOLUME, mount_options="nouuid"))  # snapshots have their origin's UUID
