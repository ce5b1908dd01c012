"""The work directory itself, for ordinary users: no file system of our own, so no cold and no device counters."""

from __future__ import annotations

from bench.model import Support
from bench.volumes.base import Recipe


class _Directory(Recipe):
    def probe(self) -> Support:
        return Support.yes()


VOLUME = _Directory(
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
