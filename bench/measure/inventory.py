"""What the layers of an image hold, hide and repeat: exact counts, from the archives alone."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator

from bench.image.model import Image, printable
from bench.layers.content import (
    Deleted,
    Directory,
    Entry,
    File,
    HardLink,
    Metadata,
    data_bytes,
    objects,
    pieces,
)
from bench.layers.tree import Tree
from bench.store.image import Alike, Copied, Hidden, Inventory, LayerCount, Share

__all__ = ["take"]

SHARE_DEPTH = 3  # names of a directory whose bytes are counted by themselves
SMALLEST_SHARE = 500  # its least part of what the image ships
WORDS = {"mode": "mode", "uid": "owner", "gid": "group", "time": "time", "attributes": "attributes"}


class _Watched(Tree):
    """A tree that keeps the files whose last name was removed."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[File] = []

    def _drop(self, path: str) -> None:
        entry, names = self._entries[path], self._names.get(path)
        super()._drop(path)
        if isinstance(entry, File) and not names:
            self.gone.append(entry)


def take(image: Image) -> Inventory:
    """Return the inventory of `image`; reads the content of files that may be equal."""
    tree = _Watched()
    inventory = Inventory(image.name, image.source, image.platform, [], list(image.notes))
    for number, layer in enumerate(image.layers):
        count = LayerCount(number, layer.command, layer.digest, layer.archive_bytes)
        inventory.layers.append(count)
        for entry in layer.entries:
            _count(inventory, count, entry, tree)
        count.bytes = sum(entry.size for entry in layer.entries if isinstance(entry, File))
        count.blocks = data_bytes(layer.entries)
        count.inodes = objects([layer.entries])
    inventory.hidden.sort(key=lambda item: (-item.bytes, item.path))
    inventory.copied.sort(key=lambda item: (-item.bytes, item.path))
    for item in inventory.hidden:
        inventory.layers[item.layer].hidden += item.bytes
        inventory.layers[item.by].hides += item.bytes
    for copy in inventory.copied:
        inventory.layers[copy.layer].copies += 1
        inventory.layers[copy.layer].copied += copy.bytes
    inventory.shares = _shares(image, inventory)
    inventory.alike = sorted(_alike(tree), key=lambda item: (-item.spare, item.places))
    inventory.directories, inventory.inodes = tree.directories, tree.inodes
    inventory.files = len(tree.entries) - tree.directories - (tree.get("") is not None)
    inventory.bytes = sum(entry.size for entry in tree.entries if isinstance(entry, File))
    return inventory


def _shares(image: Image, inventory: Inventory) -> list[Share]:
    """Return the bytes of each layer by directory; those of small directories count for the one above."""
    least = max(inventory.shipped // SMALLEST_SHARE, 1)
    hidden: Counter[tuple[int, str]] = Counter()
    for item in inventory.hidden:
        hidden[item.layer, item.path] += item.bytes
    shares: list[Share] = []
    for number, layer in enumerate(image.layers):
        sizes: Counter[str] = Counter()
        unseen: Counter[str] = Counter()
        for entry in layer.entries:
            if isinstance(entry, File):
                directory = "/".join(entry.path.split("/")[:-1][:SHARE_DEPTH])
                sizes[directory] += entry.size
                unseen[directory] += hidden[number, printable(entry.named or entry.path)]
        for directory in sorted(sizes, key=lambda path: -path.count("/")):
            if directory and sizes[directory] < least:
                above = directory.rpartition("/")[0]
                sizes[above] += sizes.pop(directory)
                unseen[above] += unseen.pop(directory)
        shares += (Share(number, printable(path), size, unseen[path]) for path, size in sorted(sizes.items()) if size)
    return shares


def _count(inventory: Inventory, count: LayerCount, entry: Entry, tree: _Watched) -> None:
    """Count an entry, and add it to the tree."""
    old = tree.get(entry.path)
    how = "replaced"
    if isinstance(entry, Deleted):
        how = "deleted"
        count.deleted += old is not None
        count.void += old is None
    elif isinstance(entry, Directory):
        how = "opaque" if isinstance(old, Directory) else how
        count.directories += entry.path != ""
        count.opaque += entry.opaque and isinstance(old, Directory)
    elif old is None:
        count.added += 1
    else:
        count.replaced += 1
        copied = _copied(entry, old, tree, count.number)
        if copied is not None:
            inventory.copied.append(copied)
    tree.add((entry,))
    for file in tree.gone:
        inventory.hidden.append(Hidden(printable(file.path), file.size, file.origin, count.number, how))
    tree.gone.clear()


def _copied(entry: Entry, old: Entry, tree: Tree, number: int) -> Copied | None:
    """Return what a file copies of the one at its path in the layers below; None if it differs in content."""
    if isinstance(old, HardLink):
        target = tree.get(old.target)
        old = target if target is not None else old
    if not isinstance(entry, File) or not isinstance(old, File) or not entry.size or entry.size != old.size:
        return None
    if any(new != former for new, former in zip(pieces(entry, 0), pieces(old, 0), strict=True)):
        return None
    return Copied(printable(entry.path), entry.size, number, old.origin, _changed(entry.metadata, old.metadata))


def _changed(new: Metadata | None, old: Metadata | None) -> tuple[str, ...]:
    changed = (name for name in WORDS if getattr(new, name, None) != getattr(old, name, None))
    return tuple(WORDS[name] for name in changed)


def _alike(tree: Tree) -> Iterator[Alike]:
    """Yield files of equal content in different layers that are all visible."""
    by_size: dict[int, list[File]] = defaultdict(list)
    for entry in tree.entries:
        if isinstance(entry, File) and entry.size:
            by_size[entry.size].append(entry)
    for size, files in by_size.items():
        if len({file.origin for file in files}) < 2:
            continue
        by_content: dict[bytes, list[File]] = defaultdict(list)
        for file in files:
            by_content[_digest(file)].append(file)
        for same in by_content.values():
            if len({file.origin for file in same}) > 1:
                yield Alike(size, tuple(sorted((file.origin, printable(file.path)) for file in same)))


def _digest(file: File) -> bytes:
    found = hashlib.blake2b(digest_size=20)
    for piece in pieces(file, 0):
        found.update(piece)
    return found.digest()
