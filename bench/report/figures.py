"""Charts of a scenario, from its laws and metrics alone: a new scenario has charts without an edit here.

A figure is a group of panels that share a title. Panels are plotly figures as plain JSON (the page
draws them with plotly.js), so that making a page needs no plotly object per mark.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.model import Temperature
from bench.quantities import quantity
from bench.report import marks, rows
from bench.report.axes import sweep_axis, value_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure.scenario import Law, Scenario
    from bench.report.palette import Palette
    from bench.stats.analysis import Analysis, FittedLaw, Row

__all__ = ["Figure", "Panel", "fit_words", "law_figures", "law_unit"]

OPEN = 2  # figures of a scenario that are open at once; the rest wait in a fold
PANEL_HEIGHT = 340


@dataclass(frozen=True)
class Panel:
    """One chart: plotly's `data` and `layout`; `switchable`: its value axis can change between linear and log."""

    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    switchable: bool = False
    height: int = PANEL_HEIGHT
    unit: str = ""


@dataclass(frozen=True)
class Figure:
    """Panels under one title; `source` says which rows of samples.jsonl they show, `notes` what to know."""

    title: str
    panels: tuple[Panel, ...]
    source: str
    notes: tuple[str, ...] = ()
    arms: tuple[str, ...] = field(default=())
    folded: bool = False


def law_unit(law: Law) -> str:
    """Return what a slope is per: `MiB`, `layer`."""
    return law.per_name or law.x


def fit_words(fitted: FittedLaw, unit: str) -> str:
    """Return a fitted law as an equation with its intervals."""
    line, law = fitted.line, fitted.law
    slope = line.slope.scaled(law.per)
    return (
        f"{line.intercept.text(unit)} + {slope.text(unit)} per {law_unit(law)}; R² {line.r_squared:.4f}; {line.shape}"
    )


def law_figures(analysis: Analysis, scenario: Scenario, palette: Palette) -> list[Figure]:
    """Return one figure for laws that differ by temperature only, a panel for each temperature."""
    cells = rows.of(analysis.cells, scenario.name)
    groups: dict[tuple[Any, ...], list[Law]] = {}
    for law in scenario.laws:
        others = tuple(sorted((key, value) for key, value in law.where.items() if key != "temperature"))
        groups.setdefault((law.metric, law.x, others), []).append(law)
    figures: list[Figure] = []
    for (metric, x, others), laws in groups.items():
        told = [(law, _cells_of(cells, law)) for law in laws]
        told = [(law, found) for law, found in told if found]
        if not told:
            continue
        unit = scenario.metric(metric).unit
        panels = tuple(_law_panel(analysis, law, found, unit, palette) for law, found in told)
        title = told[0][0].title if len(laws) == 1 else f"{scenario.metric(metric).title} against {x}"
        units = sum(int(row["n"]) for _, found in told for row in found)
        condition = rows.pairs_words(others)
        source = f"scenario = {scenario.name}, metrics.{metric}{', ' + condition if condition else ''}; n = {units:,}"
        arms = tuple(dict.fromkeys(str(row["arm"]) for _, found in told for row in found))
        figures.append(Figure(title, panels, source, _notes(panels), arms, folded=len(figures) >= OPEN))
    return figures


def _cells_of(cells: Sequence[Row], law: Law) -> list[Row]:
    return [row for row in rows.matching(cells, law.where) if row["metric"] == law.metric and law.x in row]


def _law_panel(analysis: Analysis, law: Law, cells: Sequence[Row], unit: str, palette: Palette) -> Panel:
    x = sweep_axis(law.x, [float(row[law.x]) for row in cells])
    y = value_axis("", unit, [rows.number(row, "value") for row in cells])
    fitted = {told.arm: told for told in analysis.laws if told.law == law and told.scenario == cells[0]["scenario"]}
    data = []
    for arm in dict.fromkeys(str(row["arm"]) for row in cells):
        look = palette.look(arm)
        mine = [row for row in cells if row["arm"] == arm]
        if arm in fitted:
            words = f"<b>{html.escape(arm)}</b>, fitted<br>{html.escape(fit_words(fitted[arm], unit))}"
            data.append(marks.fit_trace(arm, fitted[arm].line, look, (x, y), words))
        labels = [hover(row, analysis.run.parameters, unit) for row in mine]
        data.append(marks.point_trace(arm, mine, law.x, look, (x, y), labels))
    temperature = law.where.get("temperature")
    title = str(temperature) if temperature in set(Temperature) else ""
    return Panel(title, data, marks.layout(x, y, PANEL_HEIGHT), y.switchable, unit=y.unit)


def hover(row: Row, parameters: Sequence[str], unit: str) -> str:
    """Return what a mark says: arm, cell, value, interval, number of units."""
    arm, cell = html.escape(str(row["arm"])), html.escape(rows.cell_words(row, parameters))
    value = html.escape(rows.told(row, unit))
    spread = f"{quantity(rows.number(row, 'minimum'), unit)} … {quantity(rows.number(row, 'maximum'), unit)}"
    units = f"n = {int(row['n']):,} units, {int(row.get('operations', row['n'])):,} timed calls"
    return f"<b>{arm}</b><br>{cell}<br><b>{value}</b><br>{units}<br>range {spread}, {int(row['outliers'])} far out"


def _notes(panels: Sequence[Panel]) -> tuple[str, ...]:
    notes = ["Whiskers are 95 % intervals; lines are fits of a + b·x, drawn where an arm has three values of x."]
    if any(panel.layout["meta"]["zero"] for panel in panels):
        notes.append("Zero stands apart, left of the dotted line: a logarithmic axis has no zero.")
    return tuple(notes)
