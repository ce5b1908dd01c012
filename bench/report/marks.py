"""Traces and layouts: points with whiskers, fitted lines, and what every chart has in common."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from bench.reading.analysis import Row
from bench.report.axes import Axis
from bench.report.palette import ArmStyle, split
from bench.report.rows import number
from bench.stats.fit import Line

__all__ = ["fit_trace", "layout", "point_trace", "whiskers"]

FIT_POINTS = 32  # of a drawn line: straight on linear axes, curved on logarithmic ones
STUB = 1.6  # a line's value at a zero that stands apart is drawn from zero / STUB to zero * STUB
MARKER_PIXELS = 8
WHISKER_OPACITY = 0.6
HOVER = (
    "<b>%{fullData.name}</b><br>%{customdata[0]}<br><b>%{customdata[1]}</b><br>n = %{customdata[2]} units, "
    "%{customdata[3]} timed calls<br>range %{customdata[4]}, %{customdata[5]} far out<extra></extra>"
)
COUNTED = (
    "<b>%{fullData.name}</b><br>%{customdata[0]}<br><b>%{customdata[1]}</b>, range %{customdata[2]}<br>"
    "%{customdata[3]}<extra></extra>"
)
Axes = tuple["Axis", "Axis"]
Labels = Sequence[Sequence[str]]


def layout(x: Axis, y: Axis, height: int) -> dict[str, Any]:
    """Return the layout of a chart; colours of text and lines come from the page."""
    dotted: dict[str, Any] = {"type": "line", "line": {"width": 1, "dash": "dot", "color": "#808080"}}
    shapes = []
    if x.edge is not None:
        shapes.append(dotted | {"x0": x.edge, "x1": x.edge, "y0": 0, "y1": 1, "yref": "paper"})
    if y.edge is not None:
        shapes.append(dotted | {"y0": y.edge, "y1": y.edge, "x0": 0, "x1": 1, "xref": "paper"})
    ranges = {"linear": y.linear_range, "log": y.log_range}
    return {
        "height": height,
        "margin": {"l": 52, "r": 12, "t": 8, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "font": {"size": 12},
        "hoverlabel": {"align": "left"},
        "xaxis": x.layout(),
        "yaxis": y.layout(),
        "shapes": shapes,
        "meta": {"zero": x.zero is not None or y.zero is not None, "ranges": ranges, "decades": y.decades},
    }


def _trace(arm: str) -> dict[str, Any]:
    driver, stack, volume = split(arm)
    return {
        "type": "scatter",
        "name": html.escape(arm, quote=False),
        "meta": {"driver": driver, "stack": stack, "volume": volume},
    }


def marker(look: ArmStyle) -> dict[str, Any]:
    """Return an arm's marker."""
    return {
        "color": look.colour,
        "symbol": look.symbol,
        "size": MARKER_PIXELS,
        "line": {"width": 0 if look.variant == 0 else 1.5},
    }


def faint(colour: str) -> str:
    """Return a colour that lets marks stand before their whiskers."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{WHISKER_OPACITY})"


def whiskers(
    cells: Sequence[Row], axis: Axis, look: ArmStyle, keys: tuple[str, str, str] = ("value", "low", "high")
) -> dict[str, Any]:
    """Return the intervals as plotly's error bars; a cell without an interval has none."""
    above: list[float | None] = []
    below: list[float | None] = []
    for row in cells:
        value, low, high = (number(row, key) for key in keys)
        known = not (math.isnan(low) or math.isnan(high)) and (value != 0 or axis.zero is None)
        above.append(_short((high - value) / axis.factor) if known else None)
        below.append(_short((value - low) / axis.factor) if known else None)
    told = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.4, "width": 3}
    return told | {"color": faint(look.colour)}


def point_trace(
    arm: str,
    cells: Sequence[Row],
    x_key: str,
    look: ArmStyle,
    axes: Axes,
    labels: Labels,
    keys: tuple[str, str, str] = ("value", "low", "high"),
) -> dict[str, Any]:
    """Return an arm's cells as markers with whiskers."""
    x, y = axes
    return _trace(arm) | {
        "mode": "markers",
        "x": [_short(x.place(float(row[x_key]))) for row in cells],
        "y": [_short(y.place(number(row, keys[0]))) for row in cells],
        "customdata": [list(label) for label in labels],
        "hovertemplate": HOVER,
        "marker": marker(look),
        "error_y": whiskers(cells, y, look, keys),
    }


def dot_trace(
    arm: str, cells: Sequence[Row], heights: Sequence[float], look: ArmStyle, axis: Axis, labels: Labels
) -> dict[str, Any]:
    """Return an arm's cells as markers at `heights`, their values along x."""
    return _trace(arm) | {
        "mode": "markers",
        "x": [_short(axis.place(number(row, "value"))) for row in cells],
        "y": list(heights),
        "customdata": [list(label) for label in labels],
        "hovertemplate": HOVER,
        "marker": marker(look),
        "error_x": whiskers(cells, axis, look),
    }


def fit_trace(arm: str, line: Line, look: ArmStyle, axes: Axes, words: str) -> dict[str, Any]:
    """Return a fitted line as drawn between the smallest and the largest x of its cells."""
    x, y = axes
    points: list[tuple[float | None, float | None]] = []
    start = line.x_low
    if x.log and start <= 0:
        start = min(value for value in line.x if value > 0)
        at_zero = y.place(line.intercept.value)
        if x.zero is not None:
            points += [(x.zero / STUB, at_zero), (x.zero * STUB, at_zero), (None, None)]
    for step in range(FIT_POINTS + 1):
        share = step / FIT_POINTS
        at = start * (line.x_high / start) ** share if x.log else start + (line.x_high - start) * share
        points.append((x.place(at), y.place(line.intercept.value + line.slope.value * at)))
    return _trace(arm) | {
        "mode": "lines",
        "x": [_short(at) for at, _ in points],
        "y": [_short(at) for _, at in points],
        "text": words,
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": look.colour, "width": 1.6, "dash": look.dash},
        "opacity": 0.8,
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
