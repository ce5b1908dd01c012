"""Which block comes next: scenarios share the time by weight, and none starts a block that cannot end in time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.model import Cell

__all__ = ["Schedule", "block_order"]

ESTIMATE_MARGIN = 1.15  # a block is started if this times its scenario's last one still fits


def block_order(cells: Sequence[Cell], seed: int, scenario: str, block: int) -> list[Cell]:
    """Return the cells of block number `block` (from 0) in an order drawn from the seed alone."""
    chosen = [cell for cell in cells if cell.max_blocks is None or block < cell.max_blocks]
    random.Random(f"{seed}:{scenario}:{block}").shuffle(chosen)  # noqa: S311  an order, not a secret
    return chosen


@dataclass
class Schedule:
    """The state of the choice: seconds spent and blocks begun per scenario."""

    cells: Mapping[str, Sequence[Cell]]
    weights: Mapping[str, float]
    begun: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def next(self, left: float) -> tuple[str, int] | None:
        """Return (scenario, block number) to run with `left` seconds to go; None if none fits.

        First every scenario gets one block; then the one that has had least of its share.
        """
        fitting: list[tuple[float, int, str, int]] = []
        for scenario, cells in self.cells.items():
            block = self.begun.get(scenario, 0)
            limits = [cell.max_blocks for cell in cells]
            if None not in limits and block >= max(limit for limit in limits if limit is not None):
                continue
            if block and self.last[scenario] * ESTIMATE_MARGIN > left:
                continue
            share = self.spent.get(scenario, 0.0) / self.weights[scenario] if block else -1.0
            fitting.append((share, len(fitting), scenario, block))
        if not fitting or left <= 0:
            return None
        _, _, scenario, block = min(fitting)
        return scenario, block

    def ran(self, scenario: str, seconds: float) -> None:
        """Note that a block of `scenario` took `seconds`."""
        self.begun[scenario] = self.begun.get(scenario, 0) + 1
        self.spent[scenario] = self.spent.get(scenario, 0.0) + seconds
        self.last[scenario] = seconds
