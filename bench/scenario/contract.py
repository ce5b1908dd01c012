"""Definition of a scenario: its grids, the content of its layers, the timed operation, and the proof.

`scenarios/NAME/measure.py` defines one `SCENARIO` and is found by its presence (docs/adding.md has an example). The
meaning of its rows is its reading, in `scenarios/NAME/reading.py`: see `bench.reading.contract`.
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
    """The default point of a comparison of two arms: one cell, and the metric to judge."""

    metric: str
    depth: int
    temperature: Temperature
    params: Mapping[str, Param] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """A full crossing of axes; a scenario is a union of grids.

    `params` maps a parameter to its values. `max_blocks`: the maximum number of units of each cell, for cells that
    take long or have exact results. `drivers`: the grid's own choice of drivers; None: every driver of the run, but
    `costly` drivers and `engines` only if the grid says so or the user names them.
    """

    depths: tuple[int, ...]
    temperatures: tuple[Temperature, ...]
    params: Mapping[str, tuple[Param, ...]] = field(default_factory=dict)
    max_blocks: int | None = None
    drivers: tuple[str, ...] | None = None
    costly: bool = False
    engines: bool = False


def _nothing(unit: Unit) -> None:
    """The default for an unused step."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One question and its measurement.

    `grids(profile)` gives its cells; `content` names the parameters that determine the content of layers, and
    `layer(k, params)` is the content of layer k (0: bottom) as a function of these only, so that an image of any
    depth is a prefix of one chain. For each unit the runner calls, in this order: `before` (the container
    exists, nothing is mounted), `touch` (on a mounted container, to make it hot), `operate` (the timed calls
    only), `prove` (still mounted), `after` (unmounted).
    In a comparison two units run at the same time (bench.measure.turns): an `operate` that is a generator switches to
    the other unit at each yield, where it must have no open files and the original working directory. A unit must not
    leave dirty data whose cost the other one would bear: see `untimed` in scenarios/copy_up/measure.py.
    """

    reading: Reading
    weight: float  # its share of a run's measuring time
    grids: Callable[[str], Iterable[Grid]]
    layer: Callable[[int, Params], Layer]
    operate: Callable[[Unit], Iterator[None] | None]
    prove: Callable[[Unit], None]
    content: tuple[str, ...] = ()
    before: Callable[[Unit], None] = _nothing
    touch: Callable[[Unit], None] = _nothing
    after: Callable[[Unit], None] = _nothing
    applies: Callable[[Cell, Driver], str] = lambda cell, driver: ""  # the reason why a cell is left out, or ""
    changes: bool = False  # whether its units change files of the image
    engines: bool = False  # whether it is also measured on containers of engines
    needs_engine: bool = False  # whether it requires an engine
    needs_container: bool = True  # False: units get no image and no container; `operate` builds what it needs
    working_bytes: Callable[[Params], int] = lambda params: 0  # maximum of bytes written during a unit
    compared: Point | None = None  # None: its times are not compared (they take too long, or it has none)
    program: Callable[[Unit], tuple[str, ...]] | None = None  # the compared operation as arguments of the C reference
    gated: bool = True  # whether a gate measures it for its counters
    packages: tuple[Package, ...] = ()  # with the programs that it requires
    command: str = "run"  # the command that measures it
    foreign: bool = False  # whether its layers are of somebody else's making, so that no device in them may be opened

    @property
    def name(self) -> str:
        """Its name, the same as of its reading and its directory."""
        return self.reading.name

    @property
    def order(self) -> int:
        """Its position among the scenarios of a report."""
        return self.reading.order

    def excludes(self, cell: Cell, driver: Driver) -> str:
        """Return the reason why a cell is not measured on `driver`; empty if it is."""
        if driver.daemon and not self.engines:
            return f"{driver.name} is an engine: its own files lie beside its layers"
        if self.changes and driver.is_image:
            return f"{driver.name} has no copy here: what a unit changes would stay for all others"
        if self.changes and not driver.copies_on_write:
            return f"{driver.name} has no copy-on-write: a container cannot change a file of its image"
        return self.applies(cell, driver)
