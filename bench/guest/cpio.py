"""Archives in the format of an initramfs (newc; Documentation/driver-api/early-userspace/buffer-format.rst)."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

__all__ = ["Archive"]

MAGIC = "070701"
ALIGNED = 4  # bytes
TRAILER = "TRAILER!!!"


class Archive:
    """An archive that is written to `file`; missing parent directories are added, and no name twice."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._names: set[str] = set()
        self._inode = 0

    def directory(self, name: str) -> None:
        """Add a directory."""
        self._add(name, stat.S_IFDIR | 0o755, b"", 0)

    def device(self, name: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._add(name, stat.S_IFCHR | 0o600, b"", 0, (major, minor))

    def data(self, name: str, data: bytes, mode: int = 0o644, mtime: int = 0) -> None:
        """Add a regular file."""
        self._add(name, stat.S_IFREG | mode, data, mtime)

    def file(self, source: Path, name: str | None = None) -> None:
        """Add a file of the host, with its content, permissions and time."""
        status = source.stat()
        self.data(name or str(source), source.read_bytes(), stat.S_IMODE(status.st_mode), int(status.st_mtime))

    def close(self) -> None:
        """Write the trailer; the file stays open."""
        self._entry(TRAILER, 0, b"", 0, (0, 0))

    def _add(self, name: str, mode: int, data: bytes, mtime: int, device: tuple[int, int] = (0, 0)) -> None:
        name = name.strip("/")
        if name in self._names:
            return
        parent = str(PurePosixPath(name).parent)
        if parent != ".":
            self.directory(parent)
        self._names.add(name)
        self._entry(name, mode, data, mtime, device)

    def _entry(self, name: str, mode: int, data: bytes, mtime: int, device: tuple[int, int]) -> None:
        self._inode += 1
        encoded = os.fsencode(name) + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self._inode, mode, 0, 0, links, mtime, len(data), 0, 0, *device, len(encoded), 0)
        header = (MAGIC + "".join(f"{field:08x}" for field in fields)).encode()
        self._file.write(_padded(header + encoded))
        self._file.write(_padded(data))


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % ALIGNED)
