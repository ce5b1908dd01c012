"""Units in turns: their containers are mounted at the same time, and their operations alternate.

The speed of a system call drifts within milliseconds on a shared host. The medians of two equal arms differed by 9 to
12 % if their units ran one after the other; those of even and odd operations within one unit by 2 to 5 %. So the
operations of compared units are interleaved. A single unit is the special case of one participant.
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
    """Units of one scenario. The context `around` encloses each turn, `quiet` all of them.

    `active` is the unit whose step is running; an exception is attributed to it.
    """

    scenario: Scenario
    units: Sequence[Unit]
    around: Callable[[Cell], AbstractContextManager[None]]
    quiet: Callable[[Sequence[Unit]], AbstractContextManager[None]]
    active: Unit = field(init=False)

    def __post_init__(self) -> None:
        self.active = self.units[0]

    def run(self) -> None:
        """For each unit: create, before, temperature, operate, prove, unmount, after, remove."""
        if not self.scenario.needs_container:
            self._operate()
            return
        with ExitStack() as created:
            for unit in self._activate_each():
                nanoseconds, unit.container = once(unit.driver.create_read_write, unit.container.stack, unit.depth)
                created.callback(self._remove, unit)
                unit.container.took["create"] = nanoseconds
                if len(self.units) > 1:
                    unit.container.how["operations"] = TURNS
                self.scenario.before(unit)
            with ExitStack() as entered:
                for unit in self._activate_each():
                    unit.merged = entered.enter_context(self._mounted(unit))
                self._operate()
            for unit in self._activate_each():
                self.scenario.after(unit)

    def error_text(self, unit: Unit, problem: Exception | None) -> str:
        """Return the error text for a unit's row; empty if there was no `problem`."""
        if problem is None:
            return ""
        text = f"{type(problem).__name__}: {problem}"
        return text if unit is self.active else f"the unit that it takes turns with failed: {text}"

    def _activate_each(self) -> Iterator[Unit]:
        for unit in self.units:
            self.active = unit
            yield unit

    def _remove(self, unit: Unit) -> None:
        unit.driver.remove(unit.container)

    def _mounted(self, unit: Unit) -> AbstractContextManager[Path]:
        def touch(merged: Path) -> None:
            unit.merged = merged
            self.scenario.touch(unit)

        return mounted(unit.driver, unit.container, unit.volume, unit.cell.temperature, touch)

    def _operate(self) -> None:
        """Run the operations in turns; then prove them.

        The order within a round follows the Thue–Morse sequence (AB BA BA AB BA AB AB BA …), which cancels a drift and
        also its change. The remaining bias is handled by the random order of the units: the container that accessed a
        directory first had lookups of 0.95 to 1.06 times the other's until the end.
        """
        running = [(unit, self._steps(unit)) for unit in self.units]
        with self.quiet(self.units):
            for number in count():
                order = running[::-1] if number.bit_count() % 2 else running
                finished = [unit for unit, steps in order if not self._turn(unit, steps)]
                running = [(unit, steps) for unit, steps in running if unit not in finished]
                if not running:
                    break
        for unit in self._activate_each():
            self.scenario.prove(unit)

    def _steps(self, unit: Unit) -> Iterator[None]:
        yield from self.scenario.operate(unit) or ()

    def _turn(self, unit: Unit, steps: Iterator[None]) -> bool:
        """Run the next step of a unit; return whether there may be more."""
        self.active = unit
        with self.around(unit.cell):
            return next(steps, self) is not self
