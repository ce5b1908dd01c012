"""Charts of a scenario, made from its laws and metrics only, so that a new scenario needs no code here.

A chart is a group of panels that share a title. Panels are plotly figures as plain JSON, which the page
draws with plotly.js, so that making a page needs no plotly object per mark.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import Temperature
from bench.quantities import quantity
from bench.reading.analysis import Analysis, FittedLaw, Row
from bench.reading.contract import Reading
from bench.reading.laws import Law
from bench.report import marks, rows
from bench.report.axes import sweep_axis, value_axis
from bench.report.palette import Palette

__all__ = ["Chart", "Panel", "fit_words", "law_figures", "law_unit"]

OPEN = 2  # figures of a scenario that are open at first; further ones are collapsed
PANEL_HEIGHT = 340


@dataclass(frozen=True)
class Panel:
    """One chart: plotly's `data` and `layout`; `axis` is the one that can switch between linear and logarithmic."""

    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    axis: str = ""
    height: int = PANEL_HEIGHT


@dataclass(frozen=True)
class Chart:
    """Panels under one title; `source` tells which rows of samples.jsonl they show, `notes` how to read them."""

    title: str
    panels: tuple[Panel, ...]
    source: str
    notes: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    folded: bool = False
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
    """Return one chart for each set of laws that differ by temperature only, with one panel per temperature."""
    cells = rows.of(analysis.cells, reading.name)
    groups: dict[tuple[Any, ...], list[Law]] = {}
    for law in reading.laws:
        others = tuple(sorted((key, value) for key, value in law.where.items() if key != "temperature"))
        groups.setdefault((law.metric, law.x, others), []).append(law)
    figures: list[Chart] = []
    for (metric, x, others), laws in groups.items():
        laws_with_cells = [(law, _cells_of(cells, law)) for law in laws]
        laws_with_cells = [(law, law_cells) for law, law_cells in laws_with_cells if law_cells]
        if not laws_with_cells:
            continue
        unit = reading.metric(metric).unit
        panels = tuple(_law_panel(analysis, law, law_cells, unit, palette) for law, law_cells in laws_with_cells)
        title = laws_with_cells[0][0].title if len(laws) == 1 else f"{reading.metric(metric).title} against {x}"
        units = sum(int(row["n"]) for _, law_cells in laws_with_cells for row in law_cells)
        condition = rows.pairs_words(others)
        source = f"scenario = {reading.name}, metrics.{metric}{', ' + condition if condition else ''}; n = {units:,}"
        arms = tuple(dict.fromkeys(str(row["arm"]) for _, law_cells in laws_with_cells for row in law_cells))
        figures.append(Chart(title, panels, source, _notes(panels), arms, folded=len(figures) >= OPEN))
    return figures


def _cells_of(cells: Sequence[Row], law: Law) -> list[Row]:
    return [row for row in rows.matching(cells, law.where) if row["metric"] == law.metric and law.x in row]


def _law_panel(analysis: Analysis, law: Law, cells: Sequence[Row], unit: str, palette: Palette) -> Panel:
    x = sweep_axis(law.x, [float(row[law.x]) for row in cells])
    y = value_axis("", unit, *([rows.number(row, key) for row in cells] for key in ("value", "high")))
    fitted = {str(fit.arm): fit for fit in analysis.laws if fit.law == law and fit.scenario == cells[0]["scenario"]}
    data = []
    for arm in dict.fromkeys(str(row["arm"]) for row in cells):
        style = palette.style(arm)
        arm_cells = [row for row in cells if row["arm"] == arm]
        if arm in fitted:
            words = f"<b>{html.escape(arm)}</b>, fitted<br>{html.escape(fit_words(fitted[arm], unit))}"
            data.append(marks.fit_trace(arm, fitted[arm].line, style, (x, y), words))
        labels = [hover(row, analysis.run.parameters, unit) for row in arm_cells]
        data.append(marks.point_trace(arm, arm_cells, law.x, style, (x, y), labels))
    temperature = law.where.get("temperature")
    title = str(temperature) if temperature in set(Temperature) else ""
    return Panel(title, data, marks.layout(x, y, PANEL_HEIGHT), "yaxis" if y.switchable else "")


def hover(row: Row, parameters: Sequence[str], unit: str) -> list[str]:
    """Return the texts for marks.HOVER: cell, value with interval, units, calls, range, outliers."""
    spread = f"{quantity(rows.number(row, 'minimum'), unit)} … {quantity(rows.number(row, 'maximum'), unit)}"
    cell = html.escape(rows.cell_words(row, parameters), quote=False)
    calls = f"{int(row.get('operations', row['n'])):,}"
    return [cell, rows.estimate_text(row, unit), f"{int(row['n']):,}", calls, spread, f"{row['outliers']}"]


def _notes(panels: Sequence[Panel]) -> tuple[str, ...]:
    notes = [
        "Whiskers are 95 % intervals, and may leave the frame; lines are fits of a + b·x, drawn where an arm has "
        "three values of x."
    ]
    if any(panel.layout["meta"]["zero"] for panel in panels):
        notes.append("Zero stands apart, left of the dotted line: a logarithmic axis has no zero.")
    return tuple(notes)
