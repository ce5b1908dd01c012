"""How overlayfs, and what follows it, marks in a container's layer what is deleted of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.layers.changes import WHITEOUT, is_opaque, is_whiteout

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["overlay_mark"]


def overlay_mark(upper: Path, name: str) -> str:
    """Say what `upper` holds at `name`: whiteout, whiteout file, opaque directory, directory, or nothing."""
    path = upper / name
    try:
        told = path.lstat()
    except FileNotFoundError:
        return "whiteout file" if (path.parent / f"{WHITEOUT}{path.name}").exists() else "nothing"
    if is_whiteout(told):
        return "whiteout"
    return "opaque directory" if is_opaque(str(path)) else "directory"
