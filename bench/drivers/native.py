"""A plain directory, with which every driver is compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from bench.drivers.base import Container, Footprint, Stack, copy_tree
from bench.drivers.in_place import InPlace
from bench.layers.content import Layer
from bench.layers.materialise import materialise
from bench.layers.tree import Tree, flatten
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Native"]


class Native(InPlace):
    """All layers are written into one directory; a container is a copy of it, with `copy=off` the directory itself.

    `copy=off` is for images that are too large to be copied for each unit, and for units that change nothing in them.
    """

    name = "native"
    title = "plain directory"
    order = 0
    layered: ClassVar[bool] = False
    no_copy_up = "no union file system is involved"
    options: ClassVar = {"copy": ("on", "off")}
    inode_law = "1 + Σ over images (1 + objects of the merged tree)"

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Write the merged tree of each of `depths`."""
        home.mkdir()
        distinct = tuple(depths)
        for depth in distinct:
            target = home / f"image-{depth}"
            target.mkdir()
            materialise(flatten(layers[:depth]), target, seed)
        return Stack(home, layers, seed, [f"image-{depth}" for depth in distinct], distinct)

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Copy the image's directory."""
        if not self._copies:
            return Container(
                stack, depth, stack.home / f"image-{depth}", None, {"mount": "none: the image's directory"}
            )
        path = stack.home / "container"
        number = 0
        while path.exists():
            number += 1
            path = stack.home / f"container-{number}"
        copy_tree(str(stack.home / f"image-{depth}"), str(path))
        return Container(stack, depth, path, None, {"mount": "none: a directory"})

    def remove(self, container: Container) -> None:
        """Delete the copy."""
        if self._copies:
            super().remove(container)

    @property
    def is_image(self) -> bool:
        """Without a copy it is."""
        return not self._copies

    @property
    def _copies(self) -> bool:
        return self.chosen.get("copy", "on") == "on"

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return the home and one merged tree per depth."""
        inodes, size = 1, volume.directory_bytes
        for depth in depths:
            tree = Tree()
            for layer in layers[:depth]:
                tree.add(layer)
            inodes += 1 + tree.inodes
            size += tree.data_bytes + (1 + tree.directories) * volume.directory_bytes
        return Footprint(inodes, size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """A container is a copy of the merged tree."""
        if not self._copies:
            return 0
        return self.footprint(layers[:depth], (depth,), _ANY).bytes

    def layer_path(self, container: Container, layer: int) -> Path:
        """The image's directory, which holds all layers."""
        return container.stack.home / f"image-{container.depth}"


_ANY = Recipe("", "", "", "", (), clones=False, directory_bytes=4096, order=0)
DRIVER = Native
