"""The merged tree of layers: what a container shows, and what a driver without layers writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bench.layers.content import Deleted, Directory, Entry, File, HardLink, Layer, Link, data_bytes, hides

__all__ = ["Tree", "flatten"]


class Tree:
    """The merged tree of the layers added so far: the topmost entry of each path, directories once, nothing deleted.

    A file that is replaced or deleted goes on under the next of its other names, if it has one.
    """

    def __init__(self) -> None:
        """Begin without a layer."""
        self._entries: dict[str, Entry] = {}
        self._counts: Counter[type] = Counter()
        self._names: dict[str, list[str]] = {}  # of each file with several: its other ones, earliest first
        self.data_bytes = 0  # of its files' blocks

    @property
    def entries(self) -> list[Entry]:
        """All of it, each directory before what it holds, each file before its other names."""
        return list(self._entries.values())

    @property
    def directories(self) -> int:
        """How many directories it has, its root not among them."""
        return self._counts[Directory]

    @property
    def links(self) -> int:
        """How many symbolic links it has."""
        return self._counts[Link]

    @property
    def inodes(self) -> int:
        """How many inodes it takes, that of its root not among them."""
        return len(self._entries) - self._counts[HardLink]

    def add(self, layer: Layer) -> None:
        """Put a layer on top."""
        for entry in layer:
            if hides(entry):
                self._drop_with_what_is_below(entry.path)
            if isinstance(entry, Deleted):
                continue
            if isinstance(entry, Directory) and isinstance(self._entries.get(entry.path), Directory):
                self._entries[entry.path] = entry  # it stays before what it holds
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

    def _drop_with_what_is_below(self, name: str) -> None:
        if not isinstance(self._entries.get(name, Directory(name)), Directory):
            self._drop(name)
            return
        below = f"{name}/"
        for path in [path for path in self._entries if f"{path}/".startswith(below)]:
            if path in self._entries:
                self._drop(path)

    def _drop(self, path: str) -> None:
        """Take one path out."""
        entry = self._entries.pop(path)
        self._counts[type(entry)] -= 1
        self.data_bytes -= data_bytes((entry,))
        if isinstance(entry, HardLink):
            self._names[entry.target].remove(path)
        elif isinstance(entry, File) and (names := self._names.pop(path, [])):
            first, *others = names
            self._become(first, replace(entry, path=first, named=entry.named or entry.path))
            for other in others:
                self._become(other, HardLink(other, first))
            if others:
                self._names[first] = others

    def _become(self, path: str, entry: Entry) -> None:
        """Put another entry in the place of a hard link."""
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
