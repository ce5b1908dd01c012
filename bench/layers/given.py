"""Layers that a user gives: entries without their parents, or directories of files; and standard ones instead."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from bench.errors import BenchError
from bench.layers.content import Copy, Directory, Entry, File, HardLink, Layer, Link, data_ranges

__all__ = ["FILES", "FILE_BYTES", "Content", "chain", "standard"]

FILES, FILE_BYTES = 16, 4096  # of each standard layer

_KINDS = "Directory, File, Link and HardLink"
Given = str | Path | Iterable[Entry]
Content = Callable[[int], Given] | str | Path | None


def standard(index: int) -> Layer:
    """Return layer `index` (0: bottom) of an image that nobody described: `data` with its files `data/INDEX-NUMBER`."""
    return (Directory("data"), *(File(f"data/{index}-{number}", FILE_BYTES) for number in range(FILES)))


def chain(content: Content, depth: int) -> tuple[Layer, ...]:
    """Return `depth` layers, bottom first.

    `content` is called with each layer's index and returns the layer's entries, or a directory whose files the
    layer gets. A directory in its place is the bottom layer, with standard ones above; None: all are standard.
    Raises BenchError for what cannot be a layer.
    """
    if content is None:
        return tuple(standard(index) for index in range(depth))
    if isinstance(content, str | Path):
        return (_tree(Path(content)), *(standard(index) for index in range(1, depth)))
    return tuple(_layer(content(index), index) for index in range(depth))


def _layer(given: Given, index: int) -> Layer:
    if isinstance(given, str | Path):
        return _tree(Path(given))
    what = f"the content of layer {index}"
    if not isinstance(given, Iterable):
        raise BenchError(f"{what} is {given!r}", fix="return entries of bench.layers.content, or a directory")
    found: dict[str, Entry] = {}
    for entry in given:
        if not isinstance(entry, Directory | File | Link | HardLink):
            raise BenchError(f"{what} has {entry!r}", fix=f"return {_KINDS} of bench.layers.content")
        path = PurePosixPath(entry.path)
        if path.is_absolute() or ".." in path.parts or not path.parts or str(path) != entry.path:
            raise BenchError(
                f"{what} has the path {entry.path!r}", fix="write it like etc/passwd, from the image's root"
            )
        for parent in reversed(path.parents[:-1]):
            if not isinstance(found.setdefault(str(parent), Directory(str(parent))), Directory):
                raise BenchError(f"{what} has {entry.path!r}", why=f"{str(parent)!r} is no directory there")
        if isinstance(entry, HardLink) and not isinstance(found.get(entry.target), File):
            raise BenchError(
                f"{what} has {entry!r}", why=f"no File at {entry.target!r} comes before it", fix="put that first"
            )
        found[entry.path] = entry
    return tuple(found.values())


def _tree(root: Path) -> Layer:
    """Return directories, files with their holes, and links below `root`, with their permissions."""
    if not root.is_dir():
        raise BenchError(f"no directory {root}", fix="give one whose files the image shall have")
    return tuple(_below(str(root), "", {}))


def _below(directory: str, prefix: str, files: dict[tuple[int, int], str]) -> Iterator[Entry]:
    """Yield what a directory holds; `files` has the first name of each file that has several, by device and inode."""
    with os.scandir(directory) as scanned:
        found = sorted(scanned, key=lambda entry: entry.name)
    for entry in found:
        path = f"{prefix}{entry.name}"
        state = entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            yield Link(path, os.readlink(entry.path))
        elif entry.is_dir():
            yield Directory(path, stat.S_IMODE(state.st_mode))
            yield from _below(entry.path, f"{path}/", files)
        elif entry.is_file():
            first = files.setdefault((state.st_dev, state.st_ino), path) if state.st_nlink > 1 else path
            yield _copy(Path(entry.path), path, state) if first == path else HardLink(path, first)
        else:
            why = "only directories, files and symbolic links are copied"
            raise BenchError(f"{entry.path} cannot be in a layer", why=why)


def _copy(source: Path, path: str, state: os.stat_result) -> Copy:
    """Return a copy of the regular file `source`, with its holes."""
    with source.open("rb") as file:
        data = data_ranges(file.fileno(), state.st_size)
    return Copy(path, state.st_size, mode=stat.S_IMODE(state.st_mode), data=data, source=source)
