"""overlay: Docker's first overlayfs driver, with a single lower directory.

    <64 hex>/root                              an image's layer: the whole tree up to it
    <64 hex>/lower-id, upper, work             a container's layer
    <64 hex>/merged                            only while mounted

Each layer of an image starts as a copy of the tree below in which regular files are hard links, so lookups use the
topmost layer only, at the cost of inodes. From daemon/graphdriver/overlay/overlay.go of Docker 20.10, functions
create, Get and ApplyDiff.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.drivers.base import Container, Difference, Footprint, Stack, copy_tree, write_text
from bench.drivers.marks import overlay_mark
from bench.drivers.overlayfs import OverlayFs
from bench.errors import BenchError
from bench.kernel import mounts
from bench.kernel.log import kernel_log
from bench.layers.changes import Change, of_upper
from bench.layers.content import BLOCK, File, Layer, data_bytes
from bench.layers.materialise import materialise
from bench.layers.tree import Tree
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "Overlay"]


class Overlay(OverlayFs):
    """Mounted by mount(2) with one lower directory."""

    name = "overlay"
    title = "overlay (legacy: hard links, one lower)"
    order = 4
    profile = "standard"
    usual_volumes = ("ext4", "xfs")
    differences: tuple[Difference, ...] = (
        *OverlayFs.differences,
        Difference(
            "a file of the image has as many links as layers hold it",
            "daemon/graphdriver/overlay/copy (hard links between layers)",
            hides="links",
        ),
    )
    inode_law = "1 + Σ over layers k (2 + directories and links of the tree merged up to k + files of layer k)"

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """For each layer, link the tree of the layer below, then apply the layer."""
        home.mkdir(mode=0o710)
        ids: list[str] = []
        for layer in layers:
            identity = secrets.token_hex(32)
            path = home / identity
            path.mkdir(mode=0o710)
            root = path / "root"
            if ids:
                copy_tree(str(home / ids[-1] / "root"), str(root), os.link)
            else:
                root.mkdir(mode=0o755)
            materialise(layer, root, seed)
            ids.append(identity)
        return Stack(home, layers, seed, ids, tuple(depths))

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Create a container's layer over the whole tree of the image's topmost layer."""
        parent = stack.ids[depth - 1]
        path = stack.home / secrets.token_hex(32)
        path.mkdir(mode=0o710)
        (path / "upper").mkdir(mode=(stack.home / parent / "root").stat().st_mode & 0o777)
        (path / "work").mkdir(mode=0o700)
        write_text(path / "lower-id", parent, 0o600)
        return Container(stack, depth, path, path / "upper")

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Mount the container at its `merged`."""
        path = container.path
        merged = path / "merged"
        lower = container.stack.home / (path / "lower-id").read_text() / "root"
        options = ["index=off", *(["userxattr"] if self.rootless else [])]
        options += [f"lowerdir={lower}", f"upperdir={path / 'upper'}", f"workdir={path / 'work'}"]
        merged.mkdir(mode=0o700)
        try:
            with kernel_log() as logged:
                try:
                    mounts.mount("overlay", merged, "overlay", options=",".join(options))
                except OSError as error:
                    raise BenchError(
                        "the kernel refuses overlay with one lower directory",
                        why="; ".join(logged()) or error.strerror or str(error),
                    ) from error
            container.how["mount"] = "mount(2)"
            container.how["options"] = mounts.mount_table()[-1].summary
            try:
                yield merged
            finally:
                mounts.unmount(merged)
        finally:
            merged.rmdir()

    def changes(self, container: Container) -> Iterator[Change] | None:
        """The container's layer holds its changes, unless a default of the kernel makes it incomplete."""
        assert container.upper is not None
        return of_upper(container.upper) if self.upper_is_complete else None

    def mark(self, container: Container, name: str) -> str:
        """As overlayfs marks it."""
        assert container.upper is not None
        return overlay_mark(container.upper, name)

    def layer_path(self, container: Container, layer: int) -> Path:
        """The topmost layer, which also holds the files of all layers below."""
        return container.stack.home / container.stack.ids[container.depth - 1] / "root"

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return the home and, per layer, its directory, its root, the tree's directories and links, its own files."""
        inodes, size, tree = 1, volume.directory_bytes, Tree()
        for layer in layers:
            tree.add(layer)
            inodes += 2 + tree.directories + tree.links + sum(isinstance(entry, File) for entry in layer)
            size += (2 + tree.directories) * volume.directory_bytes + data_bytes(layer)
        return Footprint(inodes, size)

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """Directories and one small file."""
        return 16 * BLOCK


DRIVER = Overlay
