"""A directory as an image of one layer."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.errors import BenchError
from bench.image.model import Image, ImageLayer
from bench.layers.content import Copy, Directory, Entry, Link, Metadata, Node
from bench.layers.given import walk
from bench.model import format_size

__all__ = ["read_directory"]

KINDS = (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO)
LEFT = ("trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.", "security.selinux")  # of a driver or of this host


def read_directory(directory: Path, limit: int) -> Image:
    """Return the directory's tree as an image; its files are read when the image is built.

    Raises BenchError if it cannot be read or has more than `limit` bytes.
    """
    nodes: list[Entry] = []
    sockets: list[str] = []

    def other(path: str) -> None:
        status = os.lstat(directory / path)
        kind = stat.S_IFMT(status.st_mode)
        if kind in KINDS:
            nodes.append(Node(path, kind, status.st_rdev, _metadata(str(directory / path), status)))
        else:
            sockets.append(path)

    try:
        root = os.stat(directory)
        entries: list[Entry] = [Directory("", metadata=_metadata(str(directory), root))]
        for entry, status in walk(directory, other):
            entries.append(_dressed(entry, _metadata(str(directory / entry.path), status)))
    except OSError as error:
        raise BenchError(f"cannot read {error.filename or directory}", why=error.strerror or str(error)) from error
    size = sum(entry.size for entry in entries if isinstance(entry, Copy))
    if size > limit:
        why = f"its files have {format_size(size)}, more than {format_size(limit)}"
        raise BenchError(f"{directory} is too large", why=why, fix="give a larger --limit")
    layer = ImageLayer([*entries, *nodes], "", size)
    return Image(directory.resolve().name, "directory", "", [layer], notes=_notes(sockets))


def _dressed(entry: Entry, metadata: Metadata) -> Entry:
    return replace(entry, metadata=metadata) if isinstance(entry, Directory | Copy | Link) else entry


def _metadata(path: str, status: os.stat_result) -> Metadata:
    found: dict[str, bytes] = {}
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            if not name.startswith(LEFT):
                found[name] = os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    mode = stat.S_IMODE(status.st_mode)
    return Metadata(mode, status.st_uid, status.st_gid, status.st_mtime_ns, tuple(sorted(found.items())))


def _notes(sockets: Sequence[str]) -> list[str]:
    return [f"sockets are left out, as engines do: {len(sockets)} ({sockets[0]!r})"] if sockets else []
