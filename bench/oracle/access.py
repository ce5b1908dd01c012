"""Access to files by paths relative to an open directory."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = [
    "ABSENT",
    "Seen",
    "attributes_at",
    "content_of",
    "digest",
    "file_at",
    "names_at",
    "open_at",
    "opened_at",
    "read_at",
    "seen_at",
]

ABSENT = "absent"
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}


class Seen(NamedTuple):
    """Metadata of a name; a directory's size and link count are left out, because file systems differ in them."""

    kind: str
    mode: str = ""
    uid: int = 0
    gid: int = 0
    size: int = 0
    links: int = 0
    device: int = 0


def seen_at(root: int, path: str) -> Seen:
    """Return the metadata of a name, without following a symbolic link."""
    try:
        status = os.stat(path, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return Seen(ABSENT)
    mode = status.st_mode
    facts = (KINDS.get(stat.S_IFMT(mode), "device"), oct(stat.S_IMODE(mode)), status.st_uid, status.st_gid)
    if stat.S_ISDIR(mode):
        return Seen(*facts)
    return Seen(*facts, status.st_size, status.st_nlink, status.st_rdev)


def open_at(root: int, path: str, flags: int) -> int:
    """Open a file; raise ENXIO for a device or a pipe, whose open could block."""
    try:
        mode = os.stat(path, dir_fd=root).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), path)
    return os.open(path, flags | os.O_CLOEXEC, 0o644, dir_fd=root)


@contextmanager
def opened_at(root: int, path: str, flags: int) -> Iterator[int]:
    """Open by `open_at`; close at the end of the context."""
    descriptor = open_at(root, path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """Return the number of bytes and their hash."""
    return f"{len(data)} bytes {hashlib.blake2b(data, digest_size=8).hexdigest()}"


def content_of(descriptor: int) -> str:
    """Return the digest of the first MiB of an open file."""
    return digest(os.pread(descriptor, 1 << 20, 0))


def read_at(root: int, path: str) -> str:
    """Return the digest of a file, without following a symbolic link."""
    with opened_at(root, path, os.O_RDONLY | os.O_NOFOLLOW) as descriptor:
        return content_of(descriptor)


def names_at(root: int, path: str) -> list[str]:
    """Return the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        return sorted(os.listdir(descriptor))
    finally:
        os.close(descriptor)


def file_at(root: int, path: str) -> tuple[str, dict[str, bytes]]:
    """Return the digest of a regular file and its attributes as `attributes_at` does, by opening it once."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    try:
        return content_of(descriptor), _attributes(descriptor)
    finally:
        os.close(descriptor)


def attributes_at(root: int, path: str) -> dict[str, bytes]:
    """Return the extended attributes in the namespace `user`, without following a symbolic link."""
    return _attributes(f"/proc/self/fd/{root}/{path}")


def _attributes(place: int | str) -> dict[str, bytes]:
    follow = {} if isinstance(place, int) else {"follow_symlinks": False}
    try:
        names = [name for name in os.listxattr(place, **follow) if name.startswith("user.")]
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}  # setxattr fails with the same error
    return {name: os.getxattr(place, name, **follow) for name in sorted(names)}
