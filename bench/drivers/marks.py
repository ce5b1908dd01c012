"""How overlayfs, and what follows it, marks in a container's layer what is deleted of the image, and needs for it."""

from __future__ import annotations

from pathlib import Path

from bench.kernel.dtype import tells_types
from bench.layers.changes import WHITEOUT, is_opaque, is_whiteout
from bench.model import Support

__all__ = ["listings_with_types", "overlay_mark"]


def listings_with_types(path: Path) -> Support:
    """Tell whether listings on the file system at `path` have the type of each name (d_type)."""
    if tells_types(path):
        return Support.yes()
    return Support.no(
        "its file system does not tell the type of a name in a listing (d_type), without which layers cannot be merged",
        "make it with that feature: xfs with -n ftype=1, ext4 with -O filetype",
    )


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
