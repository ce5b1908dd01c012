"""What a scenario times, in words, and how it should depend on an axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bench.model import Param

__all__ = ["HasLaws", "Law", "Metric"]


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


class HasLaws(Protocol):
    """What an analysis must know of a scenario: its place in a report, and its laws."""

    @property
    def order(self) -> int:
        """Its place in a report."""

    @property
    def laws(self) -> tuple[Law, ...]:
        """How its metrics should depend on its axes."""
