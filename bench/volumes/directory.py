"""The work directory itself, for ordinary users: no file system of our own, so no cold and no device counters."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.model import Support
from bench.volumes.base import DirectoryVolume, Recipe

__all__ = ["VOLUME", "DirectoryRecipe"]


class DirectoryRecipe(Recipe):
    """Nothing to make: the directory is there."""

    def probe(self) -> Support:
        """Every directory serves; the work directory itself was checked."""
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
    clones=False,  # unknown; whether a copy_up cloned is seen from its extents
    directory_bytes=0,
    order=9,
    needs_root=False,
)
