"""Extents of a file by FIEMAP, which distinguish a clone (shared extents) from a copy."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Extents", "extents"]

FS_IOC_FIEMAP = 0xC020660B
FIEMAP_FLAG_SYNC = 1
FIEMAP_EXTENT_LAST, FIEMAP_EXTENT_SHARED = 0x1, 0x2000
_HEADER, _EXTENT = struct.Struct("=QQLLLL"), struct.Struct("=QQQQQLLLL")
BATCH = 256  # extents per call


@dataclass(frozen=True)
class Extents:
    """Bytes of a file that are mapped to blocks, and those of them that are shared with other files."""

    mapped: int
    shared: int


def extents(path: Path | str) -> Extents:
    """Return the extents of the file at `path`, after writing back its dirty pages."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mapped = shared = start = 0
        while True:
            request = bytearray(_HEADER.size + BATCH * _EXTENT.size)
            _HEADER.pack_into(request, 0, start, (1 << 64) - 1 - start, FIEMAP_FLAG_SYNC, 0, BATCH, 0)
            fcntl.ioctl(descriptor, FS_IOC_FIEMAP, request)
            count = _HEADER.unpack_from(request)[3]
            last = True
            for index in range(count):
                logical, _, length, _, _, flags, *_ = _EXTENT.unpack_from(request, _HEADER.size + index * _EXTENT.size)
                mapped += length
                shared += length if flags & FIEMAP_EXTENT_SHARED else 0
                start, last = logical + length, bool(flags & FIEMAP_EXTENT_LAST)
            if last:
                return Extents(mapped, shared)
    finally:
        os.close(descriptor)
