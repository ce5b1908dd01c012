"""Layers of an image made complete for overlayfs, and merged with their neighbours."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bench.errors import BenchError
from bench.layers.content import Deleted, Directory, Entry, Layer, Node
from bench.layers.tree import Tree

__all__ = ["complete", "halved", "merged", "squashed"]


def complete(layer: Layer, below: Tree) -> list[Entry]:
    """Return a layer over the tree `below`, as overlayfs wants it: with all parents.

    A directory that the archive does not name keeps the metadata that it has below. Whiteouts in what is no directory
    are left out. Raises BenchError for what has no effect, or another one, on overlayfs.
    """
    own = Tree()
    deletions: list[Deleted] = []
    for entry in layer:
        _require_possible(entry)
        if isinstance(entry, Deleted):
            deletions.append(entry)
        else:
            own.add((_named(entry, below) if isinstance(entry, Directory) and entry.implied else entry,))
    kept: list[Entry] = []
    for deletion in deletions:
        if not _parents(deletion.path, own, below):
            continue
        if not deletion.content:
            kept.append(deletion)
        elif isinstance(lower := below.get(deletion.path), Directory):
            own.add((replace(lower, opaque=True, implied=False),))
    return [*own.entries, *kept]


def _require_possible(entry: Entry) -> None:
    if entry.path == "" and isinstance(entry, Deleted | Directory) and (isinstance(entry, Deleted) or entry.opaque):
        raise BenchError(
            "a layer hides all that lies below it",
            why="its root is opaque, of which overlayfs knows nothing",
            fix="make an image whose first layer it is",
        )
    if isinstance(entry, Node) and entry.kind == stat.S_IFCHR and entry.device == os.makedev(0, 0):
        raise BenchError(
            f"a layer has the device 0:0 at {entry.path!r}",
            why="on overlayfs that deletes the name",
            fix="leave it out",
        )


def _named(directory: Directory, below: Tree) -> Directory:
    """Return a directory that only the names of its content tell of, with the metadata that it has below."""
    lower = below.get(directory.path)
    if isinstance(lower, Directory):
        return replace(directory, mode=lower.mode, metadata=lower.metadata, implied=False)
    return replace(directory, implied=False)


def _parents(path: str, own: Tree, below: Tree) -> bool:
    """Add the parents of a path to the layer; return whether they are directories."""
    parts = path.split("/")[:-1]
    missing: list[Entry] = []
    for end in range(1, len(parts) + 1):
        parent = "/".join(parts[:end])
        entry = own.get(parent) or below.get(parent)
        if not isinstance(entry, Directory):
            return False
        if own.get(parent) is None:
            missing.append(replace(entry, opaque=False, implied=False))
    own.add(missing)
    return True


def squashed(layers: Iterable[Layer]) -> list[Entry]:
    """Return the merged tree of all layers as one layer."""
    tree = Tree()
    for layer in layers:
        tree.add(layer)
    return [_plain(entry) for entry in tree.entries]


def halved(layers: Sequence[Layer]) -> list[list[Entry]]:
    """Return the layers in pairs of neighbours, each merged to one; the bottom one is whole."""
    pairs = [layers[start : start + 2] for start in range(0, len(layers), 2)]
    return [squashed(pair) if number == 0 else merged(pair) for number, pair in enumerate(pairs)]


def merged(layers: Sequence[Layer]) -> list[Entry]:
    """Return neighbouring layers merged to one, which hides of the layers below what they hide together."""
    own = Tree()
    deleted: dict[str, None] = {}
    for layer in layers:
        for entry in layer:
            old = own.get(entry.path)
            if isinstance(entry, Deleted):
                own.add((entry,))
                deleted[entry.path] = None
            elif isinstance(entry, Directory):
                hidden = entry.path in deleted or not isinstance(old, Directory | None)
                opaque = entry.opaque or hidden or (isinstance(old, Directory) and old.opaque)
                own.add((entry,))
                own.replace(replace(entry, opaque=opaque))
                deleted.pop(entry.path, None)
            else:
                own.add((entry,))
                deleted.pop(entry.path, None)
    return [*own.entries, *(Deleted(path) for path in _needed(deleted, own))]


def _needed(deleted: Iterable[str], own: Tree) -> Iterator[str]:
    """Yield the deletions in directories that are not opaque: an opaque one hides all that is below anyway."""
    for path in deleted:
        parts = path.split("/")
        parents = [own.get("/".join(parts[:end])) for end in range(1, len(parts))]
        if all(isinstance(parent, Directory) and not parent.opaque for parent in parents):
            yield path


def _plain(entry: Entry) -> Entry:
    return replace(entry, opaque=False) if isinstance(entry, Directory) and entry.opaque else entry
