"""One set-up of one cell, as a scenario's functions get it."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench.drivers.base import Container, Driver
from bench.layers.content import Layer
from bench.model import Cell, Mismatch, Param
from bench.volumes.base import Volume

__all__ = ["Params", "ProofError", "Unit"]

Params = Mapping[str, Param]
T = TypeVar("T")
TURN = 8  # short operations that a unit does before the other one of a comparison has its turn


class ProofError(Exception):
    """What was to be measured did not happen; the unit is an error, not a sample."""


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
    expected: dict[str, tuple[float, float]] = field(default_factory=dict)
    mismatches: list[Mismatch] = field(default_factory=list)
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
        self.expected[counter] = (low, top)
        if not low <= value <= top:
            self.mismatches.append(Mismatch(counter, value, low, top, why))

    def require_proof(self, condition: bool, what: str) -> None:
        """Record the proof `what`, or raise ProofError if it does not hold."""
        if not condition:
            raise ProofError(f"not proven: {what}")
        if what not in self.proofs:
            self.proofs.append(what)

    def written(self) -> tuple[int, int]:
        """Return (bytes written, flushes) of the volume's device; zeros where it has none of its own."""
        return self.volume.written() or (0, 0)
