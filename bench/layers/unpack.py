"""Applying a layer's archive to a tree of the layers below, with the semantics of container engines.

The archive is read whole before anything is changed, so that a refused one changes nothing. No symbolic link of a lower
layer is followed, as with overlayfs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from bench.errors import BenchError
from bench.layers.archived import Region, read_layer
from bench.layers.materialise import materialise

__all__ = ["apply"]


def apply(source: IO[bytes], tree: Path, *, devices: bool = False) -> None:
    """Apply an uncompressed layer archive to the directory `tree`, which contains the layers below.

    Raises BenchError, leaving the tree unchanged, for a damaged archive or a refused member (bench.layers.members).
    Device nodes are refused unless `devices` are permitted, because no container restricts access to them in `tree`.
    """
    with ExitStack() as opened:
        file = source if _has_descriptor(source) else opened.enter_context(_copied(source, tree))
        archive = Region(file.fileno(), start := file.tell(), os.fstat(file.fileno()).st_size - start)
        entries = read_layer(archive, below=lambda path: _mode(tree, path), devices=devices)
        try:
            materialise(entries, tree, 0)
        except OSError as error:
            raise BenchError(
                f"cannot unpack {error.filename!r} of the layer's archive", why=error.strerror or str(error)
            ) from error


def _has_descriptor(source: IO[bytes]) -> bool:
    try:
        return source.fileno() >= 0 and source.seekable()
    except OSError:
        return False


def _copied(source: IO[bytes], tree: Path) -> IO[bytes]:
    """Return a copy of the source as a nameless file."""
    file = tempfile.TemporaryFile(dir=tree)  # noqa: SIM115  the caller closes it
    shutil.copyfileobj(source, file)
    file.flush()
    file.seek(0)
    return file


def _mode(tree: Path, path: str) -> int | None:
    """Return the mode of a path of the tree; None unless it is there and all of its parents are directories."""
    directory = str(tree)
    *parents, last = path.split("/")
    for part in parents:
        directory = os.path.join(directory, part)
        if os.path.islink(directory) or not os.path.isdir(directory):
            return None
    place = os.path.join(directory, last)
    return os.lstat(place).st_mode if os.path.lexists(place) else None
