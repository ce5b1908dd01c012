"""A directory in the work directory, for ordinary users: no own file system, so no cold cells and device counters."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.model import Support
from bench.volumes.base import DirectoryVolume, Recipe

__all__ = ["VOLUME", "DirectoryRecipe"]


class DirectoryRecipe(Recipe):
    """A recipe that makes no file system."""

    def probe(self) -> Support:
        """Always supported; the work directory is checked elsewhere."""
        return Support.yes()

    def make(self, path: Path, work: Path, *, size: int, inodes: int) -> DirectoryVolume:
        """Return a new directory in the work directory as a volume."""
        return DirectoryVolume(self, Path(tempfile.mkdtemp(prefix="volume-", dir=work)))


VOLUME = DirectoryRecipe(
    name="dir",
    title="the given directory",
    filesystem="",
    program="",
    arguments=(),
    clones=False,  # unknown; the extents show whether a copy_up cloned
    directory_bytes=0,
    order=9,
    needs_root=False,
)
