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

from bench.layers.changes import OPAQUE_FILE, WHITEOUT, attributes
from bench.layers.content import Deleted, Directory, Entry, File, HardLink, Link, Metadata, Node, inside, pieces

__all__ = ["materialise"]

T = TypeVar("T")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def materialise(entries: Iterable[Entry], target: Path, seed: int, opaque: str = "") -> None:
    """Write `entries` below the existing directory `target`; a later file replaces an earlier one of the same path.

    With `opaque`, the name of the attribute that marks an opaque directory, `target` is an overlay layer, and deletions
    become whiteouts (fs/overlayfs: a character device 0:0). If it is OPAQUE_FILE, `target` is a branch of aufs, in
    which empty files are the marks, as in an archive. Without it, `target` is a whole tree without those names, and
    what is to be deleted but not there is left alone.

    Symbolic links are not followed, because they could lead out of `target`. An OSError has the path of the entry.
    """
    writer = _Writer(target, seed, opaque)
    try:
        for entry in entries:
            writer.add(entry)
        writer.finish()
    except OSError as error:
        error.filename, error.filename2 = writer.path, None
        raise
    finally:
        writer.close()


class _Writer:
    """Writes entries relative to open directories, so that a path may be longer than the kernel takes at once."""

    def __init__(self, target: Path, seed: int, opaque: str) -> None:
        self.seed, self.opaque = seed, opaque
        self.base = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.open: list[tuple[str, int]] = []  # the directories from the base to the last entry's parent
        self.path = ""  # of the entry that is being written
        self.dressed: list[Directory] = []  # whose metadata are set last, because writing in them changes their times

    def close(self) -> None:
        """Close all directories."""
        for descriptor in (self.base, *(descriptor for _, descriptor in self.open)):
            os.close(descriptor)

    def parent(self, path: str) -> tuple[int, str]:
        """Return the open parent directory of a path, and its last name; raises OSError if it is no directory."""
        head, _, name = path.rpartition("/")
        parts = head.split("/") if head else []
        common = 0
        while common < min(len(parts), len(self.open)) and parts[common] == self.open[common][0]:
            common += 1
        while len(self.open) > common:
            os.close(self.open.pop()[1])
        for part in parts[common:]:
            last = self.open[-1][1] if self.open else self.base
            self.open.append((part, os.open(part, _OPEN, dir_fd=last)))
        return (self.open[-1][1] if self.open else self.base), name

    def add(self, entry: Entry) -> None:
        """Write an entry."""
        self.path = entry.path
        if isinstance(entry, Deleted):
            self._delete(entry)
            return
        parent, name = self.parent(entry.path)
        if isinstance(entry, Directory):
            self._directory(entry, name, parent)
        elif isinstance(entry, Link):
            _replace(name, parent, partial(os.symlink, entry.target, dir_fd=parent))
            _dress_name(entry.metadata, name, parent, link=True)
        elif isinstance(entry, Node):
            _replace(name, parent, partial(os.mknod, mode=entry.kind | 0o600, device=entry.device, dir_fd=parent))
            _dress_name(entry.metadata, name, parent)
        elif isinstance(entry, HardLink):
            self._hard_link(entry, name, parent)
        else:
            _write(entry, name, parent, self.seed)

    def finish(self) -> None:
        """Set the metadata of directories, those of content before their parents'."""
        for entry in reversed(self.dressed):
            self.path = entry.path
            parent, name = self.parent(entry.path)
            descriptor = os.open(name or ".", _OPEN, dir_fd=parent)
            try:
                for key in attributes(descriptor):  # of the layers below
                    os.removexattr(descriptor, key)
                _dress(entry.metadata, descriptor)
            finally:
                os.close(descriptor)

    def _delete(self, entry: Deleted) -> None:
        try:
            if entry.content:
                _empty(".", self.parent(f"{entry.path}/")[0])
                return
            parent, name = self.parent(entry.path)
            if self.opaque == OPAQUE_FILE:
                _mark(f"{WHITEOUT}{name}", parent)
            else:
                _delete(name, parent, marked=bool(self.opaque))
        except (FileNotFoundError, NotADirectoryError):
            if self.opaque:
                raise
        except OSError as error:  # the parent is a link
            if self.opaque or error.errno != errno.ELOOP:
                raise

    def _directory(self, entry: Directory, name: str, parent: int) -> None:
        if name:
            _make(entry, name, parent)
        if entry.metadata is not None and not entry.implied:
            self.dressed.append(entry)
        if not entry.opaque:
            return
        if not self.opaque:
            _empty(name or ".", parent)
        elif self.opaque == OPAQUE_FILE:
            _mark(OPAQUE_FILE, self.parent(f"{entry.path}/")[0])
        else:
            os.setxattr(self.parent(f"{entry.path}/")[0], self.opaque, b"y")

    def _hard_link(self, entry: HardLink, name: str, parent: int) -> None:
        source, link = os.dup(parent), name
        try:
            target, first = self.parent(entry.target)
            _replace(link, source, partial(_link, first, target, source))
        finally:
            os.close(source)


def _link(first: str, target: int, parent: int, name: str) -> None:
    os.link(first, name, src_dir_fd=target, dst_dir_fd=parent, follow_symlinks=False)


def _mark(name: str, parent: int) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent))


def _make(directory: Directory, name: str, parent: int) -> None:
    try:
        os.mkdir(name, directory.mode, dir_fd=parent)
    except FileExistsError:  # from a layer below
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, directory.mode, dir_fd=parent)
        elif not directory.implied:
            os.chmod(name, directory.mode, dir_fd=parent)
            return
        else:
            return
    if directory.implied:
        os.chmod(name, directory.mode, dir_fd=parent)  # whatever the umask


def _empty(name: str, parent: int) -> None:
    """Remove all entries of a directory; the directory itself is kept, as by unpacking an archive."""
    directory = os.open(name, _OPEN, dir_fd=parent)
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
        _delete(name, parent, marked=False)
        return make(name)


def _write(file: File, name: str, parent: int, seed: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = _replace(name, parent, partial(os.open, flags=flags, mode=file.mode, dir_fd=parent))
    try:
        offset = 0
        for piece in pieces(file, seed) if file.data != () else ():
            data = [(0, len(piece))] if file.data is None else inside(file.data, offset, len(piece))
            for start, end in data:
                if os.pwrite(descriptor, piece[start:end], offset + start) != end - start:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.path)
            offset += len(piece)
        if file.data is not None:
            os.ftruncate(descriptor, file.size)
        _dress(file.metadata, descriptor)
    finally:
        os.close(descriptor)


def _dress_name(metadata: Metadata | None, name: str, parent: int, *, link: bool = False) -> None:
    """Set the metadata of what cannot be opened without effect: a link, a device, a fifo."""
    if metadata is None:
        return
    os.chown(name, metadata.uid, metadata.gid, dir_fd=parent, follow_symlinks=False)
    if not link:
        os.chmod(name, metadata.mode, dir_fd=parent)
    for key, value in metadata.attributes:
        os.setxattr(f"/proc/self/fd/{parent}/{name}", key, value, follow_symlinks=False)
    os.utime(name, ns=(metadata.time, metadata.time), dir_fd=parent, follow_symlinks=False)


def _dress(metadata: Metadata | None, descriptor: int) -> None:
    """Set the metadata of an open file or directory; the mode after the owner, whose change takes setuid away."""
    if metadata is None:
        return
    os.fchown(descriptor, metadata.uid, metadata.gid)
    os.fchmod(descriptor, metadata.mode)
    for key, value in metadata.attributes:
        os.setxattr(descriptor, key, value)
    os.utime(descriptor, ns=(metadata.time, metadata.time))
