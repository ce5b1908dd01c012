"""One set-up of one cell, the argument of a scenario's functions."""

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
TURN = 8  # short operations per turn of a unit in a comparison


class ProofError(Exception):
    """The operation to be measured did not take place; the unit is an error, not a sample."""


@dataclass
class Unit:
    """One set-up of one cell; the scenario's functions fill in metrics and counters."""

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
    # Wait for an undisturbed CPU before another timed part. Not directly before a single short call: caches become
    # cold during the wait, and a first write to a plain file then took 1.5 times as long.
    settle: Callable[[], None] = lambda: None
    notes: dict[str, Any] = field(default_factory=dict)  # from operate to prove, not recorded
    judged: str = ""  # the only metric that a comparison judges; others may be left out
    place: tuple[int, int] = (0, 1)  # its index among the units in turns, and their number

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

    def own(self, items: Sequence[T]) -> Sequence[T]:
        """Return this unit's share of `items`, which units in turns must not have in common; all if it is alone."""
        first, step = self.place
        return items[first::step]

    def parts(self, items: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield the parts of `items` for each turn: all at once, or a few at a time in a comparison."""
        size = TURN if self.judged else max(len(items), 1)
        return (items[start : start + size] for start in range(0, len(items), size))

    def record(self, metric: str, times: Sequence[float], *, calls: int = 1) -> None:
        """Record the median of `times`, each the mean of `calls` calls, as this unit's observation."""
        self.metrics[metric] = float(statistics.median(times))
        self.operations[metric] = len(times) * calls

    def expect(self, counter: str, value: float, low: float, high: float | None = None, *, why: str) -> None:
        """Record a counter and its expectation, [low, high] or exactly low, and a mismatch if it is not met."""
        upper = low if high is None else high
        self.counters[counter] = value
        self.expected[counter] = (low, upper)
        if not low <= value <= upper:
            self.mismatches.append(Mismatch(counter, value, low, upper, why))

    def saw(self, what: str) -> None:
        """Record what was seen, in words, beside the proofs of the row."""
        self.proofs.append(what)

    def require_proof(self, condition: bool, what: str) -> None:
        """Record the proof `what`, or raise ProofError if the condition is false."""
        if not condition:
            raise ProofError(f"not proven: {what}")
        if what not in self.proofs:
            self.proofs.append(what)

    def written(self) -> tuple[int, int]:
        """Return the bytes written to the volume's device and its flushes; zeros if it has no device of its own."""
        return self.volume.written() or (0, 0)
