"""A container as a test sees it, and what makes one after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Containers", "OverlayContainer"]


@dataclass(frozen=True)
class OverlayContainer:
    """A fresh container: new upper directory, new mount, nothing of it touched.

    `merged` is its root; `upper` where its changes land, None where a driver has no such place. `layers` are the
    directories of the image's layers on disk, bottom first: to look at, not to change.
    """

    merged: Path
    upper: Path | None
    depth: int
    driver: str
    volume: str
    layers: tuple[Path, ...] = field(repr=False)

    def image(self, index: int) -> Path:
        """Return the directory of layer `index` of the image (0: bottom, -1: top) on disk."""
        return self.layers[index]


class Containers:
    """Makes containers by `make`: a new one per call. Those that nobody removed are when this is closed."""

    def __init__(self, make: Callable[[], AbstractContextManager[OverlayContainer]]) -> None:
        self._make = make
        self._live: dict[Path, ExitStack] = {}

    def __call__(self) -> OverlayContainer:
        """Return a new container."""
        with ExitStack() as undo:
            container = undo.enter_context(self._make())
            self._live[container.merged] = undo.pop_all()
        return container

    def remove(self, container: OverlayContainer) -> None:
        """Unmount and delete a container, so that many in a row take no more room than one."""
        self._live.pop(container.merged).close()

    def close(self) -> None:
        """Remove all that are left, the newest first."""
        with ExitStack() as undo:
            for one in self._live.values():
                undo.callback(one.close)
            self._live.clear()
