"""vfs: every layer, and every container, is a full copy of the one below."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from bench.drivers.base import Container, CopyUp, Driver, Footprint, Stack, copy_file, copy_tree
from bench.layers.content import Layer, data_bytes, materialise
from bench.layers.tree import Tree, flatten
from bench.model import WITHOUT_EFFECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Vfs"]


class Vfs(Driver):
    """Docker's layout `dir/<id>`; without FICLONE unless `reflink=on`, so that the copy is a copy on every file system.

    Docker asks for a clone first (daemon/graphdriver/copy/copy.go), which is what `reflink=on` does.
    """

    name = "vfs"
    title = "vfs (full copy per layer)"
    order = 3
    options: ClassVar = {"reflink": ("on", "off")}
    inode_law = "2 + Σ over layers k (1 + objects of the tree merged up to k)"

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Copy the layer below, then apply the layer, for each layer."""
        root = home / "dir"
        root.mkdir(parents=True, mode=0o710)
        ids: list[str] = []
        for layer in layers:
            target = root / secrets.token_hex(32)
            if ids:
                self._copy(root / ids[-1], target)
            else:
                target.mkdir()
            materialise(layer, target, seed)
            ids.append(target.name)
        return Stack(home, layers, seed, ids, tuple(depths))

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Copy the image's topmost layer."""
        path = stack.home / "dir" / secrets.token_hex(32)
        cloned = self._copy(stack.home / "dir" / stack.ids[depth - 1], path)
        how = {"mount": f"none: a full copy{', cloned' if cloned else ''}"}
        if self._clones and not cloned:
            how[WITHOUT_EFFECT] = "reflink=on"
        return Container(stack, depth, path, None, how)

    @property
    def _clones(self) -> bool:
        return self.chosen.get("reflink") == "on"

    def _copy(self, source: Path, target: Path) -> bool:
        """Copy a tree; return whether all of its files are clones."""
        cloned: list[bool] = []
        copy_tree(str(source), str(target), lambda *names: cloned.append(copy_file(*names, reflink=self._clones)))
        return self._clones and all(cloned)

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Nothing to mount."""
        yield container.path

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return the sum of all merged prefixes."""
        inodes, size, tree = 2, 2 * volume.directory_bytes, Tree()
        shared = self._clones and volume.clones
        for layer in layers:
            tree.add(layer)
            inodes += 1 + tree.inodes
            # A layer of clones has only its own files and the directories to itself.
            files = data_bytes(layer) if shared else tree.data_bytes
            size += files + (0 if shared else (1 + tree.directories) * volume.directory_bytes)
        return Footprint(inodes, size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """A container is a copy of the merged tree."""
        tree = flatten(layers[:depth])
        return data_bytes(tree) + 4096 * len(tree)

    def layer_path(self, container: Container, layer: int) -> Path:
        """The topmost layer holds what all below it hold."""
        return container.stack.home / "dir" / container.stack.ids[container.depth - 1]

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """The copy was made when the container was created."""
        return CopyUp(0, "none", "a container is a full copy already")


DRIVER = Vfs
