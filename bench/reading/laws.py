"""The metrics of a scenario, and the laws by which they should depend on an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bench.model import Param

__all__ = ["HasLaws", "Law", "Metric"]


@dataclass(frozen=True)
class Metric:
    """A metric: its key in a sample, its name in words, and its unit: `ns`, `bytes/s`, or `1` for a count."""

    name: str
    title: str
    unit: str = "ns"


@dataclass(frozen=True)
class Law:
    """A law a + b·x by which a metric should depend on an axis, fitted for each arm that has the cells.

    `x` is `depth` or the name of a parameter. The slope is shown per `per` units of x (such as 1 MiB), which
    are called `per_name`. `where` selects the cells by temperature and parameters. The line ends at `up_to`, beyond
    which the metric leaves it: profiles differ in their largest x, and a slope must mean the same in all.
    """

    metric: str
    x: str
    title: str
    where: Mapping[str, Param | tuple[Param, ...]] = field(default_factory=dict)
    per: float = 1.0
    per_name: str = ""
    up_to: float = math.inf


class HasLaws(Protocol):
    """The properties of a reading that an analysis needs."""

    @property
    def order(self) -> int:
        """The scenario's position in a report."""

    @property
    def laws(self) -> tuple[Law, ...]:
        """The laws of the scenario's metrics."""
