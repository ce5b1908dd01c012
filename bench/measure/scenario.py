"""What a scenario says: one question, its axes, how it is measured and proven, and its law.

A scenario file defines one `SCENARIO` and is found by its presence (docs/adding.md shows one).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.model import Cell, Param, Temperature

if TYPE_CHECKING:
    import random

    from bench.drivers.base import Container, Driver
    from bench.layers.content import Layer
    from bench.stats.analysis import Analysis
    from bench.verdicts.claims import Answer, Judge, Table
    from bench.volumes.base import Volume

__all__ = [
    "Grid",
    "Law",
    "Metric",
    "Point",
    "ProofError",
    "Scenario",
    "Unit",
]

Params = Mapping[str, Param]
T = TypeVar("T")
TURN = 8  # short operations that a unit does before the other one of a comparison has its turn


class ProofError(Exception):
    """What was to be measured did not happen; the unit is an error, not a sample."""


@dataclass(frozen=True)
class Metric:
    """One timed thing: its key in a sample, what it is in words, and its unit.

    `unit` is `ns` (a time), or `bytes/s`, or `1` for a count.
    """

    name: str
    title: str
    unit: str = "ns"


@dataclass(frozen=True)
class Law:
    """How a metric should depend on an axis: a + b·x, told for each arm that has the cells.

    `x` is `depth` or a parameter's name; `per` divides x for the reader (1 MiB, say) and `per_name`
    says so. `where` picks the cells by temperature and parameters.
    """

    metric: str
    x: str
    title: str
    where: Mapping[str, Param | tuple[Param, ...]] = field(default_factory=dict)
    per: float = 1.0
    per_name: str = ""


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

    `params` maps a parameter to its values. `blocks`: at most this many units of each cell, for
    cells that take long or whose answer is exact. `drivers`: its own choice of them, with `engines` also all whose
    stacks an engine builds; None is every driver of the run but those, unless the user names one.
    """

    depths: tuple[int, ...]
    temperatures: tuple[Temperature, ...]
    params: Mapping[str, tuple[Param, ...]] = field(default_factory=dict)
    blocks: int | None = None
    drivers: tuple[str, ...] | None = None
    engines: bool = False


@dataclass
class Unit:
    """One set-up of one cell, handed to the scenario's functions; they fill metrics and counters."""

    cell: Cell
    driver: Driver
    volume: Volume
    container: Container
    seed: int
    random: random.Random
    merged: Path = Path()
    tools: Mapping[str, str] = field(default_factory=dict)  # programs by name, e.g. the C reference
    metrics: dict[str, float] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    pace: dict[str, float] = field(default_factory=dict)  # see bench.measure.pace; written by the runner
    # Wait for a quiet moment before another timed part. Not right before a single short call: waiting lets the
    # caches go, and a first write to a plain file then took 1.5 times as long.
    settle: Callable[[], None] = lambda: None
    notes: dict[str, Any] = field(default_factory=dict)  # from operate to prove, not recorded
    judged: str = ""  # the one metric that a comparison judges; what others need may be left out
    place: tuple[int, int] = (0, 1)  # which it is of how many units in turns

    @property
    def params(self) -> Params:
        """The cell's own parameters."""
        return self.cell.values

    @property
    def depth(self) -> int:
        """Layers of the image."""
        return self.cell.depth

    @property
    def layers(self) -> Sequence[Layer]:
        """The image's layers, bottom first."""
        return self.container.stack.layers[: self.depth]

    @property
    def in_turns(self) -> bool:
        """Whether another unit's operations alternate with this one's."""
        return self.place[1] > 1

    def wants(self, metric: str) -> bool:
        """Tell whether `metric` is to be measured."""
        return self.judged in {"", metric}

    def own(self, things: Sequence[T]) -> Sequence[T]:
        """Return those of `things` that this unit uses, where units in turns must not use the same: all, if alone."""
        first, step = self.place
        return things[first::step]

    def parts(self, things: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield `things` in the parts that one turn does: all at once, or a few where units are compared."""
        size = TURN if self.judged else max(len(things), 1)
        return (things[begin : begin + size] for begin in range(0, len(things), size))

    def record(self, metric: str, times: Sequence[float], *, calls: int = 1) -> None:
        """Record the median of many times, each the mean of `calls` calls, as this unit's one observation."""
        self.metrics[metric] = float(statistics.median(times))
        self.operations[metric] = len(times) * calls

    def expect(self, counter: str, value: float, low: float, high: float | None = None, *, why: str) -> None:
        """Record a counter beside what it should be, [low, high] or exactly low, and whether it is."""
        top = low if high is None else high
        self.counters[counter] = value
        self.expected[counter] = f"{low:g}" if top == low else f"{low:g}..{top:g}"
        if not low <= value <= top:
            self.mismatches.append(f"{counter} is {value:g}, expected {self.expected[counter]} ({why})")

    def proven(self, condition: bool, what: str) -> None:
        """Record the proof `what`, or raise ProofError if it does not hold."""
        if not condition:
            raise ProofError(f"not proven: {what}")
        if what not in self.proofs:
            self.proofs.append(what)

    def written(self) -> tuple[int, int]:
        """Return (bytes written, flushes) of the volume's device; zeros where it has none of its own."""
        return self.volume.written() or (0, 0)


def _nothing(unit: Unit) -> None:
    """For scenarios that need no such step."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One question.

    `grids(profile)` gives its cells; `content` names the parameters that change what layers hold, and
    `layer(k, params)` is the content of layer k (0: bottom) from those alone, so that an image of
    every depth is a prefix of one chain. For each unit the runner calls, in this order: `before` (the
    container exists, nothing is mounted), `touch` (on a mounted container, to make it hot), `operate`
    (the timed calls, with nothing else), `prove` (still mounted), `after` (unmounted).
    Where units are compared, two of them run at the same time (bench.measure.turns): an `operate` that is a generator
    gives the other its turn wherever it yields, with nothing open and the working directory as it was. What it
    leaves to be written the other one must not pay for: see `untimed` in scenarios/copy_up.py.
    """

    name: str
    question: str
    method: str
    order: int
    weight: float  # its share of the time that a run has for measuring
    metrics: tuple[Metric, ...]
    headline: str  # the metric that stands for the scenario in summaries
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
    working_bytes: Callable[[Params], int] = lambda params: 0  # written during a unit, at most
    laws: tuple[Law, ...] = ()
    compared: Point | None = None  # None: its times are not compared (they take too long, or are no times)
    program: Callable[[Unit], tuple[str, ...]] | None = None  # what is compared, as arguments of the C reference
    gated: bool = True  # whether a gate measures it for its counters
    answers: Callable[[Analysis], Iterable[Answer]] = lambda analysis: ()
    claims: Mapping[str, Judge] = field(default_factory=dict)
    tables: Callable[[Analysis], Iterable[Table]] = lambda analysis: ()  # beside those of every section
    requires: tuple[str, ...] = ()  # programs
    mounts: bool = True  # False: units get no image and no container; `operate` builds what it needs

    def excludes(self, cell: Cell, driver: Driver) -> str:
        """Return why a cell is not measured on `driver`; empty where it is."""
        if driver.daemon and not self.engines:
            return f"{driver.name} is an engine: its own files lie beside its layers"
        if self.changes and not driver.copies_on_write:
            return f"{driver.name} has no copy-on-write: a container cannot change a file of its image"
        return self.applies(cell, driver)

    def metric(self, name: str) -> Metric:
        """Return the metric `name`."""
        return next(metric for metric in self.metrics if metric.name == name)
