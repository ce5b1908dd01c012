"""NextBlock of the next block: scenarios share the time by weight, and no block starts that cannot end in time."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.model import Cell

__all__ = ["Gain", "NextBlock", "Schedule", "block_order"]


@dataclass(frozen=True)
class Gain:
    """What one more block of a scenario's figures is worth: by how much their variances fall, summed.

    `share`: the cells of such a block, in those of its last one.
    """

    fall: float
    share: float = 1.0


@dataclass(frozen=True)
class NextBlock:
    """The next block: its scenario and number, and whether it has all cells or those of figures only.

    `spare`: all of its cells, which figures do not wait for.
    """

    scenario: str
    block: int
    whole: bool
    spare: bool = False


NO_GAINS: Mapping[str, Gain | None] = {}
LEAST_BLOCKS = 3  # of every cell, for its chart: in results/example such cells have ±10 % in the median
FIGURES_SHARE = 0.5  # of the time, once they can be made, that figures have where it is too short for all cells
LEAST_SHARE = 0.25  # of the time left, that the first blocks of a scenario may take before others come to their gains
ESTIMATE_MARGIN = 1.15  # a block starts if this multiple of its scenario's last block fits in the remaining time


def block_order(cells: Sequence[Cell], seed: int, scenario: str, block: int) -> list[Cell]:
    """Return the cells of block number `block` (from 0) in a random order that depends on these and the seed only.

    One volume comes after another, and on it one set of parameters after another, so that a host whose speed changes
    within seconds had little time to part a unit from that of a plain directory which it is compared with, or from
    those of other depths.
    """
    drawn = defaultdict[object, float](random.Random(f"{seed}:{scenario}:{block}").random)  # noqa: S311  no secret
    ordered = [cell for cell in cells if cell.max_blocks is None or block < cell.max_blocks]
    return sorted(ordered, key=lambda cell: (drawn[cell.arm.volume], drawn[cell.arm.volume, cell.params], drawn[cell]))


@dataclass
class Schedule:
    """State of the choice: seconds used and blocks started per scenario.

    `whole`: the seconds of each block of all cells. `figured`, `spared`: seconds of blocks that had cells of figures
    alone, and of those that figures did not wait for.
    """

    cells: Mapping[str, Sequence[Cell]]
    weights: Mapping[str, float]
    begun: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    whole: dict[str, list[float]] = field(default_factory=dict)
    figured: float = 0.0
    spared: float = 0.0

    def next(self, remaining: float, gains: Mapping[str, Gain | None] = NO_GAINS) -> NextBlock | None:
        """Return the block to run with `remaining` seconds left; None if none fits or is needed.

        Every scenario with figures gets one block first (without `gains`, every scenario). Then come whole blocks: the
        first ones of the others, and LEAST_BLOCKS where these are cheap. Where they do not fit into the time that is
        left, half of it is for the scenarios whose figures gain most in precision per second, which else come next.
        When no figure gains anything, of the scenarios without figures (None, or not in `gains`) the one with the
        smallest part of its share.
        """
        figures_first = (
            self.figured <= FIGURES_SHARE * (self.figured + self.spared) and sum(map(self._missing, gains)) > remaining
        )
        fitting: list[tuple[int, float, int, NextBlock]] = []
        for scenario in self.cells:
            block = self.begun.get(scenario, 0)
            if block >= self._most(scenario):
                continue
            last, gain = self.last.get(scenario, 0.0), gains.get(scenario)
            share = self.spent.get(scenario, 0.0) / self.weights[scenario] if block else -1.0
            blocks = self.whole.get(scenario, [])
            missing = self._missing(scenario)
            cheap = gains and 0 < missing <= (math.inf if gain is None else remaining * LEAST_SHARE)
            whole, seconds, spare = True, blocks[-1] if blocks else last, False
            if not block and (not gains or gain is not None):
                rank, value = 0, share
            elif block and gain is not None and gain.fall > 0 and (figures_first or not cheap):
                whole, seconds = False, last * gain.share
                rank, value = 1 if figures_first else 2, -gain.fall / max(seconds, 1e-9)
            elif not block or cheap:
                rank, value, spare = 2 if figures_first else 1, float(len(blocks)), True
            elif gain is None:
                rank, value = 3, share
            else:
                continue
            if seconds * ESTIMATE_MARGIN <= remaining:
                fitting.append((rank, value, len(fitting), NextBlock(scenario, block, whole, spare)))
        return min(fitting)[-1] if fitting and remaining > 0 else None

    def _most(self, scenario: str) -> float:
        """Return the number of blocks that a scenario can have."""
        return max(math.inf if cell.max_blocks is None else cell.max_blocks for cell in self.cells[scenario])

    def _missing(self, scenario: str) -> float:
        """Return the seconds that the rest of a scenario's LEAST_BLOCKS will take; 0 before the first."""
        blocks = self.whole.get(scenario)
        return max(min(LEAST_BLOCKS, self._most(scenario)) - len(blocks), 0) * blocks[-1] if blocks else 0.0

    def ran(self, block: NextBlock, seconds: float) -> None:
        """Record that a block took `seconds`."""
        scenario = block.scenario
        self.begun[scenario] = self.begun.get(scenario, 0) + 1
        self.spent[scenario] = self.spent.get(scenario, 0.0) + seconds
        self.last[scenario] = seconds
        if block.whole:
            self.whole.setdefault(scenario, []).append(seconds)
        else:
            self.figured += seconds
        self.spared += seconds if block.spare else 0.0
