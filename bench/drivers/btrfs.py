"""btrfs: one subvolume per layer, created as a snapshot of the layer below; nothing is mounted.

    subvolumes/<64 hex>      a layer of an image or of a container: the whole tree

From daemon/graphdriver/btrfs/btrfs.go of Docker 20.10, without its mount of the home and its quotas.

While Docker unpacks a layer, it creates two directories in the tree and removes them (pkg/chrootarchive,
chroot_linux.go and diff_unix.go). btrfs never reuses an inode number, and insertions and deletions determine where the
tree's leaves are split: for an image of 32 layers, Docker's tree had nine leaves, a tree written without the
directories eight, and deletions in a snapshot of Docker's took 1.05 times as long. With them all leaves are equal.
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

TEMPORARY = (".pivot_root", "temp-docker-extract")  # prefixes of the directories that unpacking creates
METADATA_BYTES = 16 << 10  # of a new subvolume: the root node of its tree


class Btrfs(WholeLayers):
    """A container is a snapshot of its image's topmost layer, changed in place."""

    name = "btrfs"
    title = "btrfs (snapshots)"
    order = 5
    profile = "standard"
    root = "subvolumes"
    no_copy_up = "a snapshot shares extents; a write to it is a write elsewhere"
    inode_law = "btrfs counts no inodes"

    def probe(self, volume: Recipe) -> Support:
        """Require a btrfs volume."""
        if volume.filesystem != "btrfs":
            return Support.no("its layers are subvolumes of btrfs", "--volume btrfs")
        return Support.yes()

    def begin(self, parent: Path | None, target: Path) -> dict[str, str]:
        """Create a subvolume, or a snapshot of the layer below."""
        if parent is None:
            btrfs.create_subvolume(target)
            target.chmod(0o755)
        else:
            btrfs.snapshot(parent, target)
        return {"mount": "none: a snapshot"}

    def unpack(self, layer: Layer, target: Path, seed: int) -> None:
        """Apply a layer with Docker's temporary directories."""
        with _unpacking(target):
            super().unpack(layer, target, seed)

    def remove(self, container: Container) -> None:
        """Delete the snapshot; btrfs frees its space in the background."""
        btrfs.delete_subvolume(container.path)

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Sum up each layer's own objects and its subvolume."""
        count = len(layers)
        size = sum(data_bytes(layer) for layer in layers) + count * METADATA_BYTES
        return Footprint(2 + count + sum(len(layer) for layer in layers), size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """The root node of its tree."""
        return METADATA_BYTES + 16 * BLOCK


@contextmanager
def _unpacking(tree: Path) -> Iterator[None]:
    """Create Docker's temporary directories in `tree`: one before a layer is unpacked, one during it."""
    before, during = TEMPORARY
    os.rmdir(tempfile.mkdtemp(prefix=before, dir=tree))
    directory = tempfile.mkdtemp(prefix=during, dir=tree)
    yield
    os.rmdir(directory)


DRIVER = Btrfs
