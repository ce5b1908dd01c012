"""Axes: linear or logarithmic scale, unit, ticks, and the position of zero on a logarithmic axis.

All decisions that could make a chart misleading are in this module, so that tests need not draw a chart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.model import format_size
from bench.quantities import scale

__all__ = ["Axis", "sweep_axis", "value_axis"]

# A law a + b·x is a straight line only on linear axes, so x is logarithmic only from three decades on, where most
# points of a linear axis would overlap. Depths (1 to 500) stay linear.
LOG_X_SPAN = 1000.0
LOG_Y_SPAN = 100.0  # two decades: marks less than a hundredth of the height apart look the same
MOST_TICKS = 7
LOG_X_ROOM = 0.08  # of the decades of a logarithmic x axis, on either side of its values
X_ROOM = 1.04  # an axis of what is varied ends this factor beyond its last value
ROOM = 1.12  # an axis ends this factor beyond its last value
WHISKER_ROOM = 1.8  # whiskers may extend an axis by this factor; longer ones are cut off
SHORT_DECADES = 1.5  # up to this length a logarithmic axis has ticks between the decades too
ZERO_GAP = 1.0  # decades between zero and the smallest positive value


@dataclass(frozen=True)
class Axis:
    """The mapping of values to positions on an axis, with its title and ticks.

    `zero` is the position of 0 on a logarithmic axis; None if no value is 0 or the axis is linear.
    """

    title: str
    unit: str
    factor: float = 1.0
    log: bool = False
    zero: float | None = None
    edge: float | None = None  # the position of the axis break between zero and the values
    ticks: tuple[tuple[float, str], ...] = ()
    linear_range: tuple[float, float] | None = None
    log_range: tuple[float, float] | None = None  # exponents, as in plotly

    def place(self, value: float) -> float | None:
        """Return the position of a value; None if it has none."""
        if not math.isfinite(value):
            return None
        if self.log and value <= 0:
            return self.zero if value == 0 else None
        return value / self.factor

    @property
    def decades(self) -> int:
        """The distance in decades between the ticks of a logarithmic axis; 0: plotly chooses."""
        low, high = self.log_range or (0.0, 0.0)
        return math.ceil((high - low) / MOST_TICKS) if high - low > SHORT_DECADES else 0

    @property
    def label(self) -> str:
        """The title with its unit."""
        return f"{self.title} ({self.unit})" if self.title and self.unit else self.title or self.unit

    def layout(self) -> dict[str, Any]:
        """Return the axis as plotly's layout."""
        layout: dict[str, Any] = {
            "title": {"text": self.label, "standoff": 8},
            "type": "log" if self.log else "linear",
            "automargin": True,
            "exponentformat": "none",
            "separatethousands": True,
            "zeroline": False,
        }
        range_ = self.log_range if self.log else self.linear_range
        if range_ is not None:
            layout["range"] = list(range_)
        elif not self.log:
            layout["rangemode"] = "tozero"
        if self.ticks:
            layout |= {"tickmode": "array", "tickvals": [position for position, _ in self.ticks]}
            layout["ticktext"] = [text for _, text in self.ticks]
        elif self.log and self.decades:
            layout["dtick"] = self.decades
        return layout


def sweep_axis(name: str, values: Sequence[float]) -> Axis:
    """Return the axis of what a scenario varies, `depth` or a parameter, with its values as ticks."""
    distinct = sorted({float(value) for value in values})
    sized = "size" in name or "bytes" in name
    title = {"depth": "depth (layers)", "size": "file size"}.get(name, name.replace("_", " "))
    if not _wide(distinct, LOG_X_SPAN):
        unit, factor = scale(max(distinct, default=0.0), "bytes") if sized else ("", 1.0)
        reach = (0.0, distinct[-1] / factor * X_ROOM) if distinct and distinct[0] >= 0 < distinct[-1] else None
        return Axis(title, unit, factor, linear_range=reach)
    zero, edge = _zero(distinct)
    places = [(zero if value == 0 else value, value) for value in distinct]
    tick_text = format_size if sized else _plain
    ticks = tuple((float(position or 0), tick_text(value)) for position, value in _thin(places))
    # Left to choose, plotly gave one run's chart of deletions an axis eight times as long as its values.
    low, high = (math.log10(position) for position in (places[0][0] or 0, places[-1][0] or 0))
    room = (high - low) * LOG_X_ROOM
    return Axis(title, "", 1.0, True, zero, edge, ticks, log_range=(low - room, high + room))


def value_axis(title: str, unit: str, values: Sequence[float], highs: Sequence[float] = ()) -> Axis:
    """Return the axis of measured values in `unit`: a time, bytes, bytes/s, a ratio or a count.

    `highs` are the upper ends of intervals; the axis does not extend to very wide intervals.
    """
    axis = _value_axis(title, unit, values)
    finite = [value / axis.factor for value in values if math.isfinite(value)]
    if not finite or min(finite) < 0 or max(finite) == 0:
        return axis
    reach = [high / axis.factor for high in highs if math.isfinite(high)]
    most = max(max(finite) * ROOM, min(max(reach, default=0.0) * ROOM, max(finite) * WHISKER_ROOM))
    least = min(axis.zero if axis.zero is not None else value for value in finite)
    logs = (math.log10(least / 1.5), math.log10(most * ROOM)) if least > 0 else None
    return replace(axis, linear_range=(0.0, most), log_range=logs)


def _value_axis(title: str, unit: str, values: Sequence[float]) -> Axis:
    finite = sorted(value for value in values if math.isfinite(value))
    largest = max((abs(value) for value in finite), default=0.0)
    unit_shown = "" if unit in {"1", ""} else unit
    if not _wide(finite, LOG_Y_SPAN):
        name, factor = scale(largest, unit)
        return Axis(title, name if unit_shown else "", factor)
    zero, edge = _zero(finite)
    positive = [value for value in finite if value > 0]
    if unit == "bytes":
        return Axis(title, "", 1.0, True, zero, edge, _byte_ticks(positive, zero))
    name, factor = scale(math.sqrt(positive[0] * positive[-1]), unit)
    name = name if unit_shown else ""
    if zero is None:
        return Axis(title, name, factor, True)
    decades = _decades(positive[0] / factor, positive[-1] / factor)
    ticks = ((zero / factor, "0"), *((position, _plain(position)) for position in decades))
    return Axis(title, name, factor, True, zero / factor, (edge or 0) / factor, ticks)


def _wide(ordered: Sequence[float], span: float) -> bool:
    """Tell whether no value is negative and the largest positive value is at least `span` times the smallest."""
    positive = [value for value in ordered if value > 0]
    return bool(positive) and ordered[0] >= 0 and positive[-1] / positive[0] >= span


def _zero(ordered: Sequence[float]) -> tuple[float | None, float | None]:
    if ordered[0] != 0:
        return None, None
    smallest = next(value for value in ordered if value > 0)
    return smallest / 10**ZERO_GAP, smallest / 10 ** (ZERO_GAP / 2)


def _thin(places: Sequence[tuple[float | None, float]]) -> Sequence[tuple[float | None, float]]:
    """Return about MOST_TICKS of the places, with the first and the last."""
    step = math.ceil(len(places) / MOST_TICKS)
    return [place for number, place in enumerate(reversed(places)) if number % step == 0 or number == len(places) - 1]


def _byte_ticks(positive: Sequence[float], zero: float | None) -> tuple[tuple[float, str], ...]:
    low, high = (math.log2(value) for value in (positive[0], positive[-1]))
    step = max(2, 2 * math.ceil((high - low) / MOST_TICKS / 2))
    first = math.floor(low / step) * step
    ticks = [2.0**power for power in range(first, math.ceil(high) + step, step)]
    labelled = [(position, format_size(position)) for position in ticks]
    return tuple([(zero, "0 B"), *(tick for tick in labelled if tick[0] > zero * 2)] if zero else labelled)


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    step = math.ceil(len(powers) / MOST_TICKS)
    return [10.0**power for power in powers if 10.0**power >= low / 2][::step]


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
