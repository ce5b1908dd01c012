"""zfs: a dataset per layer, a clone of the snapshot of the layer below to begin with.

    <pool>/<64 hex>        a layer of an image or of a container: the whole tree
    <pool>/<64 hex>@layer  what the layer above is a clone of

From daemon/graphdriver/zfs/zfs.go of Docker 20.10, whose datasets are mounted only while in use, too.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.drivers.base import Container, CopyUp, Driver, Footprint, Stack
from bench.errors import BenchError
from bench.kernel import mounts
from bench.layers.content import BLOCK, Layer, data_bytes, materialise
from bench.model import Support
from bench.volumes.base import Recipe
from bench.volumes.zfs import POOL, in_kernel, zfs

__all__ = ["DRIVER", "Zfs"]

METADATA_BYTES = 64 << 10  # of a new dataset
BUSY_SECONDS = 5.0


class Zfs(Driver):
    """A container is a clone of its image's topmost layer, and changes it in place."""

    name = "zfs"
    title = "zfs (clones)" if in_kernel() else "zfs (clones, by zfs-fuse)"
    order = 8
    profile = "standard"
    costly = True  # zfs-fuse: a unit takes half a second
    inode_law = "zfs counts no inodes"

    def probe(self, volume: Recipe) -> Support:
        """It needs a pool."""
        if volume.filesystem != "zfs":
            return Support.no("its layers are datasets of zfs", "--volume zfs")
        return Support.yes()

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Clone the layer below, then apply the layer and take a snapshot, for each layer."""
        home.mkdir(mode=0o710)
        ids: list[str] = []
        for layer in layers:
            identity = secrets.token_hex(32)
            self._make(home, identity, ids[-1] if ids else "", "on")
            if not os.path.ismount(home / identity):
                zfs("mount", _dataset(home, identity))
            materialise(layer, home / identity, seed)
            zfs("snapshot", f"{_dataset(home, identity)}@layer")
            ids.append(identity)
        return Stack(home, layers, seed, ids, tuple(depths))

    def _make(self, home: Path, identity: str, below: str, canmount: str) -> None:
        options = ("-o", f"mountpoint={home / identity}", "-o", f"canmount={canmount}")
        if below:
            zfs("clone", *options, f"{_dataset(home, below)}@layer", _dataset(home, identity))
        else:
            zfs("create", *options, _dataset(home, identity))

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Clone the image's topmost layer."""
        identity = secrets.token_hex(32)
        self._make(stack.home, identity, stack.ids[depth - 1], "noauto")
        if os.path.ismount(stack.home / identity):  # zfs-fuse mounts it whatever canmount says
            zfs("unmount", _dataset(stack.home, identity))
        return Container(stack, depth, stack.home / identity, None)

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Mount the clone."""
        name = _dataset(container.stack.home, container.path.name)
        zfs("mount", name)
        container.how["mount"] = "zfs mount" if in_kernel() else "zfs mount (zfs-fuse)"
        container.how["options"] = mounts.mount_entry(container.path).summary
        try:
            yield container.path
        finally:
            zfs("unmount", name)

    def remove(self, container: Container) -> None:
        """Destroy the clone."""
        _destroy(container.stack.home, container.path.name)

    def close(self, stack: Stack) -> None:
        """Destroy the layers, topmost first; where a remount lost the pool there is nothing to destroy."""
        if not mounts.mount_entry(stack.home).source.startswith(POOL):
            return
        for identity in reversed(stack.ids):
            _destroy(stack.home, identity)

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return what each layer adds: its own objects and a dataset."""
        count = len(layers)
        size = sum(data_bytes(layer) for layer in layers) + count * METADATA_BYTES
        return Footprint(2 + count + sum(len(layer) for layer in layers), size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """A dataset."""
        return METADATA_BYTES + 16 * BLOCK

    def layer_path(self, container: Container, layer: int) -> Path:
        """The topmost layer holds what all below it hold."""
        return container.stack.home / container.stack.ids[container.depth - 1]

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """Opening a file copies nothing; what was written before may reach the device at any time."""
        return CopyUp(None, "deferred", "a clone shares blocks; transaction groups are written every few seconds")


def _dataset(home: Path, identity: str) -> str:
    return f"{mounts.mount_entry(home).source}/{identity}"


def _destroy(home: Path, identity: str) -> None:
    """Destroy a dataset with its snapshots; zfs-fuse lets go of it a moment after it was unmounted."""
    name, end = _dataset(home, identity), time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if os.path.ismount(home / identity):
                zfs("unmount", name)
            zfs("destroy", "-r", name)
        except BenchError as error:
            if "busy" not in error.why or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            break
    if (home / identity).exists():
        (home / identity).rmdir()


DRIVER = Zfs
