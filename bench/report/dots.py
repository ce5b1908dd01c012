"""Dot plots with one mark and interval per arm, for several metrics and for scenarios without a law."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from bench.model import Temperature
from bench.reading.analysis import Analysis, Row
from bench.reading.contract import Reading
from bench.report import marks, rows
from bench.report.axes import value_axis
from bench.report.figures import Chart, Panel, hover
from bench.report.palette import Palette

__all__ = ["headline_figure", "metrics_figure"]

LABEL_PIXELS, ARM_PIXELS, PAD_PIXELS, FRAME_PIXELS = 26, 9, 5, 60  # the label of a row is above its arms

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
    panel = _panel("", labelled, metric.title, metric.unit, palette, analysis.run.parameters)
    source = f"scenario = {reading.name}, metrics.{metric.name}; n = {sum(int(row['n']) for row in headline):,}"
    return Chart(metric.title, (panel,), source, _NOTES, _arms(headline))


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
    """Return a chart with the metrics in the headline's unit as rows, one panel per temperature."""
    unit = reading.metric(reading.judged_metric).unit
    metrics = [metric for metric in reading.metrics if metric.unit == unit]
    panels = []
    for temperature in Temperature:
        at_temperature = rows.matching(cells, {"temperature": temperature.value})
        labelled = [(metric.title, row) for metric in metrics for row in at_temperature if row["metric"] == metric.name]
        if labelled:
            panels.append(_panel(temperature.value, labelled, "", unit, palette, analysis.run.parameters))
    if not panels:
        return None
    names = ", ".join(f"metrics.{metric.name}" for metric in metrics)
    units = sum(int(row["n"]) for row in cells)
    source = f"scenario = {reading.name}, {names}; n = {units:,}"
    return Chart(title, tuple(panels), source, _NOTES, _arms(cells))


def _arms(cells: Sequence[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(row["arm"]) for row in cells))


def _panel(
    title: str, labelled: Sequence[_Labelled], axis_title: str, unit: str, palette: Palette, parameters: Sequence[str]
) -> Panel:
    categories = list(dict.fromkeys(label for label, _ in labelled))
    arms = list(_arms([row for _, row in labelled]))
    axis = value_axis(axis_title, unit, *([rows.number(row, key) for _, row in labelled] for key in ("value", "high")))
    row_pixels = LABEL_PIXELS + ARM_PIXELS * len(arms) + PAD_PIXELS
    data = []
    for index, arm in enumerate(arms):
        labelled_arm = [(label, row) for label, row in labelled if row["arm"] == arm]
        offset = (LABEL_PIXELS + ARM_PIXELS * index) / row_pixels
        heights = [round(categories.index(label) + offset, 4) for label, _ in labelled_arm]
        arm_cells = [row for _, row in labelled_arm]
        labels = [hover(row, parameters, unit) for row in arm_cells]
        data.append(marks.dot_trace(arm, arm_cells, heights, palette.style(arm), axis, labels))
    layout = marks.layout(axis, axis, FRAME_PIXELS + len(categories) * row_pixels)
    layout["yaxis"] = {
        "range": [len(categories), 0],
        "showticklabels": False,
        "zeroline": False,
        "showgrid": False,
        "fixedrange": True,
    }
    layout["annotations"] = [
        {
            "text": f"<b>{html.escape(label, quote=False)}</b>",
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": number,
            "yanchor": "top",
            "showarrow": False,
        }
        for number, label in enumerate(categories)
    ]
    line = {"width": 1, "color": "rgba(128,128,128,0.35)"}
    separators: list[dict[str, Any]] = [
        {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": number, "y1": number, "line": line}
        for number in range(1, len(categories))
    ]
    layout["shapes"] = [*(shape for shape in layout["shapes"] if "yref" in shape), *separators]
    layout["margin"] = layout["margin"] | {"l": 12}
    return Panel(title, data, layout, "xaxis" if axis.switchable else "", layout["height"])
