"""The C library through ctypes, with errno turned into OSError."""

from __future__ import annotations

import ctypes
import os

__all__ = ["call", "syscall"]

_libc = ctypes.CDLL(None, use_errno=True)
Argument = int | bytes | None


def _wrap(value: Argument) -> object:
    # A bare int would be passed as a C int and cut to 32 bits.
    return ctypes.c_long(value) if isinstance(value, int) else value


def call(name: str, *args: Argument, path: str | None = None) -> int:
    """Call the libc function `name`; raise OSError with errno (and `path`) if it returns -1."""
    ctypes.set_errno(0)
    result: int = getattr(_libc, name)(*map(_wrap, args))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def syscall(number: int, *args: Argument, path: str | None = None) -> int:
    """Call the system call `number`, for those that libc has no function for."""
    return call("syscall", number, *args, path=path)
