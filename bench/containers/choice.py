"""The choice of a stack for containers, and the error if it is unavailable."""

from __future__ import annotations

from dataclasses import dataclass

from bench import discovery
from bench.errors import BenchError
from bench.layers.given import Content
from bench.measure.arms import parse_driver
from bench.measure.selection import MAX_DEPTH

__all__ = ["Choice", "UnavailableError"]


class UnavailableError(BenchError):
    """Such a container is not available on this machine or for this user."""


@dataclass(frozen=True)
class Choice:
    """A stack: driver with options and volume, both in the syntax of the command line, depth and content."""

    driver: str
    volume: str
    depth: int
    content: Content = None

    @property
    def arm(self) -> str:
        """The arm as it is written: `overlay2,metacopy=on@xfs`."""
        return f"{self.driver}@{self.volume}"

    def check(self) -> None:
        """Raise BenchError for an invalid driver, option, volume or depth."""
        for kind, text in (("driver", self.driver), ("volume", self.volume)):
            if not isinstance(text, str):
                raise BenchError(f"{kind} {text!r} is not a name", fix=f"write it like {kind}='xfs'")
        limit = discovery.driver(parse_driver(self.driver)[0]).max_depth or MAX_DEPTH
        if not discovery.volume(self.volume).filesystem:
            raise BenchError(
                f"volume {self.volume} is not for containers of tests",
                why="what they write in a directory would stay when they are killed",
                fix=f"choose one of {', '.join(item.name for item in discovery.volumes().values() if item.filesystem)}",
            )
        if not isinstance(self.depth, int) or isinstance(self.depth, bool) or not 1 <= self.depth <= limit:
            raise BenchError(f"{self.depth!r} is not a depth of {self.driver}", fix=f"give 1 to {limit} layers")
