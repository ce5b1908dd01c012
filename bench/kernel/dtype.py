"""Whether a file system tells in a listing what each name is (d_type), which overlayfs needs to hide anything."""

from __future__ import annotations

import ctypes
import os
import tempfile
from pathlib import Path

__all__ = ["tells_types"]

DT_UNKNOWN = 0  # include/uapi/linux/fs.h by way of dirent.h
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


def tells_types(directory: Path) -> bool:
    """Tell whether a listing of a file made below `directory` has its type, as Docker asks (moby pkg/fsutils).

    Raises OSError where nothing can be made there.
    """
    with tempfile.TemporaryDirectory(prefix=".types-", dir=directory) as made:
        os.close(os.open(f"{made}/file", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return _types(made)["file"] != DT_UNKNOWN


def _types(directory: str) -> dict[str, int]:
    """Return the types that a listing has, by name."""
    opened = _libc.opendir(os.fsencode(directory))
    if not opened:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), directory)
    try:
        found = {}
        while entry := _libc.readdir(opened):
            found[os.fsdecode(entry.contents.d_name)] = int(entry.contents.d_type)
        return found
    finally:
        _libc.closedir(opened)
