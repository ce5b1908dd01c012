"""Layers of an image made complete for overlayfs, and merged with their neighbours."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.errors import BenchError
from bench.layers.content import Deleted, Directory, Entry, Layer, Node
from bench.layers.tree import Tree

__all__ = ["complete", "halved", "merged", "squashed"]


def complete(layer: Layer, below: Tree) -> list[Entry]:
    """Return a layer over the tree `below`, as overlayfs wants it: with all parents.

    A directory that the archive does not name keeps the metadata that it has below. Whiteouts in what is no directory
    below are left out, because overlayfs would list them. Raises BenchError for what has no effect, or another one, on
    overlayfs.
    """
    own = Tree()
    deletions: list[Deleted] = []
    for entry in layer:
        _require_possible(entry)
        if isinstance(entry, Deleted):
            deletions.append(entry)
        else:
            own.add((_named(entry, own, below) if isinstance(entry, Directory) and entry.implied else entry,))
    hidden = {deletion.path for deletion in deletions}
    kept: list[Entry] = []
    for deletion in deletions:
        if any(parent in hidden for parent in _ancestors(deletion.path)) or not _parents(deletion.path, own, below):
            continue
        if not deletion.content and _merges(_parent(deletion.path), own, below):
            kept.append(deletion)
        elif deletion.content and isinstance(lower := _lower(deletion.path, own, below), Directory):
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


def _ancestors(path: str) -> list[str]:
    """Return the parents of a path, topmost first, without the root."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _lower(path: str, own: Tree, below: Tree) -> Entry | None:
    """Return what lies below at a path; None if an opaque directory of the layer hides it."""
    if not path:
        return Directory("")
    parents = map(own.get, _ancestors(path))
    hidden = any(isinstance(parent, Directory) and parent.opaque for parent in parents)
    return None if hidden else below.get(path)


def _merges(path: str, own: Tree, below: Tree) -> bool:
    """Tell whether a directory of the layer shows what lies below."""
    directory = own.get(path)
    opaque = isinstance(directory, Directory) and directory.opaque
    return not opaque and isinstance(_lower(path, own, below), Directory)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _named(directory: Directory, own: Tree, below: Tree) -> Directory:
    """Return a directory that only the names of its content tell of, with the metadata that it has below."""
    lower = _lower(directory.path, own, below)
    if isinstance(lower, Directory):
        return replace(directory, mode=lower.mode, metadata=lower.metadata, implied=False)
    return replace(directory, implied=False)


def _parents(path: str, own: Tree, below: Tree) -> bool:
    """Add the parents of a path to the layer; return whether they are directories."""
    missing: list[Entry] = []
    for parent in _ancestors(path):
        entry = own.get(parent) or _lower(parent, own, below)
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
    """Return the layers in pairs of neighbours, each merged to one."""
    below, halves = Tree(), []
    for start in range(0, len(layers), 2):
        halves.append(merged(layers[start : start + 2], below))
        below.add(halves[-1])
    return halves


def merged(layers: Sequence[Layer], below: Tree) -> list[Entry]:
    """Return neighbouring layers over the tree `below` merged to one, which hides of it what they hide together."""
    own = Tree()
    deleted: dict[str, None] = {}
    for layer in layers:
        for entry in layer:
            old = own.get(entry.path)
            own.add((entry,))
            if isinstance(entry, Deleted):
                deleted[entry.path] = None
                continue
            if isinstance(entry, Directory):
                hidden = entry.path in deleted or not isinstance(old, Directory | None)
                opaque = entry.opaque or hidden or (isinstance(old, Directory) and old.opaque)
                own.replace(replace(entry, opaque=opaque))
            deleted.pop(entry.path, None)
    return [*own.entries, *(Deleted(path) for path in deleted if _hides(path, own, below))]


def _hides(path: str, own: Tree, below: Tree) -> bool:
    """Tell whether a deletion hides something that nothing else of the layer hides."""
    parent = _parent(path)
    return (not parent or isinstance(own.get(parent), Directory)) and _lower(path, own, below) is not None


def _plain(entry: Entry) -> Entry:
    return replace(entry, opaque=False) if isinstance(entry, Directory) and entry.opaque else entry
