"""The plan: which cells, on which stacks, on volumes of which size, and what is left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.drivers.base import Footprint
from bench.layers.content import Layer
from bench.measure.request import Request
from bench.model import Cell, Param, Skip
from bench.scenario.contract import Scenario

__all__ = ["Content", "Plan", "StackKey", "StackPlan", "content_of"]

Content = tuple[tuple[str, Param], ...]  # the parameters that change what layers hold


def content_of(scenario: Scenario, params: Iterable[tuple[str, Param]]) -> Content:
    """Return those of `params` that change what the layers of `scenario` hold."""
    return tuple((key, value) for key, value in params if key in scenario.content)


@dataclass(frozen=True)
class StackKey:
    """Which chain of layers: shared by all cells and arms that can."""

    scenario: str
    driver: str
    volume: str
    content: Content

    @staticmethod
    def of(scenario: Scenario, cell: Cell) -> StackKey:
        """Return the chain that `cell` of `scenario` stands on."""
        return StackKey(scenario.name, cell.arm.driver, cell.arm.volume, content_of(scenario, cell.params))


@dataclass
class StackPlan:
    """Layers of a chain, and the depths at which it serves as an image."""

    layers: Sequence[Layer]
    depths: list[int]
    footprint: Footprint


@dataclass
class Plan:
    """All that a run will do."""

    request: Request
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    stacks: dict[StackKey, StackPlan] = field(default_factory=dict)
    volumes: dict[str, Footprint] = field(default_factory=dict)  # by volume_key
    skips: list[Skip] = field(default_factory=list)

    @property
    def needed_bytes(self) -> int:
        """What the work directory must have free."""
        return sum(volume.bytes for volume in self.volumes.values())
