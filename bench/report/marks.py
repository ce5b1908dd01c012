"""Traces and layouts of plotly: points with whiskers, fitted lines, and the common layout of charts."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from bench.model import NATIVE
from bench.reading.analysis import Row
from bench.report.axes import Axis
from bench.report.palette import ArmStyle, split
from bench.report.rows import number
from bench.stats.fit import Line

__all__ = ["MOST_STACKS", "end_labels", "fit_trace", "foremost", "layout", "point_trace", "whiskers"]

MOST_STACKS = 7  # in one chart: as many colours as everybody can tell apart; the tables have the others
LABEL_PIXELS = 13  # the least distance of two labels at the ends of lines
LETTER_PIXELS = 6.4  # the width of a letter of a label, on average
FIT_POINTS = 32  # of a fitted line, which is curved on logarithmic axes
STUB = 1.6  # the value of a line at zero is drawn from zero / STUB to zero * STUB on a logarithmic axis
MARKER_PIXELS = 7
MARGIN = {"l": 52, "r": 12, "t": 8, "b": 44}  # pixels around a plot
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
    """Return the layout of a chart; the page sets the colours of text and lines."""
    dotted: dict[str, Any] = {"type": "line", "line": {"width": 1, "dash": "dot", "color": "#808080"}}
    shapes = []
    if x.edge is not None:
        shapes.append(dotted | {"x0": x.edge, "x1": x.edge, "y0": 0, "y1": 1, "yref": "paper"})
    if y.edge is not None:
        shapes.append(dotted | {"y0": y.edge, "y1": y.edge, "x0": 0, "x1": 1, "xref": "paper"})
    return {
        "height": height,
        "margin": dict(MARGIN),
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "font": {"size": 12},
        "hoverlabel": {"align": "left"},
        "xaxis": x.layout(),
        "yaxis": y.layout(),
        "shapes": shapes,
        "meta": {"zero": x.zero is not None or y.zero is not None},
    }


def foremost(stacks: Iterable[str], subject: str) -> list[str]:
    """Return the stacks that a chart shows: native and the subject first, then as many others as have a colour."""
    every = sorted(set(stacks), key=lambda stack: (stack != NATIVE, not stack.startswith(subject), stack))
    return every[:MOST_STACKS]


def end_labels(ends: Sequence[tuple[str, str, float, float]], y: Axis, height: int) -> dict[str, Any]:
    """Return the part of a layout that writes (text, colour, x, y) beside the last points, none over another.

    x and y are positions on the axes; the margin at the right has the room.
    """
    low, high = (y.log_range if y.log else y.linear_range) or (0.0, 1.0)
    plot = height - MARGIN["t"] - MARGIN["b"]
    annotations = []
    below = math.inf  # pixels from the bottom at which the label above begins
    for text, colour, x_place, y_place in sorted(ends, key=lambda end: -end[3]):
        position = math.log10(y_place) if y.log else y_place
        pixels = (position - low) / (high - low) * plot
        shifted = min(pixels, below - LABEL_PIXELS)
        below = shifted
        annotations.append(
            {
                "text": html.escape(text, quote=False),
                "x": x_place,
                "y": position,
                "xanchor": "left",
                "xshift": 6,
                "yshift": round(shifted - pixels, 1),
                "showarrow": False,
                "font": {"color": colour, "size": 11},
            }
        )
    widest = max((len(text) for text, *_ in ends), default=0)
    return {"annotations": annotations, "margin": MARGIN | {"r": round(12 + LETTER_PIXELS * widest)}}


def _trace(arm: str) -> dict[str, Any]:
    driver, stack, volume = split(arm)
    return {
        "type": "scatter",
        "name": html.escape(arm, quote=False),
        "meta": {"driver": driver, "stack": stack, "volume": volume},
    }


def marker(style: ArmStyle) -> dict[str, Any]:
    """Return an arm's marker."""
    return {
        "color": style.colour,
        "symbol": style.symbol,
        "size": MARKER_PIXELS,
        "line": {"width": 1.5 if style.symbol.endswith("open") else 0},
    }


def faint(colour: str) -> str:
    """Return the colour of whiskers: `colour` with some transparency."""
    red, green, blue = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return f"rgba({red},{green},{blue},{WHISKER_OPACITY})"


def whiskers(
    cells: Sequence[Row], axis: Axis, style: ArmStyle, keys: tuple[str, str, str] = ("value", "low", "high")
) -> dict[str, Any]:
    """Return the intervals of `cells` as plotly's error bars; a cell without an interval has no bar."""
    above: list[float | None] = []
    below: list[float | None] = []
    for row in cells:
        value, low, high = (number(row, key) for key in keys)
        drawn = not (math.isnan(low) or math.isnan(high)) and (value != 0 or axis.zero is None)
        above.append(_short((high - value) / axis.factor) if drawn else None)
        below.append(_short((value - low) / axis.factor) if drawn else None)
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.4, "width": 3}
    return bars | {"color": faint(style.colour)}


def point_trace(
    arm: str,
    cells: Sequence[Row],
    x_key: str,
    style: ArmStyle,
    axes: Axes,
    labels: Labels,
    keys: tuple[str, str, str] = ("value", "low", "high"),
) -> dict[str, Any]:
    """Return the cells of an arm as markers with whiskers."""
    x, y = axes
    return _trace(arm) | {
        "mode": "markers",
        "x": [_short(x.place(float(row[x_key]))) for row in cells],
        "y": [_short(y.place(number(row, keys[0]))) for row in cells],
        "customdata": [list(label) for label in labels],
        "hovertemplate": HOVER,
        "marker": marker(style),
        "error_y": whiskers(cells, y, style, keys),
    }


def dot_trace(
    arm: str, cells: Sequence[Row], heights: Sequence[float], style: ArmStyle, axis: Axis, labels: Labels
) -> dict[str, Any]:
    """Return the cells of an arm as markers at `heights`, with their values along x."""
    return _trace(arm) | {
        "mode": "markers",
        "x": [_short(axis.place(number(row, "value"))) for row in cells],
        "y": list(heights),
        "customdata": [list(label) for label in labels],
        "hovertemplate": HOVER,
        "marker": marker(style),
        "error_x": whiskers(cells, axis, style),
    }


def fit_trace(arm: str, line: Line, style: ArmStyle, axes: Axes, words: str) -> dict[str, Any]:
    """Return the trace of a fitted line from the smallest to the largest x of its cells."""
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
        value = start * (line.x_high / start) ** share if x.log else start + (line.x_high - start) * share
        points.append((x.place(value), y.place(line.intercept.value + line.slope.value * value)))
    return _trace(arm) | {
        "mode": "lines",
        "x": [_short(place) for place, _ in points],
        "y": [_short(place) for _, place in points],
        "text": words,
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": style.colour, "width": 1.6, "dash": style.dash},
        "opacity": 0.8,
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
