"""Headline figures: the few numbers that a scenario exists for, made from a run.

Whatever tells a reader something first is made of them: the summary, the first screen of the page, headlines.json, and
what a run spends its time on. Their keys are stable: runs of other dates, hosts and kernels are compared by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from bench.model import NATIVE, Arm, Cell, Param
from bench.quantities import interval, quantity

if TYPE_CHECKING:
    from bench.reading.analysis import Analysis
    from bench.reading.contract import Reading
    from bench.reading.laws import Law
    from bench.stats.estimate import Estimate

__all__ = ["Count", "Glance", "Headline", "HeadlineFigure", "Slope", "Source", "Time", "TimesNative", "figures"]

T = TypeVar("T")
EXACT = "counted, the same in every unit"
BOUND = 0.5  # half an interval as a share of the value, above which only what it is below is worth saying
COUNTED = "counted, median and range of the units"


class Source(Protocol):
    """What a headline figure is made of: the metric or counter `name`."""

    @property
    def name(self) -> str:
        """The metric or counter."""

    def estimate(self, analysis: Analysis, reading: Reading, arm: Arm) -> Estimate | None:
        """Return the figure on an arm; None where it was not measured."""

    def uses(self, reading: Reading, arm: Arm, cell: Cell) -> bool:
        """Tell whether the figure on `arm` becomes more precise with units of `cell`."""

    def precision(self, estimate: Estimate, analysis: Analysis, reading: Reading, arm: Arm) -> float:
        """Return half the interval as a share; 0 where it is exact, NaN where there is no interval."""


def _one(look_up: Callable[..., T | None], *names: Any, **where: Param) -> T | None:
    """Return what a look-up of an analysis finds; None where several cells match, as in a run of other depths."""
    try:
        return look_up(*names, **where)
    except ValueError:
        return None


@dataclass(frozen=True)
class _OfCell:
    """One cell, by temperature, depth and parameters."""

    name: str
    where: Mapping[str, Param] = field(default_factory=dict)

    def _matches(self, cell: Cell) -> bool:
        known: dict[str, Any] = {**cell.values, "depth": cell.depth, "temperature": cell.temperature.value}
        return all(known.get(key) == value for key, value in self.where.items())

    def uses(self, reading: Reading, arm: Arm, cell: Cell) -> bool:
        """Its own cell."""
        return cell.arm == arm and self._matches(cell)

    def precision(self, estimate: Estimate, analysis: Analysis, reading: Reading, arm: Arm) -> float:
        """As a share of the value."""
        return estimate.relative_half_width


@dataclass(frozen=True)
class Time(_OfCell):
    """The time of the metric `name` in one cell."""

    def estimate(self, analysis: Analysis, reading: Reading, arm: Arm) -> Estimate | None:
        """Return the cell's estimate."""
        return _one(analysis.cell, reading.name, arm, self.name, **self.where)


@dataclass(frozen=True)
class TimesNative(_OfCell):
    """The factor by which the metric `name` in one cell differs from that of a plain directory."""

    def estimate(self, analysis: Analysis, reading: Reading, arm: Arm) -> Estimate | None:
        """Return the cell's ratio to native."""
        return _one(analysis.ratio, reading.name, arm, self.name, **self.where)

    def uses(self, reading: Reading, arm: Arm, cell: Cell) -> bool:
        """The cell and its native twin."""
        native = cell.arm.driver == NATIVE and cell.arm.volume == arm.volume
        return (cell.arm == arm or native) and self._matches(cell)


@dataclass(frozen=True)
class Count(_OfCell):
    """The counter `name` in one cell, divided by `per`."""

    per: float = 1.0

    def estimate(self, analysis: Analysis, reading: Reading, arm: Arm) -> Estimate | None:
        """Return the counter's median, with the range of the units as its interval."""
        from bench.stats.estimate import Estimate

        row = _one(analysis.counter, reading.name, arm, self.name, **self.where)
        if row is None:
            return None
        middle, low, high = (float(row[key]) / self.per for key in ("median", "minimum", "maximum"))
        return Estimate(middle, low, high, int(row["units"]), EXACT if low == high else COUNTED)


@dataclass(frozen=True)
class Slope:
    """The slope of the reading's law of the metric `name` over `x` whose conditions include `where`."""

    name: str
    x: str
    where: Mapping[str, Param] = field(default_factory=dict)

    def law(self, reading: Reading) -> Law:
        """Return the law."""
        return next(
            law
            for law in reading.laws
            if (law.metric, law.x) == (self.name, self.x)
            and all(law.where.get(key) == value for key, value in self.where.items())
        )

    def estimate(self, analysis: Analysis, reading: Reading, arm: Arm) -> Estimate | None:
        """Return what a unit of the law's x adds."""
        fitted = analysis.law(reading.name, self.name, self.x, arm, **self.where)
        return fitted.line.slope.scaled(fitted.law.per) if fitted else None

    def uses(self, reading: Reading, arm: Arm, cell: Cell) -> bool:
        """Every cell of the law, up to its largest x."""
        known: dict[str, Any] = {**cell.values, "depth": cell.depth, "temperature": cell.temperature.value}
        law = self.law(reading)
        fitted = cell.arm == arm and known.get(self.x, math.inf) <= law.up_to
        return fitted and all(
            known.get(key) in (value if isinstance(value, tuple) else (value,)) for key, value in law.where.items()
        )

    def precision(self, estimate: Estimate, analysis: Analysis, reading: Reading, arm: Arm) -> float:
        """As a share of the slope, or of the time per unit of x where the slope is smaller than that."""
        fitted = analysis.law(reading.name, self.name, self.x, arm, **self.where)
        if fitted is None:
            return math.nan
        slope, span = fitted.line.slope, fitted.line.x_high - fitted.line.x_low
        level = fitted.line.intercept.value + slope.value * fitted.line.x_low
        return (slope.high - slope.low) / 2 / max(abs(slope.value), level / span)


@dataclass(frozen=True, eq=False)
class Headline:
    """A headline figure. `key` is stable; `label` says in three to six words what it is, `unit` of what."""

    key: str
    label: str
    unit: str
    source: Source


@dataclass(frozen=True)
class Glance:
    """The chart that stands for a scenario at the head of a page: its laws of the metric `name` over `x`.

    `by`: a line for each temperature, or for each volume and a plain directory.
    """

    title: str
    name: str
    x: str
    by: Literal["temperature", "volume"]


@dataclass(frozen=True)
class HeadlineFigure:
    """A headline figure of one scenario on one arm; `precision` is half its interval as a share (0: exact)."""

    headline: Headline
    scenario: str
    arm: Arm
    estimate: Estimate
    precision: float

    @property
    def exact(self) -> bool:
        """Whether it was counted, and the same in every unit."""
        return self.estimate.method == EXACT

    @property
    def text(self) -> str:
        """The value and its interval with its unit."""
        unit = self.headline.unit.removeprefix("1")
        return interval(self.estimate.value, self.estimate.low, self.estimate.high, unit)

    @property
    def short(self) -> str:
        """The value and half its interval as a share: `451 µs ±3.7 %`; only a bound where the interval is that wide.

        `none` where what grows elsewhere does not: its whole interval is below zero.
        """
        unit, share = self.headline.unit.removeprefix("1"), self.estimate.relative_half_width
        value = quantity(self.estimate.value, unit)
        if self.exact:
            return value
        if not self.estimate.has_interval:
            return f"{value} (one unit)"
        if share > BOUND:
            return f"below {quantity(self.estimate.high, unit)}" if self.estimate.high > 0 else "none"
        return f"{value} ±{100 * share:.2g} %"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; what is not known is null (docs/headlines.schema.json)."""
        numbers = {"value": self.estimate.value, "low": self.estimate.low, "high": self.estimate.high}
        return {
            "key": self.headline.key,
            "label": self.headline.label,
            "unit": self.headline.unit,
            "scenario": self.scenario,
            "arm": str(self.arm),
            "driver": self.arm.driver,
            "volume": self.arm.volume,
            **{name: None if math.isnan(number) else number for name, number in numbers.items()},
            "precision": None if math.isnan(self.precision) else self.precision,
            "units": self.estimate.n,
            "method": self.estimate.method,
        }


def figures(analysis: Analysis, readings: Mapping[str, Reading]) -> list[HeadlineFigure]:
    """Return the headline figures of a run, in the scenarios' order, on every arm but native that has their cells."""
    return [
        HeadlineFigure(headline, name, arm, estimate, _precision(headline, estimate, analysis, readings[name], arm))
        for name in analysis.scenarios
        if name in readings
        for headline in readings[name].headlines
        for arm in analysis.arms(name)
        if arm.driver != NATIVE and (estimate := headline.source.estimate(analysis, readings[name], arm)) is not None
    ]


def _precision(headline: Headline, estimate: Estimate, analysis: Analysis, reading: Reading, arm: Arm) -> float:
    return headline.source.precision(estimate, analysis, reading, arm) if estimate.has_interval else math.nan
