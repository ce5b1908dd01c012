"""Charts of a scenario, made from its laws and metrics only, so that a new scenario needs no code here.

A chart is a group of panels that share a title. Panels are plotly figures as plain JSON, which the page
draws with plotly.js, so that making a page needs no plotly object per mark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from bench.quantities import quantity
from bench.reading.analysis import Analysis, FittedLaw, Row
from bench.reading.contract import Reading
from bench.reading.laws import Law
from bench.report import marks, rows
from bench.report.axes import Axis, sweep_axis, value_axis
from bench.report.palette import Palette, split

__all__ = ["SUBJECT", "Chart", "Panel", "Series", "fit_words", "law_figures", "law_unit", "line_panel"]

SUBJECT = "overlay2"  # the driver that the questions are about
PANEL_HEIGHT = 260


@dataclass(frozen=True)
class Panel:
    """One chart: plotly's `data` and `layout`. What each mark is, is written beside it."""

    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = PANEL_HEIGHT


@dataclass(frozen=True)
class Chart:
    """Panels under one title; `source` tells which rows of samples.jsonl they show, `notes` how to read them."""

    title: str
    panels: tuple[Panel, ...]
    source: str
    notes: tuple[str, ...] = ()
    id: str = ""  # on the page


def law_unit(law: Law) -> str:
    """Return the unit of x that a slope is given per: `MiB`, `layer`."""
    return law.per_name or law.x


def fit_words(fitted: FittedLaw, unit: str) -> str:
    """Return a fitted law as an equation with its intervals."""
    line, law = fitted.line, fitted.law
    slope = line.slope.scaled(law.per)
    return (
        f"{line.intercept.text(unit)} + {slope.text(unit)} per {law_unit(law)}; R² {line.r_squared:.4f}; {line.shape}"
    )


def law_figures(analysis: Analysis, reading: Reading, palette: Palette) -> list[Chart]:
    """Return one chart for each set of laws that differ by temperature only: a panel per volume and temperature."""
    cells = rows.of(analysis.cells, reading.name)
    groups: dict[tuple[Any, ...], list[Law]] = {}
    for law in reading.laws:
        others = tuple(sorted((key, value) for key, value in law.where.items() if key != "temperature"))
        groups.setdefault((law.metric, law.x, others), []).append(law)
    charts: list[Chart] = []
    for (metric, x, others), laws in groups.items():
        laws_with_cells = [(law, _cells_of(cells, law)) for law in laws]
        laws_with_cells = [(law, law_cells) for law, law_cells in laws_with_cells if law_cells]
        if not laws_with_cells:
            continue
        unit = reading.metric(metric).unit
        by_law = [list(_law_panels(analysis, *pair, unit, palette)) for pair in laws_with_cells]
        panels = tuple(panel for volume in zip_longest(*by_law) for panel in volume if panel)
        title = laws_with_cells[0][0].title if len(laws) == 1 else f"{reading.metric(metric).title} against {x}"
        units = sum(int(row["n"]) for _, law_cells in laws_with_cells for row in law_cells)
        condition = rows.pairs_words(others)
        source = f"scenario = {reading.name}, metrics.{metric}{', ' + condition if condition else ''}; n = {units:,}"
        stacks = {str(row["stack"]) for _, law_cells in laws_with_cells for row in law_cells}
        beyond = [law for law, law_cells in laws_with_cells if any(row[x] > law.up_to for row in law_cells)]
        charts.append(Chart(title, panels, source, _notes(panels, stacks, beyond)))
    return charts


def _cells_of(cells: Sequence[Row], law: Law) -> list[Row]:
    return [row for row in rows.matching(cells, law.where) if row["metric"] == law.metric and law.x in row]


def _law_panels(analysis: Analysis, law: Law, cells: Sequence[Row], unit: str, palette: Palette) -> Iterator[Panel]:
    """Yield a panel per volume, all with the same axes."""
    shown = [row for row in cells if row["stack"] in marks.foremost((str(row["stack"]) for row in cells), SUBJECT)]
    x = sweep_axis(law.x, [float(row[law.x]) for row in shown])
    y = value_axis("", unit, *([rows.number(row, key) for row in shown] for key in ("value", "high")))
    temperature = str(law.where.get("temperature") or "")
    for volume in dict.fromkeys(str(row["volume"]) for row in shown):
        arms = dict.fromkeys(str(row["arm"]) for row in shown if row["volume"] == volume)
        series = [Series(law, arm, split(arm)[1], [row for row in shown if row["arm"] == arm]) for arm in arms]
        title = ", ".join(part for part in (volume, temperature) if part)
        yield line_panel(analysis, title, series, (x, y), unit, palette)


@dataclass(frozen=True)
class Series:
    """The cells of a law on an arm, and what is written at the end of their line."""

    law: Law
    arm: str
    label: str
    cells: Sequence[Row]
    colour: str = ""  # the arm's, if empty


def line_panel(
    analysis: Analysis,
    title: str,
    series: Sequence[Series],
    axes: tuple[Axis, Axis],
    unit: str,
    palette: Palette,
    height: int = PANEL_HEIGHT,
) -> Panel:
    """Return a chart of laws: points with whiskers, fitted lines, and at the end of each what it shows."""
    x, y = axes
    data, ends = [], []
    for line in series:
        style = palette.style(line.arm)
        style = replace(style, colour=line.colour or style.colour)
        for fitted in (fit for fit in analysis.laws if fit.law == line.law and str(fit.arm) == line.arm):
            words = f"<b>{html.escape(line.arm)}</b>, fitted<br>{html.escape(fit_words(fitted, unit))}"
            data.append(marks.fit_trace(line.arm, fitted.line, style, axes, words))
        labels = [hover(row, analysis.run.parameters, unit) for row in line.cells]
        data.append(marks.point_trace(line.arm, line.cells, line.law.x, style, axes, labels))
        last = max(line.cells, key=lambda row: float(row[line.law.x]))
        places = x.place(float(last[line.law.x])), y.place(rows.number(last, "value"))
        if places[0] is not None and places[1] is not None:
            at = math.log10(places[0]) if x.log else places[0]
            ends.append((line.label, style.colour, at, places[1]))
    layout = marks.layout(x, y, height) | marks.end_labels(ends, y, height)
    return Panel(title, data, layout, height)


def hover(row: Row, parameters: Sequence[str], unit: str) -> list[str]:
    """Return the texts for marks.HOVER: cell, value with interval, units, calls, range, outliers."""
    spread = f"{quantity(rows.number(row, 'minimum'), unit)} … {quantity(rows.number(row, 'maximum'), unit)}"
    cell = html.escape(rows.cell_words(row, parameters), quote=False)
    calls = f"{int(row.get('operations', row['n'])):,}"
    return [cell, rows.estimate_text(row, unit), f"{int(row['n']):,}", calls, spread, f"{row['outliers']}"]


def _notes(panels: Sequence[Panel], stacks: Collection[str], beyond: Sequence[Law]) -> tuple[str, ...]:
    """Return what is to be known of a chart; `beyond`: its laws whose line ends before their last cell."""
    notes = [
        "Whiskers are 95 % intervals, and may leave the frame; lines are fits of a + b·x, drawn where an arm has "
        "three values of x."
    ]
    if beyond:
        end = rows.parameter(beyond[0].x, int(beyond[0].up_to)).removeprefix(f"{beyond[0].x} ")
        notes.append(f"Lines end at {beyond[0].x.replace('_', ' ')} = {end}; beyond that the times leave them.")
    if any(panel.layout["meta"]["zero"] for panel in panels):
        notes.append("Zero stands apart, left of the dotted line: a logarithmic axis has no zero.")
    if len(stacks) > marks.MOST_STACKS:
        notes.append(f"{len(stacks) - marks.MOST_STACKS} more drivers are in the tables.")
    return tuple(notes)
