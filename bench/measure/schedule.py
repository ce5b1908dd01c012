"""NextBlock of the next block: scenarios share the time by weight, and no block starts that cannot end in time."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.model import Cell

__all__ = ["Gain", "NextBlock", "Schedule", "block_order"]


@dataclass(frozen=True)
class Gain:
    """What one more block of a scenario's figures is worth: their gain in precision, summed.

    `share`: the cells of such a block, in those of its last one.
    """

    precision: float
    share: float = 1.0


@dataclass(frozen=True)
class NextBlock:
    """The next block: its scenario and number, and whether it has all cells or those of figures only."""

    scenario: str
    block: int
    whole: bool


NO_GAINS: Mapping[str, Gain | None] = {}
LEAST_BLOCKS = 3  # of every cell, for its chart: in results/example such cells have ±9 % in the median
LEAST_SHARE = 0.25  # of the time left, that the first blocks of a scenario may take before others come to their gains
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

    def next(self, remaining: float, gains: Mapping[str, Gain | None] = NO_GAINS) -> NextBlock | None:
        """Return the block to run with `remaining` seconds left; None if none fits or is needed.

        Every scenario gets one block first, and with `gains` LEAST_BLOCKS of all cells where these are cheap. Then
        comes the one whose figures gain most in precision per second, and when none gains anything, of those without
        figures (None, or not in `gains`) the one with the smallest part of its share.
        """
        fitting: list[tuple[int, float, int, NextBlock]] = []
        for scenario, cells in self.cells.items():
            block = self.begun.get(scenario, 0)
            limits = [cell.max_blocks for cell in cells]
            if None not in limits and block >= max(limit for limit in limits if limit is not None):
                continue
            last, gain = self.last.get(scenario, 0.0), gains.get(scenario)
            share = self.spent.get(scenario, 0.0) / self.weights[scenario] if block else -1.0
            missing = (LEAST_BLOCKS - block) * last
            if not block or (gains and 0 < missing <= (math.inf if gain is None else remaining * LEAST_SHARE)):
                rank, value, whole, seconds = 0, share, True, last
            elif gain is None:
                rank, value, whole, seconds = 2, share, True, last
            elif gain.precision > 0:
                seconds = last * gain.share
                rank, value, whole = 1, -gain.precision / max(seconds, 1e-9), False
            else:
                continue
            if seconds * ESTIMATE_MARGIN <= remaining:
                fitting.append((rank, value, len(fitting), NextBlock(scenario, block, whole)))
        return min(fitting)[-1] if fitting and remaining > 0 else None

    def ran(self, scenario: str, seconds: float) -> None:
        """Record that a block of `scenario` took `seconds`."""
        self.begun[scenario] = self.begun.get(scenario, 0) + 1
        self.spent[scenario] = self.spent.get(scenario, 0.0) + seconds
        self.last[scenario] = seconds
