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
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.drivers.base import Container, Footprint
from bench.drivers.in_place import WholeLayers
from bench.kernel import btrfs
from bench.layers.content import BLOCK, Layer, data_bytes
from bench.model import Support
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Btrfs"]

TEMPORARY = (".pivot_root", "temp-docker-extract")  # directories that unpacking makes; digits follow
METADATA_BYTES = 16 << 10  # of a new subvolume: the root of its tree, one node


class Btrfs(WholeLayers):
    """A container is a snapshot of its image's topmost layer, and changes it in place."""

    name = "btrfs"
    title = "btrfs (snapshots)"
    order = 5
    profile = "standard"
    root = "subvolumes"
    no_copy_up = "a snapshot shares extents; a write to it is a write elsewhere"
    inode_law = "btrfs counts no inodes"

    def probe(self, volume: Recipe) -> Support:
        """It needs a btrfs volume, and root to delete what it made."""
        if volume.filesystem != "btrfs":
            return Support.no("its layers are subvolumes of btrfs", "--volume btrfs")
        return Support.yes()

    def begin(self, below: Path | None, target: Path) -> dict[str, str]:
        """Snapshot what is below."""
        if below is None:
            btrfs.create_subvolume(target)
            target.chmod(0o755)
        else:
            btrfs.snapshot(below, target)
        return {"mount": "none: a snapshot"}

    def unpack(self, layer: Layer, target: Path, seed: int) -> None:
        """Apply a layer as Docker does."""
        with _unpacking(target):
            super().unpack(layer, target, seed)

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


@contextmanager
def _unpacking(tree: Path) -> Iterator[None]:
    """Make what Docker makes in `tree` for unpacking a layer: one directory before, one that is there meanwhile."""
    before, meanwhile = TEMPORARY
    os.rmdir(tempfile.mkdtemp(prefix=before, dir=tree))
    made = tempfile.mkdtemp(prefix=meanwhile, dir=tree)
    yield
    os.rmdir(made)


DRIVER = Btrfs
