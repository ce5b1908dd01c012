"""Which containers are wanted, and that they cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

from bench import discovery
from bench.errors import BenchError
from bench.layers.given import Content
from bench.measure.arms import parse_driver
from bench.measure.selection import MAX_DEPTH

__all__ = ["Choice", "UnavailableError"]


class UnavailableError(BenchError):
    """Such a container cannot be had on this machine, or not by this user."""


@dataclass(frozen=True)
class Choice:
    """Which stack: a driver with its options and a volume, both as the command line has them, depth and content."""

    driver: str
    volume: str
    depth: int
    content: Content = None

    @property
    def arm(self) -> str:
        """The arm as it is written: `overlay2,metacopy=on@xfs`."""
        return f"{self.driver}@{self.volume}"

    def check(self) -> None:
        """Raise BenchError for a driver, option, volume or depth that there is nowhere."""
        for what, text in (("driver", self.driver), ("volume", self.volume)):
            if not isinstance(text, str):
                raise BenchError(f"{what} {text!r} is not a name", fix=f"write it like {what}='xfs'")
        most = discovery.driver(parse_driver(self.driver)[0]).max_depth or MAX_DEPTH
        if not discovery.volume(self.volume).filesystem:
            raise BenchError(
                f"volume {self.volume} is not for containers of tests",
                why="what they write in a directory would stay when they are killed",
                fix=f"choose one of {', '.join(one.name for one in discovery.volumes().values() if one.filesystem)}",
            )
        if not isinstance(self.depth, int) or isinstance(self.depth, bool) or not 1 <= self.depth <= most:
            raise BenchError(f"{self.depth!r} is not a depth of {self.driver}", fix=f"give 1 to {most} layers")
