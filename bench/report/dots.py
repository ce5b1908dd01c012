"""Dot plots with a row per driver, whose name is beside it, for several metrics and for scenarios without a law."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from bench.model import NATIVE, Temperature
from bench.reading.analysis import Analysis, Row
from bench.reading.contract import Reading
from bench.report import marks, rows
from bench.report.axes import Axis, value_axis
from bench.report.figures import SUBJECT, Chart, Panel, hover
from bench.report.palette import Palette

__all__ = ["headline_figure", "metrics_figure"]

ROW_PIXELS, FRAME_PIXELS = 17, 60

_Labelled = tuple[str, "Row"]


def headline_figure(analysis: Analysis, reading: Reading, palette: Palette) -> Chart | None:
    """Return a chart of all cells of the headline metric, or of all metrics if each arm has one cell only."""
    cells = rows.of(analysis.cells, reading.name)
    metric = reading.metric(reading.judged_metric)
    headline = rows.matching(cells, {"metric": metric.name})
    keys = rows.varying(headline, ("depth", "temperature", *analysis.run.parameters))
    if not keys:
        return _side_by_side(analysis, reading, palette, cells, "every metric")
    labelled = [(rows.pairs_words((key, row[key]) for key in keys if key in row), row) for row in headline]
    panels = _panels(labelled, metric.title, metric.unit, palette, analysis.run.parameters)
    source = f"scenario = {reading.name}, metrics.{metric.name}; n = {sum(int(row['n']) for row in headline):,}"
    return Chart(metric.title, panels, source, _NOTES)


def metrics_figure(analysis: Analysis, reading: Reading, palette: Palette) -> Chart | None:
    """Return a chart of every metric at the point that most arms have, which shows where the time goes."""
    cells = rows.of(analysis.cells, reading.name)
    keys = ("depth", *analysis.run.parameters)
    arms: dict[tuple[Any, ...], set[str]] = {}
    for row in rows.matching(cells, {"metric": reading.judged_metric}):
        arms.setdefault(tuple(row.get(key) for key in keys), set()).add(str(row["arm"]))
    if not arms or len(reading.metrics) == 1:
        return None
    most = max(map(len, arms.values()))
    chosen = [point for point in arms if len(arms[point]) == most][-1]
    conditions = {key: value for key, value in zip(keys, chosen, strict=True) if value is not None}
    title = f"every metric at {rows.pairs_words(conditions.items())}"
    return _side_by_side(analysis, reading, palette, rows.matching(cells, conditions), title)


_NOTES = ("Whiskers are 95 % intervals, and may leave the frame. A mark without whiskers is a single unit.",)


def _side_by_side(
    analysis: Analysis, reading: Reading, palette: Palette, cells: Sequence[Row], title: str
) -> Chart | None:
    """Return a chart with the metrics in the headline's unit, one panel per temperature and volume."""
    unit = reading.metric(reading.judged_metric).unit
    metrics = [metric for metric in reading.metrics if metric.unit == unit]
    labelled = [(metric.title, row) for metric in metrics for row in cells if row["metric"] == metric.name]
    panels = _panels(labelled, "", unit, palette, analysis.run.parameters)
    if not panels:
        return None
    names = ", ".join(f"metrics.{metric.name}" for metric in metrics)
    units = sum(int(row["n"]) for row in cells)
    return Chart(title, panels, f"scenario = {reading.name}, {names}; n = {units:,}", _NOTES)


def _panels(
    labelled: Sequence[_Labelled], axis_title: str, unit: str, palette: Palette, parameters: Sequence[str]
) -> tuple[Panel, ...]:
    """Return a panel per temperature and volume, all with the same axis."""
    axis = value_axis(axis_title, unit, *([rows.number(row, key) for _, row in labelled] for key in ("value", "high")))
    temperatures = {str(row["temperature"]) for _, row in labelled}
    panels = []
    for temperature in (item.value for item in Temperature if item.value in temperatures):
        for volume in dict.fromkeys(str(row["volume"]) for _, row in labelled):
            chosen = [
                (label, row) for label, row in labelled if row["temperature"] == temperature and row["volume"] == volume
            ]
            title = f"{volume}, {temperature}" if len(temperatures) > 1 else volume
            if chosen:
                panels.append(_panel(title, chosen, axis, unit, palette, parameters))
    return tuple(panels)


def _panel(
    title: str, labelled: Sequence[_Labelled], axis: Axis, unit: str, palette: Palette, parameters: Sequence[str]
) -> Panel:
    """Return a chart with a heading for each label, and below it a row for each stack, whose name is at the left."""
    headings = list(dict.fromkeys(label for label, _ in labelled))
    stacks = list(dict.fromkeys(str(row["stack"]) for _, row in labelled))
    stacks.sort(key=lambda stack: (stack != NATIVE, not stack.startswith(SUBJECT), stack))
    places: dict[tuple[str, str], int] = {}  # of the row of a heading and a stack, in rows from the top
    heading_rows: dict[str, int] = {}
    top = 0
    for heading in headings:
        heading_rows[heading] = top
        present = {str(row["stack"]) for label, row in labelled if label == heading}
        for stack in (stack for stack in stacks if stack in present):
            top += 1
            places[heading, stack] = top
        top += 1
    data = []
    for stack in stacks:
        own = [(label, row) for label, row in labelled if row["stack"] == stack]
        arm = str(own[0][1]["arm"])
        style = palette.style(arm)
        heights = [places[label, stack] for label, _ in own]
        cells = [row for _, row in own]
        data.append(marks.dot_trace(arm, cells, heights, style, axis, [hover(row, parameters, unit) for row in cells]))
    layout = marks.layout(axis, axis, FRAME_PIXELS + top * ROW_PIXELS)
    layout["yaxis"] = {
        "range": [top - 0.4, -0.6],
        "tickmode": "array",
        "tickvals": list(places.values()),
        "ticktext": [html.escape(stack, quote=False) for _, stack in places],
        "tickfont": {"size": 11},
        "zeroline": False,
        "showgrid": False,
        "fixedrange": True,
    }
    layout["annotations"] = [
        {
            "text": f"<b>{html.escape(heading, quote=False)}</b>",
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": place,
            "yanchor": "middle",
            "showarrow": False,
        }
        for heading, place in heading_rows.items()
    ]
    layout["shapes"] = [shape for shape in layout["shapes"] if "yref" in shape]
    layout["margin"] = layout["margin"] | {"l": round(14 + marks.LETTER_PIXELS * max(map(len, stacks)))}
    return Panel(title, data, layout, layout["height"])
