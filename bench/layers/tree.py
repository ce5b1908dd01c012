"""The merged tree of layers, which a container shows and a driver without layers writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bench.layers.content import Deleted, Directory, Entry, File, HardLink, Layer, Link, data_bytes, hides

__all__ = ["Tree", "flatten"]


class Tree:
    """The merged tree of the layers added so far: the topmost entry of each path, without deleted ones.

    A file that is replaced or deleted persists under its next name, if it has several.
    """

    def __init__(self) -> None:
        """Start without layers."""
        self._entries: dict[str, Entry] = {}
        self._counts: Counter[type] = Counter()
        self._names: dict[str, list[str]] = {}  # the hard links of each file that has some, earliest first
        self.data_bytes = 0  # of the files' blocks

    @property
    def entries(self) -> list[Entry]:
        """All entries, directories before their content, files before their hard links."""
        return list(self._entries.values())

    @property
    def directories(self) -> int:
        """Number of directories without the root."""
        return self._counts[Directory]

    @property
    def links(self) -> int:
        """Number of symbolic links."""
        return self._counts[Link]

    @property
    def inodes(self) -> int:
        """Number of inodes without the root's."""
        return len(self._entries) - self._counts[HardLink]

    def add(self, layer: Layer) -> None:
        """Add a layer on top."""
        for entry in layer:
            if hides(entry):
                self._drop_tree(entry.path)
            if isinstance(entry, Deleted):
                continue
            if isinstance(entry, Directory) and isinstance(self._entries.get(entry.path), Directory):
                self._entries[entry.path] = entry  # keeps its position before its content
                continue
            if entry.path in self._entries:
                self._drop(entry.path)
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._counts[type(entry)] += 1
        self.data_bytes += data_bytes((entry,))
        if isinstance(entry, HardLink):
            self._names.setdefault(entry.target, []).append(entry.path)

    def _drop_tree(self, name: str) -> None:
        if not isinstance(self._entries.get(name, Directory(name)), Directory):
            self._drop(name)
            return
        prefix = f"{name}/"
        for path in [path for path in self._entries if f"{path}/".startswith(prefix)]:
            if path in self._entries:
                self._drop(path)

    def _drop(self, path: str) -> None:
        """Remove one path."""
        entry = self._entries.pop(path)
        self._counts[type(entry)] -= 1
        self.data_bytes -= data_bytes((entry,))
        if isinstance(entry, HardLink):
            self._names[entry.target].remove(path)
        elif isinstance(entry, File) and (names := self._names.pop(path, [])):
            first, *others = names
            self._replace_link(first, replace(entry, path=first, named=entry.named or entry.path))
            for other in others:
                self._replace_link(other, HardLink(other, first))
            if others:
                self._names[first] = others

    def _replace_link(self, path: str, entry: Entry) -> None:
        """Replace a hard link by another entry."""
        self._counts[HardLink] -= 1
        self._counts[type(entry)] += 1
        self.data_bytes += data_bytes((entry,))
        self._entries[path] = entry


def flatten(layers: Iterable[Layer]) -> list[Entry]:
    """Return the entries of the merged tree of `layers`."""
    tree = Tree()
    for layer in layers:
        tree.add(layer)
    return tree.entries
