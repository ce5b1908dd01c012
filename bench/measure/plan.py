"""The plan of a run: cells, stacks, volumes with their sizes, and skips with their reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.drivers.base import Footprint
from bench.layers.content import Layer
from bench.measure.request import Request
from bench.model import Cell, Param, Skip
from bench.scenario.contract import Scenario

__all__ = ["Content", "Plan", "StackKey", "StackPlan", "content_of"]

Content = tuple[tuple[str, Param], ...]  # the parameters that determine the layers' content


def content_of(scenario: Scenario, params: Iterable[tuple[str, Param]]) -> Content:
    """Return those of `params` that determine the content of the layers of `scenario`."""
    return tuple((key, value) for key, value in params if key in scenario.content)


@dataclass(frozen=True)
class StackKey:
    """Identifies a chain of layers, which cells and arms share if possible."""

    scenario: str
    driver: str
    volume: str
    content: Content

    @staticmethod
    def of(scenario: Scenario, cell: Cell) -> StackKey:
        """Return the key of the chain that `cell` of `scenario` uses."""
        return StackKey(scenario.name, cell.arm.driver, cell.arm.volume, content_of(scenario, cell.params))


@dataclass
class StackPlan:
    """Layers of a chain, and the depths of its images."""

    layers: Sequence[Layer]
    depths: list[int]
    footprint: Footprint


@dataclass
class Plan:
    """Everything that a run will do."""

    request: Request
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    stacks: dict[StackKey, StackPlan] = field(default_factory=dict)
    volumes: dict[str, Footprint] = field(default_factory=dict)  # by volume_key
    skips: list[Skip] = field(default_factory=list)

    @property
    def all_cells(self) -> list[Cell]:
        """The cells of all scenarios."""
        return [cell for cells in self.cells.values() for cell in cells]

    @property
    def needed_bytes(self) -> int:
        """The free space that the work directory must have."""
        return sum(volume.bytes for volume in self.volumes.values())
