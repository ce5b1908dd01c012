"""What is seen below an open directory, by names relative to it."""

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
    "names_at",
    "open_at",
    "opened_at",
    "read_at",
    "seen_at",
]

ABSENT = "absent"


class Seen(NamedTuple):
    """What a name is; of a directory neither size nor links, in which file systems differ."""

    kind: str
    mode: str = ""
    uid: int = 0
    gid: int = 0
    size: int = 0
    links: int = 0
    device: int = 0


def seen_at(root: int, path: str) -> Seen:
    """Return what a name is, without following a link."""
    try:
        told = os.stat(path, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return Seen(ABSENT)
    mode = told.st_mode
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}
    facts = Seen(kinds.get(stat.S_IFMT(mode), "device"), oct(stat.S_IMODE(mode)), told.st_uid, told.st_gid)
    if facts.kind == "directory":
        return facts
    return facts._replace(size=told.st_size, links=told.st_nlink, device=told.st_rdev)


def open_at(root: int, path: str, flags: int) -> int:
    """Open a file as open(2) does, but neither a device nor a pipe, at which it could wait; those end with ENXIO."""
    try:
        mode = os.stat(path, dir_fd=root).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), path)
    return os.open(path, flags | os.O_CLOEXEC, 0o644, dir_fd=root)


@contextmanager
def opened_at(root: int, path: str, flags: int) -> Iterator[int]:
    """Open as `open_at` does while entered."""
    descriptor = open_at(root, path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """Return how many bytes there are, and their hash."""
    return f"{len(data)} bytes {hashlib.blake2b(data, digest_size=8).hexdigest()}"


def content_of(descriptor: int) -> str:
    """Return the digest of the first MiB of an open file."""
    return digest(os.pread(descriptor, 1 << 20, 0))


def read_at(root: int, path: str) -> str:
    """Return the digest of a file that is no link."""
    with opened_at(root, path, os.O_RDONLY | os.O_NOFOLLOW) as descriptor:
        return content_of(descriptor)


def names_at(root: int, path: str) -> list[str]:
    """Return the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        return sorted(os.listdir(descriptor))
    finally:
        os.close(descriptor)


def attributes_at(root: int, path: str) -> dict[str, bytes]:
    """Return the extended attributes of users."""
    place = f"/proc/self/fd/{root}/{path}"
    try:
        names = [name for name in os.listxattr(place, follow_symlinks=False) if name.startswith("user.")]
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}  # none can be set, which is what setxattr says
    return {name: os.getxattr(place, name, follow_symlinks=False) for name in sorted(names)}
