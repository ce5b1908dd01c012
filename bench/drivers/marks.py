"""The whiteouts of overlayfs and of drivers that follow it, and what they need of the file system."""

from __future__ import annotations

from pathlib import Path

from bench.kernel.dtype import reports_types
from bench.layers.changes import WHITEOUT, is_opaque, is_whiteout
from bench.model import Support

__all__ = ["listings_with_types", "overlay_mark"]


def listings_with_types(path: Path) -> Support:
    """Tell whether the file system at `path` reports the type of each name in a listing (d_type)."""
    if reports_types(path):
        return Support.yes()
    return Support.no(
        "its file system does not tell the type of a name in a listing (d_type), without which layers cannot be merged",
        "make it with that feature: xfs with -n ftype=1, ext4 with -O filetype",
    )


def overlay_mark(upper: Path, name: str, *, wh_files: bool = False) -> str:
    """Return what `upper` holds at `name`: whiteout, whiteout file, opaque directory, directory, or nothing.

    With `wh_files` a file `.wh.NAME` is a whiteout.
    """
    path = upper / name
    try:
        status = path.lstat()
    except FileNotFoundError:
        return "whiteout file" if wh_files and (path.parent / f"{WHITEOUT}{path.name}").exists() else "nothing"
    if is_whiteout(status):
        return "whiteout"
    return "opaque directory" if is_opaque(str(path), wh_files=wh_files) else "directory"
