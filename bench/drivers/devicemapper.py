"""devicemapper: one thin device per layer, created as a snapshot of the device of the layer below.

    metadata/base              the empty device with a file system, of which a bottom layer is a snapshot
    metadata/<64 hex>          a layer's device: number, size, transaction
    metadata/transaction-metadata    the device that was made or deleted last
    mnt/<64 hex>               where it is mounted while in use
    mnt/<64 hex>/rootfs, id    in the device's file system: the whole tree; the name of the bottom layer

From daemon/graphdriver/devmapper/{driver,deviceset}.go of Docker 20.10. As there, a device is active only while it is
in use. Docker was without it from 25.0 on.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.drivers.base import Container, CopyUp, Driver, Footprint, Stack, write_text
from bench.errors import BenchError
from bench.kernel import mounts
from bench.kernel.devmapper import SECTOR
from bench.layers.content import Layer, data_bytes
from bench.layers.materialise import materialise
from bench.model import Support
from bench.volumes.base import Recipe
from bench.volumes.thin import BASE, POOL_BLOCK, ThinPool, ThinRecipe, ThinVolume

__all__ = ["DRIVER", "DeviceMapper"]

# The most pool blocks that a layer takes besides those of its data: parts of the journal, bitmaps, inodes, directories.
# Of layers of 10 and of 100 small files ext4 took 5 to 10; xfs 34 to 42, of which mounting it writes 32: it clears the
# 2 MiB of its log that follow the head (fs/xfs/xfs_log_recover.c, xlog_clear_stale_blocks).
LAYER_BLOCKS = {"ext4": 16, "xfs": 48}


class DeviceMapper(Driver):
    """A container is a snapshot of its image's topmost layer, changed in place."""

    name = "devicemapper"
    title = "devicemapper (thin snapshots)"
    order = 9
    profile = "standard"
    usual_volumes = ("thin-ext4", "thin-xfs")
    mounts_layers = True
    costly = True  # each mount activates a device
    inode_law = "each layer has a file system of its own"

    def probe(self, volume: Recipe) -> Support:
        """Require a thin volume."""
        if not isinstance(volume, ThinRecipe):
            return Support.no("its layers are thin devices of device mapper", "--volume thin-ext4 or thin-xfs")
        return Support.yes()

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """For each layer, take a snapshot of the device below, mount it and apply the layer."""
        for directory, mode in ((home, 0o710), (home / "metadata", 0o700), (home / "mnt", 0o755)):
            directory.mkdir(mode=mode)
        pool = _pool(home)
        _write(home, "base", _record(pool, BASE, transaction=BASE, initialized=True))
        ids: list[str] = []
        for layer in layers:
            identity = self._create(home, ids[-1] if ids else "base")
            with _mounted(home, identity) as root:
                materialise(layer, root, seed)
            ids.append(identity)
        return Stack(home, layers, seed, ids, tuple(depths))

    def _create(self, home: Path, parent: str) -> str:
        """Take a snapshot of a layer's device; return the new layer's id."""
        identity = secrets.token_hex(32)
        with _transaction(home, identity) as (pool, number):
            pool.create(number, _device(home, parent))
            _write(home, identity, _record(pool, number, transaction=pool.transaction + 1))
        return identity

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Take a snapshot of the image's topmost layer."""
        identity = self._create(stack.home, stack.ids[depth - 1])
        return Container(stack, depth, stack.home / "mnt" / identity, None)

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Activate the device and mount it."""
        with _mounted(container.stack.home, container.path.name) as root:
            container.how["mount"] = "mount(2) of a thin device"
            container.how["options"] = mounts.mount_entry(root).summary
            yield root

    def remove(self, container: Container) -> None:
        """Delete the device."""
        _delete(container.stack.home, container.path.name)

    def close(self, stack: Stack) -> None:
        """Delete the layers' devices; where a remount lost the pool there is nothing to delete."""
        if ThinVolume.of(stack.home) is None:
            return
        for identity in reversed(stack.ids):
            if os.path.ismount(target := stack.home / "mnt" / identity):
                mounts.unmount(target)
                target.rmdir()
            _delete(stack.home, identity)

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Sum up each layer's own objects, and the blocks that its device does not share."""
        count = len(layers)
        size = sum(-(-data_bytes(layer) // POOL_BLOCK) * POOL_BLOCK for layer in layers)
        return Footprint(4 + count + sum(len(layer) for layer in layers), size + count * _layer_bytes(volume))

    def space(self, layers: Sequence[Layer], volume: Recipe) -> tuple[int, int]:
        """Whole blocks of the pool: at least those of the data; at most as many more as a layer may take."""
        least = sum(data_bytes(layer) for layer in layers) // POOL_BLOCK * POOL_BLOCK
        return least, self.footprint(layers, (len(layers),), volume).bytes

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """What mounting a snapshot may write, of any file system."""
        return max(LAYER_BLOCKS.values()) * POOL_BLOCK

    def layer_path(self, container: Container, layer: int) -> Path:
        """The topmost layer, which also holds the files of all layers below."""
        return self.shown(container.stack.home / "mnt" / container.stack.ids[container.depth - 1] / "rootfs")

    def shown(self, path: Path) -> Path:
        """Mount a layer's device read-only if it is not mounted."""
        target, home = path.parent, path.parents[2]
        if not os.path.ismount(target):
            target.mkdir(exist_ok=True)
            _pool(home).mount(_device(home, target.name), target, flags=mounts.MS_RDONLY)
        return path

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """Opening a file copies nothing; a later write to a shared block of the pool copies that block."""
        return CopyUp(None, "deferred", "a snapshot shares blocks of 64 KiB until they are written")


def _layer_bytes(volume: Recipe) -> int:
    return LAYER_BLOCKS.get(volume.filesystem, max(LAYER_BLOCKS.values())) * POOL_BLOCK


def _pool(home: Path) -> ThinPool:
    volume = ThinVolume.of(home)
    if volume is None:
        raise BenchError(f"{home} is on no thin volume", fix="--volume thin-ext4 or thin-xfs")
    return volume.pool_for(home)


@contextmanager
def _mounted(home: Path, identity: str) -> Iterator[Path]:
    """Mount a layer's device; yield the directory of its tree."""
    target = home / "mnt" / identity
    target.mkdir(mode=0o755)
    try:
        _pool(home).mount(_device(home, identity), target)
        try:
            root = target / "rootfs"
            if not root.exists():
                root.mkdir(mode=0o755)
                write_text(target / "id", identity, 0o600)
            yield root
        finally:
            mounts.unmount(target)
    finally:
        target.rmdir()


@contextmanager
def _transaction(home: Path, identity: str, number: int | None = None) -> Iterator[tuple[ThinPool, int]]:
    """Record which device is made or deleted before it is, and count it after; yield the pool and the device's number.

    As Docker's openTransaction and closeTransaction; without `number` it is the next one.
    """
    pool = _pool(home)
    if number is None:
        pool.last = number = pool.last + 1
    opened = {"open_transaction_id": pool.transaction + 1, "device_hash": identity, "device_id": number}
    _write(home, "transaction-metadata", opened)
    yield pool, number
    pool.commit()


def _record(pool: ThinPool, number: int, *, transaction: int, initialized: bool = False) -> dict[str, object]:
    """Return what is kept of a device."""
    return {
        "device_id": number,
        "size": pool.sectors * SECTOR,
        "transaction_id": transaction,
        "initialized": initialized,
        "deleted": False,
    }


def _write(home: Path, name: str, record: Mapping[str, object]) -> None:
    """Write a file of metadata as Docker's writeMetaFile does."""
    descriptor, temporary = tempfile.mkstemp(prefix=".tmp", dir=home / "metadata")
    try:
        os.write(descriptor, json.dumps(record, separators=(",", ":")).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, home / "metadata" / name)


def _device(home: Path, identity: str) -> int:
    """Return the identity of a layer's device in the pool."""
    return int(json.loads((home / "metadata" / identity).read_bytes())["device_id"])


def _delete(home: Path, identity: str) -> None:
    with _transaction(home, identity, _device(home, identity)) as (pool, number):
        pool.delete(number)
        (home / "metadata" / identity).unlink()


DRIVER = DeviceMapper
