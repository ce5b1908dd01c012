"""Calls of the C library through ctypes, with errno raised as OSError."""

from __future__ import annotations

import ctypes
import os

__all__ = ["call", "syscall"]

_libc = ctypes.CDLL(None, use_errno=True)
Argument = int | bytes | None


def _wrap(value: Argument) -> object:
    # ctypes passes a bare int as a C int, truncated to 32 bits.
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
    """Invoke the system call `number`, for those without a libc wrapper."""
    return call("syscall", number, *args, path=path)
