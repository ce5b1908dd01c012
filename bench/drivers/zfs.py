"""zfs: one dataset per layer, created as a clone of the snapshot of the layer below.

    <pool>/<64 hex>        a layer of an image or of a container: the whole tree
    <pool>/<64 hex>@layer  the snapshot that the layer above is a clone of

From daemon/graphdriver/zfs/zfs.go of Docker 20.10. As there, datasets are mounted only while in use.
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
from bench.layers.content import BLOCK, Layer, data_bytes
from bench.layers.materialise import materialise
from bench.model import Support
from bench.volumes.base import Recipe
from bench.volumes.zfs import POOL, in_kernel, zfs

__all__ = ["DRIVER", "Zfs"]

METADATA_BYTES = 64 << 10  # of a new dataset
BUSY_SECONDS = 5.0


class Zfs(Driver):
    """A container is a clone of its image's topmost layer, changed in place."""

    name = "zfs"
    title = "zfs (clones)" if in_kernel() else "zfs (clones, by zfs-fuse)"
    order = 8
    profile = "standard"
    costly = True  # zfs-fuse: a unit takes half a second
    inode_law = "zfs counts no inodes"

    def probe(self, volume: Recipe) -> Support:
        """Require a zfs pool."""
        if volume.filesystem != "zfs":
            return Support.no("its layers are datasets of zfs", "--volume zfs")
        return Support.yes()

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """For each layer, clone the layer below, apply the layer and take a snapshot."""
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

    def _make(self, home: Path, identity: str, parent: str, canmount: str) -> None:
        options = ("-o", f"mountpoint={home / identity}", "-o", f"canmount={canmount}")
        if parent:
            zfs("clone", *options, f"{_dataset(home, parent)}@layer", _dataset(home, identity))
        else:
            zfs("create", *options, _dataset(home, identity))

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Clone the image's topmost layer."""
        identity = secrets.token_hex(32)
        self._make(stack.home, identity, stack.ids[depth - 1], "noauto")
        if os.path.ismount(stack.home / identity):  # zfs-fuse ignores canmount
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
        """Sum up each layer's own objects and its dataset."""
        count = len(layers)
        size = sum(data_bytes(layer) for layer in layers) + count * METADATA_BYTES
        return Footprint(2 + count + sum(len(layer) for layer in layers), size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """An empty dataset."""
        return METADATA_BYTES + 16 * BLOCK

    def layer_path(self, container: Container, layer: int) -> Path:
        """The topmost layer, which also holds the files of all layers below."""
        return container.stack.home / container.stack.ids[container.depth - 1]

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """Opening a file copies nothing; earlier writes may reach the device at any time."""
        return CopyUp(None, "deferred", "a clone shares blocks; transaction groups are written every few seconds")


def _dataset(home: Path, identity: str) -> str:
    return f"{mounts.mount_entry(home).source}/{identity}"


def _destroy(home: Path, identity: str) -> None:
    """Destroy a dataset with its snapshots; zfs-fuse keeps it busy for a moment after the unmount."""
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
