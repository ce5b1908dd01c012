"""Choice of the next block: scenarios share the time by weight, and no block starts that cannot end in time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.model import Cell

__all__ = ["Schedule", "block_order"]

ESTIMATE_MARGIN = 1.15  # a block starts if this multiple of its scenario's last block fits in the remaining time


def block_order(cells: Sequence[Cell], seed: int, scenario: str, block: int) -> list[Cell]:
    """Return the cells of block number `block` (from 0) in a random order that depends on the seed only."""
    ordered = [cell for cell in cells if cell.max_blocks is None or block < cell.max_blocks]
    random.Random(f"{seed}:{scenario}:{block}").shuffle(ordered)  # noqa: S311  an order, not a secret
    return ordered


@dataclass
class Schedule:
    """State of the choice: seconds used and blocks started per scenario."""

    cells: Mapping[str, Sequence[Cell]]
    weights: Mapping[str, float]
    begun: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def next(self, remaining: float) -> tuple[str, int] | None:
        """Return the scenario and block number to run with `remaining` seconds left; None if none fits.

        Every scenario gets one block first; then the scenario with the smallest part of its share is next.
        """
        fitting: list[tuple[float, int, str, int]] = []
        for scenario, cells in self.cells.items():
            block = self.begun.get(scenario, 0)
            limits = [cell.max_blocks for cell in cells]
            if None not in limits and block >= max(limit for limit in limits if limit is not None):
                continue
            if block and self.last[scenario] * ESTIMATE_MARGIN > remaining:
                continue
            share = self.spent.get(scenario, 0.0) / self.weights[scenario] if block else -1.0
            fitting.append((share, len(fitting), scenario, block))
        if not fitting or remaining <= 0:
            return None
        _, _, scenario, block = min(fitting)
        return scenario, block

    def ran(self, scenario: str, seconds: float) -> None:
        """Record that a block of `scenario` took `seconds`."""
        self.begun[scenario] = self.begun.get(scenario, 0) + 1
        self.spent[scenario] = self.spent.get(scenario, 0.0) + seconds
        self.last[scenario] = seconds
