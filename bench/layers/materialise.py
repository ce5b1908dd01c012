"""Writing layers: as directories of an overlay, as branches of aufs, or as whole trees."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.layers.changes import OPAQUE_FILE, WHITEOUT
from bench.layers.content import Deleted, Directory, Entry, File, HardLink, Link, inside, pieces

__all__ = ["materialise"]

T = TypeVar("T")


def materialise(entries: Iterable[Entry], target: Path, seed: int, opaque: str = "") -> None:
    """Write `entries` below the existing directory `target`; a later file replaces an earlier one of the same path.

    With `opaque`, the name of the attribute that marks an opaque directory, `target` is an overlay layer, and deletions
    become whiteouts (fs/overlayfs: a character device 0:0). If it is OPAQUE_FILE, `target` is a branch of aufs, in
    which empty files are the marks, as in an archive. Without it, `target` is a whole tree without those names.

    Symbolic links are not followed, because they could lead out of `target`.
    """
    base = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parents = {"": base}
    try:
        for entry in entries:
            head, _, name = entry.path.rpartition("/")
            if head not in parents:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                parents[head] = os.open(head, flags, dir_fd=base)
            if isinstance(entry, Directory):
                _make(entry, name, parents[head])
                if entry.opaque and not opaque:
                    _empty(name, parents[head])
                if entry.opaque and opaque == OPAQUE_FILE:
                    _mark(f"{entry.path}/{OPAQUE_FILE}", base)
                elif entry.opaque and opaque:
                    os.setxattr(target / entry.path, opaque, b"y", follow_symlinks=False)
            elif isinstance(entry, Deleted) and opaque == OPAQUE_FILE:
                _mark(f"{WHITEOUT}{name}", parents[head])
            elif isinstance(entry, Deleted):
                _delete(name, parents[head], marked=bool(opaque))
            elif isinstance(entry, Link):
                _replace(name, parents[head], partial(os.symlink, entry.target, dir_fd=parents[head]))
            elif isinstance(entry, HardLink):
                _hard_link(entry, name, base, parents[head])
            else:
                _write(entry, name, parents[head], seed)
    finally:
        for descriptor in parents.values():
            os.close(descriptor)


def _mark(name: str, parent: int) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent))


def _make(directory: Directory, name: str, parent: int) -> None:
    try:
        os.mkdir(name, directory.mode, dir_fd=parent)
    except FileExistsError:  # from a layer below
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.chmod(name, directory.mode, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, directory.mode, dir_fd=parent)


def _empty(name: str, parent: int) -> None:
    """Remove all entries of a directory; the directory itself is kept, as by unpacking an archive."""
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for child in os.listdir(directory):
            _delete(child, directory, marked=False)
    finally:
        os.close(directory)


def _delete(name: str, parent: int, *, marked: bool) -> None:
    if marked:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
    elif stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        shutil.rmtree(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)


def _replace(name: str, parent: int, make: Callable[[str], T]) -> T:
    """Make `name`; an existing file of a layer below is replaced, not overwritten, because it may have other names."""
    try:
        return make(name)
    except FileExistsError:
        os.unlink(name, dir_fd=parent)
        return make(name)


def _hard_link(link: HardLink, name: str, base: int, parent: int) -> None:
    make = partial(os.link, link.target, src_dir_fd=base, dst_dir_fd=parent, follow_symlinks=False)
    _replace(name, parent, make)


def _write(file: File, name: str, parent: int, seed: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = _replace(name, parent, partial(os.open, flags=flags, mode=file.mode, dir_fd=parent))
    try:
        offset = 0
        for piece in pieces(file, seed):
            data = [(0, len(piece))] if file.data is None else inside(file.data, offset, len(piece))
            for start, end in data:
                if os.pwrite(descriptor, piece[start:end], offset + start) != end - start:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.path)
            offset += len(piece)
        if file.data is not None:
            os.ftruncate(descriptor, file.size)
    finally:
        os.close(descriptor)
