"""vfs: every layer and every container is a full copy of the layer below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bench.drivers.base import Footprint, copy_file, copy_tree
from bench.drivers.in_place import WholeLayers
from bench.layers.content import Layer, data_bytes
from bench.layers.tree import Tree, flatten
from bench.model import WITHOUT_EFFECT
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Vfs"]


class Vfs(WholeLayers):
    """Docker's layout `dir/<id>`; without FICLONE unless `reflink=on`, so that every file system makes a full copy.

    Docker tries a clone first (daemon/graphdriver/copy/copy.go), as `reflink=on` does.
    """

    name = "vfs"
    title = "vfs (full copy per layer)"
    order = 3
    options: ClassVar = {"reflink": ("on", "off")}
    root = "dir"
    no_copy_up = "a container is a full copy already"
    inode_law = "2 + Σ over layers k (1 + objects of the tree merged up to k)"

    def begin(self, parent: Path | None, target: Path) -> dict[str, str]:
        """Copy the layer below."""
        if parent is None:
            target.mkdir()
            return {}
        cloned: list[bool] = []
        copy_tree(str(parent), str(target), lambda *names: cloned.append(copy_file(*names, reflink=self._clones)))
        whole = self._clones and all(cloned)
        how = {"mount": f"none: a full copy{', cloned' if whole else ''}"}
        return how if whole or not self._clones else {**how, WITHOUT_EFFECT: "reflink=on"}

    @property
    def _clones(self) -> bool:
        return self.chosen.get("reflink") == "on"

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return the sum of all merged prefixes."""
        inodes, size, tree = 2, 2 * volume.directory_bytes, Tree()
        shared = self._clones and volume.clones
        for layer in layers:
            tree.add(layer)
            inodes += 1 + tree.inodes
            # A layer of clones shares all data except that of its own files.
            files = data_bytes(layer) if shared else tree.data_bytes
            size += files + (0 if shared else (1 + tree.directories) * volume.directory_bytes)
        return Footprint(inodes, size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """A container is a copy of the merged tree."""
        tree = flatten(layers[:depth])
        return data_bytes(tree) + 4096 * len(tree)


DRIVER = Vfs
