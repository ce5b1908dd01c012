"""Layers from a user's content (entries without parent directories, or directories of files), or standard layers."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from bench.errors import BenchError
from bench.layers.content import Copy, Directory, Entry, File, HardLink, Layer, Link, data_ranges

__all__ = ["FILES", "FILE_BYTES", "Content", "chain", "standard", "walk"]

FILES, FILE_BYTES = 16, 4096  # of each standard layer

_KINDS = "Directory, File, Link and HardLink"
Source = str | Path | Iterable[Entry]
Content = Callable[[int], Source] | str | Path | None


def standard(index: int) -> Layer:
    """Return standard layer `index` (0: bottom): the directory `data` with files `data/INDEX-NUMBER`."""
    return (Directory("data"), *(File(f"data/{index}-{number}", FILE_BYTES) for number in range(FILES)))


def chain(content: Content, depth: int) -> tuple[Layer, ...]:
    """Return `depth` layers, bottom first.

    `content` is called with each layer's index and returns the layer's entries, or a directory whose files are
    copied to the layer. If `content` is itself a directory, it is the bottom layer, with standard ones above; None: all
    are standard. Raises BenchError for invalid content.
    """
    if content is None:
        return tuple(standard(index) for index in range(depth))
    if isinstance(content, str | Path):
        return (_tree(Path(content)), *(standard(index) for index in range(1, depth)))
    return tuple(_layer(content(index), index) for index in range(depth))


def _layer(source: Source, index: int) -> Layer:
    if isinstance(source, str | Path):
        return _tree(Path(source))
    subject = f"the content of layer {index}"
    if not isinstance(source, Iterable):
        raise BenchError(f"{subject} is {source!r}", fix="return entries of bench.layers.content, or a directory")
    entries: dict[str, Entry] = {}
    for entry in source:
        if not isinstance(entry, Directory | File | Link | HardLink):
            raise BenchError(f"{subject} has {entry!r}", fix=f"return {_KINDS} of bench.layers.content")
        path = PurePosixPath(entry.path)
        if path.is_absolute() or ".." in path.parts or not path.parts or str(path) != entry.path:
            raise BenchError(
                f"{subject} has the path {entry.path!r}", fix="write it like etc/passwd, from the image's root"
            )
        for parent in reversed(path.parents[:-1]):
            if not isinstance(entries.setdefault(str(parent), Directory(str(parent))), Directory):
                raise BenchError(f"{subject} has {entry.path!r}", why=f"{str(parent)!r} is no directory there")
        if isinstance(entry, HardLink) and not isinstance(entries.get(entry.target), File):
            raise BenchError(
                f"{subject} has {entry!r}", why=f"no File at {entry.target!r} comes before it", fix="put that first"
            )
        entries[entry.path] = entry
    return tuple(entries.values())


def _tree(root: Path) -> Layer:
    """Return the directories, files (with holes) and links below `root`, with their permissions."""
    if not root.is_dir():
        raise BenchError(f"no directory {root}", fix="give one whose files the image shall have")
    return tuple(entry for entry, _ in walk(root))


def walk(root: Path, refused: Callable[[str], None] | None = None) -> Iterator[tuple[Entry, os.stat_result]]:
    """Yield the entries below `root`, parents first, with their status.

    `refused` is called with the path of what is neither directory, file nor symbolic link; without it that raises
    BenchError.
    """
    files: dict[tuple[int, int], str] = {}  # the first name of files with several, by device and inode
    waiting = _named(root, "")
    while waiting:
        path, entry = waiting.pop()
        status = entry.stat(follow_symlinks=False)
        directory = entry.is_dir(follow_symlinks=False)
        if not (directory or entry.is_symlink() or entry.is_file(follow_symlinks=False)):
            if refused is None:
                why = "only directories, files and symbolic links are copied"
                raise BenchError(f"{entry.path} cannot be in a layer", why=why)
            refused(path)
            continue
        yield _entry(entry, path, status, files), status
        if directory:
            waiting += _named(root, f"{path}/")


def _named(root: Path, prefix: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Return the entries of a directory with their paths, the last name first."""
    with os.scandir(root / prefix) as scan:
        return [(f"{prefix}{entry.name}", entry) for entry in sorted(scan, key=lambda entry: entry.name, reverse=True)]


def _entry(
    entry: os.DirEntry[str], path: str, status: os.stat_result, files: dict[tuple[int, int], str]
) -> Directory | Link | HardLink | Copy:
    if entry.is_symlink():
        return Link(path, os.readlink(entry.path))
    if entry.is_dir():
        return Directory(path, stat.S_IMODE(status.st_mode))
    first_name = files.setdefault((status.st_dev, status.st_ino), path) if status.st_nlink > 1 else path
    return _copy(Path(entry.path), path, status) if first_name == path else HardLink(path, first_name)


def _copy(source: Path, path: str, status: os.stat_result) -> Copy:
    """Return the entry that copies the regular file `source`, with its holes."""
    with source.open("rb") as file:
        data = data_ranges(file.fileno(), status.st_size)
    return Copy(path, status.st_size, mode=stat.S_IMODE(status.st_mode), data=data, source=source)
