"""Drivers that this suite lists with a reason and does not measure.

Both were removed from Docker (aufs in 24.0, devicemapper in 25.0). No kernel with either was available to test a
stack on, and untested code would measure nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from bench.drivers.base import Container, CopyUp, Driver, Footprint, Stack
from bench.errors import BenchError
from bench.layers.content import Layer
from bench.model import Support
from bench.volumes.base import Recipe

__all__ = ["DRIVERS", "Absent", "Aufs"]

UNTRIED = "this suite has no stack of it: no kernel that has it was at hand"


class Absent(Driver):
    """A driver whose probe always fails."""

    profile = "standard"
    inode_law = "not measured"

    @abstractmethod
    def lacking(self) -> str:
        """Return what the kernel lacks for it; empty if nothing."""

    def probe(self, volume: Recipe) -> Support:
        """Report what is missing."""
        missing = self.lacking()
        return Support.no(f"not supported by this kernel: {missing}" if missing else UNTRIED)

    def _refuse(self) -> NoReturn:
        raise BenchError(f"{self.name} cannot be measured", why=self.lacking() or UNTRIED)

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Refuse."""
        self._refuse()

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Refuse."""
        self._refuse()

    def mount(self, container: Container) -> NoReturn:
        """Refuse."""
        self._refuse()

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Refuse."""
        self._refuse()

    def layer_path(self, container: Container, layer: int) -> Path:
        """Refuse."""
        self._refuse()

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """Refuse."""
        self._refuse()


class Aufs(Absent):
    """A union of branches, in patched kernels."""

    name = "aufs"
    title = "aufs (patched kernels)"
    order = 900

    def lacking(self) -> str:
        """Search for the file system."""
        words = Path("/proc/filesystems").read_text(encoding="ascii").split()
        return "" if "aufs" in words else "no aufs in /proc/filesystems"


DRIVERS = (Aufs,)
