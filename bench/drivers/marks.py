"""How overlayfs, and what follows it, marks in a container's layer what is deleted of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.layers.changes import WHITEOUT, is_opaque, is_whiteout

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["overlay_mark"]


def overlay_mark(upper: Path, name: str, *, files_mark: bool = False) -> str:
    """Say what `upper` holds at `name`: whiteout, whiteout file, opaque directory, directory, or nothing.

    With `files_mark` a file `.wh.NAME` is a mark.
    """
    path = upper / name
    try:
        told = path.lstat()
    except FileNotFoundError:
        return "whiteout file" if files_mark and (path.parent / f"{WHITEOUT}{path.name}").exists() else "nothing"
    if is_whiteout(told):
        return "whiteout"
    return "opaque directory" if is_opaque(str(path), files_mark=files_mark) else "directory"
