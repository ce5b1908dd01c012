"""The working directory of the process, for calls with relative paths."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["working_directory"]


@contextmanager
def working_directory(directory: Path) -> Iterator[None]:
    """Change to `directory` for the duration of the context; afterwards it can be unmounted."""
    previous = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(directory)
        yield
    finally:
        os.fchdir(previous)
        os.close(previous)
