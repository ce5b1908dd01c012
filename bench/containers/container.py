"""A container as used by a test, and the factory of containers."""

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
    """Makes a new container by `make` at each call; `close` removes those that were not removed."""

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
        """Unmount and delete a container, so that a series of them needs the space of one."""
        self._live.pop(container.merged).close()

    def close(self) -> None:
        """Remove all remaining containers, the newest first."""
        with ExitStack() as undo:
            for container_stack in self._live.values():
                undo.callback(container_stack.close)
            self._live.clear()
