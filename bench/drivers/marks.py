"""How overlayfs, and what follows it, marks in a container's layer what is deleted of the image."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["overlay_mark"]

# Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"; userxattr; fuse-overlayfs main.c
OPAQUE_NAMES = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")


def overlay_mark(upper: Path, name: str) -> str:
    """Say what `upper` holds at `name`: whiteout, whiteout file, opaque directory, directory, or nothing."""
    path = upper / name
    try:
        mode = path.lstat()
    except FileNotFoundError:
        return "whiteout file" if (path.parent / f".wh.{path.name}").exists() else "nothing"
    if stat.S_ISCHR(mode.st_mode) and mode.st_rdev == 0:
        return "whiteout"
    return "opaque directory" if _opaque(path) else "directory"


def _opaque(path: Path) -> bool:
    """Tell whether a directory hides the layers below, by attribute or by marker file."""
    names = set(os.listxattr(path))
    return (
        any(name in names and os.getxattr(path, name) == b"y" for name in OPAQUE_NAMES)
        or (path / ".wh..wh..opq").exists()
    )
