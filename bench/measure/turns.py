"""Units in turns: their containers are mounted at the same time, and their operations alternate.

How fast the same call is drifts within milliseconds on a shared host. Of units one after the other the medians of two
equal arms differed by 9 to 12 %, of even and odd operations within one unit by 2 to 5 %: so what is to be compared is
done side by side. A single unit is the same with nobody to take turns with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.model import TURNS, Cell
from bench.scenario.clock import once
from bench.scenario.contract import Scenario, Unit
from bench.scenario.temperature import mounted

__all__ = ["Turns"]


@dataclass
class Turns:
    """Units of one scenario. `around` is entered for each turn, `quiet` for all of them.

    `at` is the unit whose step it is, so that of an exception one knows whose it was.
    """

    scenario: Scenario
    units: Sequence[Unit]
    around: Callable[[Cell], AbstractContextManager[None]]
    quiet: Callable[[Sequence[Unit]], AbstractContextManager[None]]
    at: Unit = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.units[0]

    def run(self) -> None:
        """For each unit: create, before, temperature, operate, prove, unmount, after, remove."""
        if not self.scenario.needs_container:
            self._operate()
            return
        with ExitStack() as created:
            for unit in self._each():
                took, unit.container = once(unit.driver.create_read_write, unit.container.stack, unit.depth)
                created.callback(self._remove, unit)
                unit.container.took["create"] = took
                if len(self.units) > 1:
                    unit.container.how["operations"] = TURNS
                self.scenario.before(unit)
            with ExitStack() as entered:
                for unit in self._each():
                    unit.merged = entered.enter_context(self._mounted(unit))
                self._operate()
            for unit in self._each():
                self.scenario.after(unit)

    def failed(self, unit: Unit, problem: Exception | None) -> str:
        """Return what a unit's row says of `problem`; empty where there was none."""
        if problem is None:
            return ""
        text = f"{type(problem).__name__}: {problem}"
        return text if unit is self.at else f"the unit that it takes turns with failed: {text}"

    def _each(self) -> Iterator[Unit]:
        for unit in self.units:
            self.at = unit
            yield unit

    def _remove(self, unit: Unit) -> None:
        unit.driver.remove(unit.container)

    def _mounted(self, unit: Unit) -> AbstractContextManager[Path]:
        def touch(merged: Path) -> None:
            unit.merged = merged
            self.scenario.touch(unit)

        return mounted(unit.driver, unit.container, unit.volume, unit.cell.temperature, touch)

    def _operate(self) -> None:
        """Do the operations in turns; then prove them.

        Who goes first in a round follows the Thue–Morse sequence (AB BA BA AB BA AB AB BA …), in which a drift cancels
        out, and one that changes, too. What it leaves is for the order of the units themselves, which is drawn: whose
        container was first to access a directory had lookups of 0.95 to 1.06 times the other's to the end.
        """
        left = [(unit, self._steps(unit)) for unit in self.units]
        with self.quiet(self.units):
            for number in count():
                order = left[::-1] if number.bit_count() % 2 else left
                over = [unit for unit, steps in order if not self._turn(unit, steps)]
                left = [(unit, steps) for unit, steps in left if unit not in over]
                if not left:
                    break
        for unit in self._each():
            self.scenario.prove(unit)

    def _steps(self, unit: Unit) -> Iterator[None]:
        yield from self.scenario.operate(unit) or ()

    def _turn(self, unit: Unit, steps: Iterator[None]) -> bool:
        """Go on with a unit's operations; return whether there may be more."""
        self.at = unit
        with self.around(unit.cell):
            return next(steps, self) is not self
