"""The directory layout of Docker 20.10's overlay2 and fuse-overlayfs graphdrivers.

    l/<26 base32>                  -> ../<64 hex>/diff
    <64 hex>/diff, link            the bottom layer
    <64 hex>/diff, link, lower, work                 every other layer
    <64 hex>/committed             empty, in a layer that has a child
    <64 hex>/merged                only while mounted

Modes and contents follow daemon/graphdriver/overlay2/overlay.go, functions create, getLower and Get.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import ClassVar

from bench.drivers.base import Container, Driver, Footprint, Stack, write_text
from bench.drivers.marks import overlay_mark
from bench.errors import BenchError
from bench.host.processors import ALLOWED, allow_all
from bench.layers.changes import Change, of_upper
from bench.layers.content import BLOCK, Directory, Layer, data_bytes, hides, objects
from bench.layers.materialise import materialise
from bench.volumes.base import Recipe

__all__ = ["LinkedLayout"]

LINK_BYTES = 16  # random bytes: 26 characters of base32, moby's idLength


class LinkedLayout(Driver):
    """A driver with overlay2's layout of layers; subclasses mount them."""

    inode_law = "2 + Σ objects + 4·N + 3·(N - 1)"
    takes_whiteouts: ClassVar[bool] = True  # of overlayfs, in layers of an image
    wh_files: ClassVar[bool] = False  # a file `.wh.NAME` in a container's layer marks a name as deleted

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Write one directory per layer."""
        for number, layer in enumerate(layers):
            if not self.takes_whiteouts and any(hides(entry) for entry in layer):
                raise BenchError(
                    f"{self.name} cannot build layer {number}: it deletes or hides what lies below",
                    why="its marks are others than overlayfs's, and it would show those as names",
                    fix="choose another driver, or layers that hide nothing",
                )
        home.mkdir(mode=0o710)
        (home / "l").mkdir(mode=0o700)
        ids: list[str] = []
        for _ in layers:
            ids.append(self._create(home, ids))
        # Layers are independent once their directories exist, and creating files is kernel time.
        with ThreadPoolExecutor(len(ALLOWED), initializer=allow_all) as pool:
            targets = (home / identity / "diff" for identity in ids)
            opaque = "user.overlay.opaque" if self.rootless else "trusted.overlay.opaque"
            list(pool.map(materialise, layers, targets, repeat(seed), repeat(opaque)))
        return Stack(home, layers, seed, ids, tuple(depths))

    def _create(self, home: Path, parents: Sequence[str]) -> str:
        """Make the directory of a layer over `parents` (bottom first) and return its id."""
        identity = secrets.token_hex(32)
        path = home / identity
        path.mkdir(mode=0o710)
        (path / "diff").mkdir(mode=0o755)
        link = base64.b32encode(secrets.token_bytes(LINK_BYTES)).decode().rstrip("=")
        os.symlink(f"../{identity}/diff", home / "l" / link)
        write_text(path / "link", link, 0o644)
        if parents:
            parent = home / parents[-1]
            (path / "work").mkdir(mode=0o700)
            write_text(parent / "committed", "", 0o600)
            lower = [f"l/{(parent / 'link').read_text()}"]
            if len(parents) > 1:
                lower.append((parent / "lower").read_text())
            write_text(path / "lower", ":".join(lower), 0o644)
        return identity

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Create a layer on the image of `depth` layers; the parent's `committed` file stays."""
        path = stack.home / self._create(stack.home, stack.ids[:depth])
        return Container(stack, depth, path, path / "diff")

    def remove(self, container: Container) -> None:
        """Delete the layer and its link."""
        link = (container.path / "link").read_text()
        (container.stack.home / "l" / link).unlink()
        shutil.rmtree(container.path)

    def layer_path(self, container: Container, layer: int) -> Path:
        """Return the layer's `diff`."""
        return container.stack.home / container.stack.ids[layer] / "diff"

    def changes(self, container: Container) -> Iterator[Change] | None:
        """The container's layer holds its changes, and whiteouts for its deletions."""
        assert container.upper is not None
        return of_upper(container.upper, wh_files=self.wh_files)

    def mark(self, container: Container, name: str) -> str:
        """As overlayfs marks it."""
        assert container.upper is not None
        return overlay_mark(container.upper, name, wh_files=self.wh_files)

    def lower(self, container: Container) -> list[str]:
        """Return the lower directories, topmost first, as paths relative to the driver's home."""
        return (container.path / "lower").read_text().split(":")

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return the home, `l` and, per layer, its objects and bookkeeping."""
        count = len(layers)
        directories = sum(isinstance(entry, Directory) for layer in layers for entry in layer)
        directories += 2 + 2 * count + (count - 1)  # home, l; layer, diff; work
        files = sum(data_bytes(layer) for layer in layers) + BLOCK * (2 * count - 1)  # link; lower
        return Footprint(
            2 + objects(layers) + 4 * count + 3 * (count - 1), files + directories * volume.directory_bytes
        )

    @contextmanager
    def merged(self, container: Container) -> Iterator[Path]:
        """Make the `merged` directory while entered, as Docker does."""
        path = container.path / "merged"
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            path.rmdir()
