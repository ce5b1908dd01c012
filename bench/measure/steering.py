"""What the next block measures: that which headline figures still need, until all are as precise as was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import discovery
from bench.measure.plan import Plan
from bench.measure.schedule import Gain, NextBlock
from bench.model import USUAL_VOLUMES, Arm, Cell

if TYPE_CHECKING:
    from bench.reading.headlines import HeadlineFigure

__all__ = ["LEAST_UNITS", "OTHERS_EVERY", "SUBJECT", "Steering"]

SUBJECT = "overlay2"  # the driver whose headline figures a run is about, unless it names others
# Of a figure before it may rest. Fewer are narrow by chance now and then (of three, a deletion had ±0.4 %), and too few
# to see a drift within minutes. How often figures of several runs agree with these numbers was not measured.
LEAST_UNITS = 12
LEAST_LOOKED = 6  # blocks
OTHERS_EVERY = 4  # blocks: one of these is also for figures of volumes that are not among the first
GROWN = 1.1  # times the blocks at the last look: then the figures of a scenario are looked at again


@dataclass
class Steering:
    """The state of a run's headline figures, read back from its rows in `directory` between blocks."""

    plan: Plan
    directory: Path
    figures: dict[str, list[HeadlineFigure]] = field(default_factory=dict)  # by scenario, at the last look
    looked: dict[str, int] = field(default_factory=dict)  # blocks at the last look
    measured: dict[str, int] = field(default_factory=dict)  # cells of the last block, by scenario

    def __post_init__(self) -> None:
        """Find the arms that matter, and for each of their figures the cells that it needs."""
        readings = discovery.readings()
        self.readings = {name: readings[name] for name in self.plan.cells if readings[name].headlines}
        named = {driver.partition(",")[0] for driver in self.plan.request.drivers} or {SUBJECT}
        self.first = frozenset(self.plan.request.volumes or USUAL_VOLUMES)
        self.needs: dict[tuple[str, str, Arm], frozenset[Cell]] = {}
        for name, reading in self.readings.items():
            cells = self.plan.cells[name]
            for arm in dict.fromkeys(cell.arm for cell in cells if cell.arm.driver in named):
                for headline in reading.headlines:
                    needed = frozenset(cell for cell in cells if headline.source.uses(reading, arm, cell))
                    if any(cell.arm == arm for cell in needed):
                        self.needs[name, headline.key, arm] = needed

    @property
    def target(self) -> float:
        """Half an interval as a share, that every figure is to have."""
        return self.plan.request.precision

    def cells(self, choice: NextBlock) -> list[Cell]:
        """Return the cells of a block: all, or those of figures, until none needs more units.

        Cells of one scenario on one volume rest together, because what ran before a unit is part of its conditions:
        lookups in a new container of 125 layers took 30 % less once the cold units between them rested (one run;
        docs/method.md).
        """
        cells = list(self.plan.cells[choice.scenario])
        if not choice.whole:
            wanted = self._wanted(choice.scenario, choice.block)
            cells = [cell for cell in cells if cell in wanted]
        self.measured[choice.scenario] = len(cells)
        return cells

    def gains(self, begun: Mapping[str, int]) -> Mapping[str, Gain | None]:
        """Return the gain of each scenario after so many blocks; empty if no scenario has figures."""
        return {name: self._gain(name, begun.get(name, 0)) for name in self.plan.cells} if self.readings else {}

    def _gain(self, scenario: str, blocks: int) -> Gain | None:
        """Return by how much the variances of its figures fall with one more block: their sum is as 1/blocks.

        Of variances and not of deviations, so that the least precise figures come first. None where it has no headline
        figures of the cells of this run.
        """
        if not self._has_figures(scenario):
            return None
        precisions = {(figure.headline.key, figure.arm): figure.precision for figure in self.figures.get(scenario, ())}
        short = [precisions.get(key[1:], math.inf) for key in self._aims(scenario, blocks)]
        gained = sum(min(1.0, precision) ** 2 / max(blocks, 1) for precision in short)
        before = self.measured.get(scenario, 0)
        return Gain(gained, len(self._wanted(scenario, blocks)) / before if before else 1.0)

    def _wanted(self, scenario: str, block: int) -> frozenset[Cell]:
        """Return the cells of all figures of a scenario on the volumes of those that it aims at."""
        volumes = {arm.volume for *_, arm in self._aims(scenario, block)}
        needs = (needed for (name, _, arm), needed in self.needs.items() if name == scenario and arm.volume in volumes)
        return frozenset[Cell]().union(*needs)

    def _aims(self, scenario: str, block: int) -> list[tuple[str, str, Arm]]:
        """Return the figures that a block is for: of the first volumes, in one of OTHERS_EVERY blocks of all."""
        short = list(self._short(scenario, block))
        first = [key for key in short if key[2].volume in self.first]
        return first if first and (block + 1) % OTHERS_EVERY else short

    def _has_figures(self, scenario: str) -> bool:
        return any(name == scenario for name, *_ in self.needs)

    def look(self, scenario: str, blocks: int) -> None:
        """Read the rows and make the scenario's figures again, if it has a tenth more blocks than at the last look.

        A figure that cannot be made of its cells (a slope of two depths) is no longer waited for.
        """
        if scenario not in self.readings or blocks < GROWN * self.looked.get(scenario, 0):
            return
        from bench.reading.analysis import Analysis
        from bench.reading.headlines import figures
        from bench.store.reader import load

        self.looked[scenario] = blocks
        reading = {scenario: self.readings[scenario]}
        names = {headline.source.name for headline in self.readings[scenario].headlines}
        run = load(self.directory).only(scenario, {arm for name, _, arm in self.needs if name == scenario}, names)
        self.figures[scenario] = figures(Analysis(run, reading), reading)
        made = {(figure.headline.key, figure.arm) for figure in self.figures[scenario]}
        self.needs = {key: cells for key, cells in self.needs.items() if key[0] != scenario or key[1:] in made}

    @property
    def words(self) -> str:
        """How far the figures are: `9 of 16 figures within 5 %`."""
        reached = len(self.needs) - sum(1 for name in self.readings for _ in self._short(name))
        return f"{reached} of {len(self.needs)} figures within {100 * self.target:g} %" if self.needs else ""

    def _short(self, scenario: str, block: int = 0) -> Iterable[tuple[str, str, Arm]]:
        """The figures of a scenario that are not yet so precise, and whose cells may all be in a block."""
        many = self.looked.get(scenario, 0) >= LEAST_LOOKED
        precise = {
            (figure.headline.key, figure.arm)
            for figure in self.figures.get(scenario, ())
            if figure.exact or (many and figure.precision <= self.target and figure.estimate.n >= LEAST_UNITS)
        }
        return [
            key
            for key, cells in self.needs.items()
            if key[0] == scenario
            and key[1:] not in precise
            and all(cell.max_blocks is None or block < cell.max_blocks for cell in cells)
        ]
