"""The merged tree of layers, which a container shows and a driver without layers writes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator

from bench.layers.content import Deleted, Directory, Entry, File, HardLink, Layer, Link, Node, data_bytes, hides

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
        self._children: dict[str, dict[str, None]] = {}  # the paths in each directory
        self.data_bytes = 0  # of the files' blocks

    @property
    def entries(self) -> list[Entry]:
        """All entries, directories before their content, files before their hard links."""
        return list(self._entries.values())

    @property
    def directories(self) -> int:
        """Number of directories without the root."""
        return self._counts[Directory] - ("" in self._entries)

    @property
    def links(self) -> int:
        """Number of symbolic links."""
        return self._counts[Link]

    @property
    def inodes(self) -> int:
        """Number of inodes without the root's."""
        return len(self._entries) - self._counts[HardLink] - ("" in self._entries)

    def get(self, path: str) -> Entry | None:
        """Return the entry at a path; None if there is none."""
        return self._entries.get(path)

    def below(self, path: str) -> Iterator[str]:
        """Yield the paths below a directory, parents first."""
        waiting = list(self._children.get(path, ()))
        while waiting:
            child = waiting.pop()
            yield child
            waiting += self._children.get(child, ())

    def replace(self, directory: Directory) -> None:
        """Replace a directory's entry, at its position and with its content."""
        self._entries[directory.path] = directory

    def add(self, layer: Layer) -> None:
        """Add a layer on top."""
        for entry in layer:
            if hides(entry):
                self._hide(entry)
            if isinstance(entry, Deleted):
                continue
            old = self._entries.get(entry.path)
            if isinstance(entry, Directory) and isinstance(old, Directory):
                if not entry.implied:
                    self.replace(entry)
                continue
            if entry.path:
                self._drop_tree(entry.path)
            self._put(entry)

    def _hide(self, entry: Entry) -> None:
        if isinstance(entry, Deleted) and not entry.content:
            self._drop_tree(entry.path)
        else:
            self._drop_content(entry.path)

    def _put(self, entry: Entry) -> None:
        if entry.path:
            self._entries[entry.path] = entry
        else:
            self._entries = {"": entry, **self._entries}  # before its content, too
        self._counts[type(entry)] += 1
        self.data_bytes += data_bytes((entry,))
        if entry.path:
            self._children.setdefault(entry.path.rpartition("/")[0], {})[entry.path] = None
        if isinstance(entry, HardLink):
            self._names.setdefault(entry.target, []).append(entry.path)

    def _drop_tree(self, path: str) -> None:
        """Remove a path, if it is there, and all below it."""
        self._drop_content(path)
        if path in self._entries:
            self._drop(path)

    def _drop_content(self, directory: str) -> None:
        for path in reversed(list(self.below(directory))):
            self._drop(path)

    def _drop(self, path: str) -> None:
        """Remove one path without content."""
        entry = self._entries.pop(path)
        self._counts[type(entry)] -= 1
        self.data_bytes -= data_bytes((entry,))
        self._children.pop(path, None)
        self._children.get(path.rpartition("/")[0], {}).pop(path, None)
        if isinstance(entry, HardLink):
            self._names[entry.target].remove(path)
        elif not isinstance(entry, Directory | Deleted) and (names := self._names.pop(path, [])):
            first, *others = names
            self._replace_link(first, _renamed(entry, first))
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


def _renamed(entry: File | Link | Node, path: str) -> Entry:
    """Return the entry under another name, with the same content."""
    if isinstance(entry, File):
        return dataclasses.replace(entry, path=path, named=entry.named or entry.path)
    return dataclasses.replace(entry, path=path)


def flatten(layers: Iterable[Layer]) -> list[Entry]:
    """Return the entries of the merged tree of `layers`."""
    tree = Tree()
    for layer in layers:
        tree.add(layer)
    return tree.entries
