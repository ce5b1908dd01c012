"""btrfs: a subvolume per layer, a snapshot of the layer below to begin with; nothing is stacked and nothing mounted.

    subvolumes/<64 hex>      a layer of an image or of a container: the whole tree

From daemon/graphdriver/btrfs/btrfs.go of Docker 20.10. Its own mount of the home and its quotas are left out.

Docker makes two directories in the tree while it unpacks a layer, and removes them (pkg/chrootarchive, chroot_linux.go
and diff_unix.go). btrfs gives no inode number out twice, and what was inserted and deleted decides where the tree's
leaves are split: of one image of 32 layers, Docker's tree had nine leaves, a tree written without them eight, and
deletions in a snapshot of Docker's took 1.05 times as long. With them the leaves are the same, item by item.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.drivers.base import Container, CopyUp, Driver, Footprint, Stack
from bench.kernel import btrfs
from bench.layers.content import BLOCK, Layer, data_bytes, materialise
from bench.model import Support

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Btrfs"]

DIRECTORY = "subvolumes"
TEMPORARY = (".pivot_root", "temp-docker-extract")  # directories that unpacking makes; digits follow
METADATA_BYTES = 16 << 10  # of a new subvolume: the root of its tree, one node


class Btrfs(Driver):
    """A container is a snapshot of its image's topmost layer, and changes it in place."""

    name = "btrfs"
    title = "btrfs (snapshots)"
    order = 5
    profile = "standard"
    inode_law = "btrfs counts no inodes"

    def probe(self, volume: Recipe) -> Support:
        """It needs a btrfs volume, and root to delete what it made."""
        if volume.filesystem != "btrfs":
            return Support.no("its layers are subvolumes of btrfs", "--volume btrfs")
        return Support.yes()

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Snapshot the layer below, then apply the layer, for each layer."""
        root = home / DIRECTORY
        root.mkdir(parents=True, mode=0o710)
        ids: list[str] = []
        for layer in layers:
            target = root / secrets.token_hex(32)
            if ids:
                btrfs.snapshot(root / ids[-1], target)
            else:
                btrfs.create_subvolume(target)
                target.chmod(0o755)
            with _unpacking(target):
                materialise(layer, target, seed)
            ids.append(target.name)
        return Stack(home, layers, seed, ids, tuple(depths))

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Snapshot the image's topmost layer."""
        root = stack.home / DIRECTORY
        path = root / secrets.token_hex(32)
        btrfs.snapshot(root / stack.ids[depth - 1], path)
        return Container(stack, depth, path, None, {"mount": "none: a snapshot"})

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Nothing to mount."""
        yield container.path

    def remove(self, container: Container) -> None:
        """Delete the snapshot; btrfs frees what it held in the background."""
        btrfs.delete_subvolume(container.path)

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return what each layer adds: its own objects and a subvolume."""
        count = len(layers)
        size = sum(data_bytes(layer) for layer in layers) + count * METADATA_BYTES
        return Footprint(2 + count + sum(len(layer) for layer in layers), size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """Its tree's root."""
        return METADATA_BYTES + 16 * BLOCK

    def layer_path(self, container: Container, layer: int) -> Path:
        """The topmost layer holds what all below it hold."""
        return container.stack.home / DIRECTORY / container.stack.ids[container.depth - 1]

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """Opening a file copies nothing: a write goes to new extents, whoever shares the old ones."""
        return CopyUp(0, "none", "a snapshot shares extents; a write to it is a write elsewhere")


@contextmanager
def _unpacking(tree: Path) -> Iterator[None]:
    """Make what Docker makes in `tree` for unpacking a layer: one directory before, one that is there meanwhile."""
    before, meanwhile = TEMPORARY
    os.rmdir(tempfile.mkdtemp(prefix=before, dir=tree))
    made = tempfile.mkdtemp(prefix=meanwhile, dir=tree)
    yield
    os.rmdir(made)


DRIVER = Btrfs
