"""The process's working directory, for calls that take names relative to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["working_directory"]


@contextmanager
def working_directory(directory: Path) -> Iterator[None]:
    """Work in `directory` while entered; it can be unmounted afterwards."""
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(directory)
        yield
    finally:
        os.fchdir(before)
        os.close(before)
