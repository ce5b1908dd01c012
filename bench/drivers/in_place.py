"""Drivers whose containers are complete trees, changed in place: nothing is mounted, nothing is copied up."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from bench.drivers.base import Container, CopyUp, Driver, Stack
from bench.layers.content import Layer
from bench.layers.materialise import materialise
from bench.volumes.base import Recipe

__all__ = ["InPlace", "WholeLayers"]


class InPlace(Driver):
    """A container is the directory `Container.path`; `no_copy_up` is the reason why opening a file copies nothing."""

    no_copy_up: ClassVar[str]

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Nothing to mount."""
        yield container.path

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """Opening a file for writing copies nothing."""
        return CopyUp(0, "none", self.no_copy_up)


class WholeLayers(InPlace):
    """Each layer's and each container's directory starts as a copy or a snapshot of the layer below."""

    root: ClassVar[str]  # the directory of layers below a stack's home

    @abstractmethod
    def begin(self, parent: Path | None, target: Path) -> dict[str, str]:
        """Create `target` from `parent`, or empty; return how it was made, for a container's record."""

    def unpack(self, layer: Layer, target: Path, seed: int) -> None:
        """Apply a layer to its directory."""
        materialise(layer, target, seed)

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """For each layer, start from the layer below, then apply the layer."""
        root = home / self.root
        root.mkdir(parents=True, mode=0o710)
        ids: list[str] = []
        for layer in layers:
            target = root / secrets.token_hex(32)
            self.begin(root / ids[-1] if ids else None, target)
            self.unpack(layer, target, seed)
            ids.append(target.name)
        return Stack(home, layers, seed, ids, tuple(depths))

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Start from the image's topmost layer."""
        root = stack.home / self.root
        path = root / secrets.token_hex(32)
        return Container(stack, depth, path, None, self.begin(root / stack.ids[depth - 1], path))

    def layer_path(self, container: Container, layer: int) -> Path:
        """The topmost layer, which also holds the files of all layers below."""
        return container.stack.home / self.root / container.stack.ids[container.depth - 1]
