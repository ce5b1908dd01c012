"""Test whether a file system reports d_type in listings, which overlayfs requires for whiteouts."""

from __future__ import annotations

import ctypes
import os
import tempfile
from pathlib import Path

__all__ = ["reports_types"]

DT_UNKNOWN = 0  # include/uapi/linux/fs.h, dirent.h
_libc = ctypes.CDLL(None, use_errno=True)


class _Entry(ctypes.Structure):
    """struct dirent of a 64-bit Linux (readdir(3)), up to the name."""

    _fields_ = (
        ("d_ino", ctypes.c_uint64),
        ("d_off", ctypes.c_int64),
        ("d_reclen", ctypes.c_uint16),
        ("d_type", ctypes.c_uint8),
        ("d_name", ctypes.c_char * 256),
    )


_libc.opendir.restype = ctypes.c_void_p
_libc.readdir.argtypes = _libc.closedir.argtypes = (ctypes.c_void_p,)
_libc.readdir.restype = ctypes.POINTER(_Entry)


def reports_types(directory: Path) -> bool:
    """Tell whether a listing of a new file below `directory` has its type; the test is Docker's (moby pkg/fsutils).

    Raises OSError if nothing can be created there.
    """
    with tempfile.TemporaryDirectory(prefix=".types-", dir=directory) as trial:
        os.close(os.open(f"{trial}/file", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return _types(trial)["file"] != DT_UNKNOWN


def _types(directory: str) -> dict[str, int]:
    """Return the d_type of each name in a directory."""
    stream = _libc.opendir(os.fsencode(directory))
    if not stream:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), directory)
    try:
        types = {}
        while entry := _libc.readdir(stream):
            types[os.fsdecode(entry.contents.d_name)] = int(entry.contents.d_type)
        return types
    finally:
        _libc.closedir(stream)
