"""What a scenario measures: its grids, the content of its layers, what is timed, and what proves it.

`scenarios/NAME/measure.py` defines one `SCENARIO` and is found by its presence (docs/adding.md shows one). What its
rows mean is its reading, in `scenarios/NAME/reading.py`: see `bench.reading.contract`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.scenario.unit import Params, ProofError, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bench.drivers.base import Driver
    from bench.host.packages import Package
    from bench.layers.content import Layer
    from bench.model import Cell, Param, Temperature
    from bench.reading.contract import Reading

__all__ = ["Grid", "Params", "Point", "ProofError", "Scenario", "Unit"]


@dataclass(frozen=True)
class Point:
    """Where two arms are compared unless something else is asked: one cell, and the metric that is judged."""

    metric: str
    depth: int
    temperature: Temperature
    params: Mapping[str, Param] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """A full crossing of axes; a scenario is a union of grids.

    `params` maps a parameter to its values. `max_blocks`: at most this many units of each cell, for cells that take
    long or whose answer is exact. `drivers`: the grid's own choice of drivers; None: every driver of the run, but
    of the `costly` ones and of those whose stacks `engines` build only where the grid says so, or the user names one.
    """

    depths: tuple[int, ...]
    temperatures: tuple[Temperature, ...]
    params: Mapping[str, tuple[Param, ...]] = field(default_factory=dict)
    max_blocks: int | None = None
    drivers: tuple[str, ...] | None = None
    costly: bool = False
    engines: bool = False


def _nothing(unit: Unit) -> None:
    """For scenarios that need no such step."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One question, as it is measured.

    `grids(profile)` gives its cells; `content` names the parameters that change what layers hold, and
    `layer(k, params)` is the content of layer k (0: bottom) from those alone, so that an image of
    every depth is a prefix of one chain. For each unit the runner calls, in this order: `before` (the
    container exists, nothing is mounted), `touch` (on a mounted container, to make it hot), `operate`
    (the timed calls, with nothing else), `prove` (still mounted), `after` (unmounted).
    Where units are compared, two of them run at the same time (bench.measure.turns): an `operate` that is a generator
    gives the other its turn wherever it yields, with nothing open and the working directory as it was. A unit must
    leave nothing to be written for which the other one pays: see `untimed` in scenarios/copy_up/measure.py.
    """

    reading: Reading
    weight: float  # its share of the time that a run has for measuring
    grids: Callable[[str], Iterable[Grid]]
    layer: Callable[[int, Params], Layer]
    operate: Callable[[Unit], Iterator[None] | None]
    prove: Callable[[Unit], None]
    content: tuple[str, ...] = ()
    before: Callable[[Unit], None] = _nothing
    touch: Callable[[Unit], None] = _nothing
    after: Callable[[Unit], None] = _nothing
    applies: Callable[[Cell, Driver], str] = lambda cell, driver: ""  # the reason why not, or ""
    changes: bool = False  # whether its units change files of the image
    engines: bool = False  # whether it is asked of containers that an engine made, too
    needs_engine: bool = False  # whether without one there is nothing to ask
    needs_container: bool = True  # False: units get no image and no container; `operate` builds what it needs
    working_bytes: Callable[[Params], int] = lambda params: 0  # written during a unit, at most
    compared: Point | None = None  # None: its times are not compared (they take too long, or are no times)
    program: Callable[[Unit], tuple[str, ...]] | None = None  # what is compared, as arguments of the C reference
    gated: bool = True  # whether a gate measures it for its counters
    packages: tuple[Package, ...] = ()  # that bring the programs without which it cannot be

    @property
    def name(self) -> str:
        """Its name, which is that of its reading and of its folder."""
        return self.reading.name

    @property
    def order(self) -> int:
        """Its place among the scenarios of a report."""
        return self.reading.order

    def excludes(self, cell: Cell, driver: Driver) -> str:
        """Return why a cell is not measured on `driver`; empty where it is."""
        if driver.daemon and not self.engines:
            return f"{driver.name} is an engine: its own files lie beside its layers"
        if self.changes and not driver.copies_on_write:
            return f"{driver.name} has no copy-on-write: a container cannot change a file of its image"
        return self.applies(cell, driver)
