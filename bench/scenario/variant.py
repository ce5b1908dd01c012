"""A file system that a unit makes for itself: that of its volume, or a variant of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.model import WITH_TYPES
from bench.scenario.contract import Unit

__all__ = ["file_system"]

INODES = 1000


@contextmanager
def file_system(unit: Unit, types: str, size: int = 0) -> Iterator[Path]:
    """Make the file system of the unit's volume in memory, beside the volumes, with or without types; yield its path.

    It has `size` bytes, or the fewest that are possible.

    Raises BenchError if it cannot be made, or if the kernel does not mount it.
    """
    recipe = unit.volume.recipe if types == WITH_TYPES else unit.volume.recipe.without_types()
    if recipe is None:
        raise BenchError(f"listings of {unit.volume.recipe.title} always have types")
    stage = unit.volume.path.parent
    path, room = stage / f"made-{types.replace(' ', '-')}", max(size, recipe.minimum_bytes)
    volume = recipe.make(path, stage, size=room, inodes=INODES)
    try:
        yield volume.path
    finally:
        volume.close()
