"""What a page says first: the table of headline figures, a chart a question, and the matrix of drivers and costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.model import NATIVE, Arm, volume_order
from bench.quantities import quantity
from bench.reading.analysis import Analysis
from bench.reading.contract import Reading
from bench.reading.headlines import HeadlineFigure
from bench.report import rows
from bench.report.axes import sweep_axis, value_axis
from bench.report.figures import SUBJECT, Panel, Series, line_panel
from bench.report.palette import OKABE_ITO, Palette
from bench.report.summary import foremost

__all__ = ["GlanceChart", "HeadlineTable", "Matrix", "glances", "matrix", "tables"]

GLANCE_HEIGHT = 230
DEEPEST = 100.0  # the ratio from which on a cell of the matrix has the full colour


@dataclass(frozen=True)
class Bar:
    """A figure in a table: its text, its interval in words, and where value and interval lie, in percent of the row."""

    text: str
    interval: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class HeadlineTable:
    """The headline figures of a stack: per figure (label, scenario, a bar or None for each volume)."""

    stack: str
    volumes: tuple[str, ...]
    lines: tuple[tuple[str, str, tuple[Bar | None, ...]], ...]


@dataclass(frozen=True)
class GlanceChart:
    """A chart of one question, with the sentence that it shows."""

    scenario: str
    title: str
    text: str
    panel: Panel
    id: str


@dataclass(frozen=True)
class Matrix:
    """Each driver's costs, times those of a plain directory: per arm (name, per column (text, interval, shade))."""

    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[tuple[str, str, float] | None, ...]], ...]


def tables(headlines: Iterable[HeadlineFigure]) -> list[HeadlineTable]:
    """Return the tables of the subject, or of all stacks where a run has no figure of it."""
    shown = foremost(headlines)
    made = []
    for stack in dict.fromkeys(figure.arm.stack for figure in shown):
        own = [figure for figure in shown if figure.arm.stack == stack]
        volumes = tuple(sorted({figure.arm.volume for figure in own}, key=volume_order))
        lines = []
        for headline in dict.fromkeys(figure.headline for figure in own):
            here = {figure.arm.volume: figure for figure in own if figure.headline == headline}
            ends = [end for figure in here.values() for end in (figure.estimate.value, figure.estimate.high)]
            most = max((end for end in ends if math.isfinite(end)), default=0.0)
            bars = tuple(_bar(here[volume], most) if volume in here else None for volume in volumes)
            lines.append((headline.label, next(iter(here.values())).scenario, bars))
        made.append(HeadlineTable(stack, volumes, tuple(lines)))
    return made


def _bar(figure: HeadlineFigure, most: float) -> Bar:
    def share(value: float) -> float:
        return round(100 * min(max(value / most, 0.0), 1.0), 1) if most > 0 and math.isfinite(value) else 0.0

    value = figure.estimate.value
    low, high = (end if math.isfinite(end) else value for end in (figure.estimate.low, figure.estimate.high))
    return Bar(figure.short, figure.text, share(value), share(low), share(high))


def glances(analysis: Analysis, readings: Mapping[str, Reading], palette: Palette) -> list[GlanceChart]:
    """Return the chart of each scenario that declares one, if the run has it of the subject."""
    made = []
    for name in (name for name in analysis.scenarios if name in readings):
        reading = readings[name]
        arms = [arm for arm in analysis.arms(name) if arm.stack == SUBJECT]
        if reading.glance is None or not arms:
            continue
        series = _series(analysis, reading, arms)
        if len(series) < 2:
            continue
        cells = [row for line in series for row in line.cells]
        x = sweep_axis(series[0].law.x, [float(row[line.law.x]) for line in series for row in line.cells])
        unit = reading.metric(reading.glance.name).unit
        y = value_axis("", unit, *([rows.number(row, key) for row in cells] for key in ("value", "high")))
        panel = line_panel(analysis, "", series, (x, y), unit, palette, GLANCE_HEIGHT)
        text = next((answer.text for answer in reading.answers(analysis) if answer.where == arms[0]), "")
        title = f"{reading.glance.title}{f', {arms[0].volume}' if reading.glance.by == 'temperature' else ''}"
        made.append(GlanceChart(name, title, text, panel, f"glance-{name}"))
    return made


def _series(analysis: Analysis, reading: Reading, arms: Sequence[Arm]) -> list[Series]:
    """Return the lines of a scenario's chart: of one arm by temperature, or of all volumes and a plain directory."""
    glance = reading.glance
    assert glance is not None
    cells = rows.matching(rows.of(analysis.cells, reading.name), {"metric": glance.name})
    laws = [law for law in reading.laws if (law.metric, law.x) == (glance.name, glance.x)]
    series = []
    if glance.by == "temperature":
        for law, colour in zip(laws, OKABE_ITO, strict=False):
            label = str(law.where.get("temperature", ""))
            own = [row for row in rows.matching(cells, {**law.where, "arm": str(arms[0])}) if law.x in row]
            series.append(Series(law, str(arms[0]), label, own, colour))
    else:
        plain = [arm for arm in analysis.arms(reading.name) if arm.driver == NATIVE and arm.volume == arms[0].volume]
        colours = dict(zip(arms, OKABE_ITO, strict=False))
        for arm in (*arms, *plain):
            own = [row for row in rows.matching(cells, {**laws[0].where, "arm": str(arm)}) if laws[0].x in row]
            label = f"a plain directory, {arm.volume}" if arm in plain else arm.volume
            series.append(Series(laws[0], str(arm), label, own, colours.get(arm, "")))
    return [line for line in series if line.cells]


def matrix(analysis: Analysis, readings: Mapping[str, Reading]) -> Matrix | None:
    """Return the matrix of the scenario that has most arms of those that declare costs, or of all that have as many."""
    present = {
        name: len(analysis.arms(name)) for name in analysis.scenarios if name in readings and readings[name].costs
    }
    if not present:
        return None
    chosen = [name for name, count in present.items() if count == max(present.values())]
    arms = dict.fromkeys(arm for name in chosen for arm in analysis.arms(name) if arm.driver != NATIVE)
    columns = [(readings[name], cost) for name in chosen for cost in readings[name].costs]
    lines = []
    for arm in arms:
        cells: list[tuple[str, str, float] | None] = []
        for reading, cost in columns:
            ratio = cost.source.estimate(analysis, reading, arm)
            known = ratio is not None and not math.isnan(ratio.value)
            cells.append(
                (quantity(ratio.value, "×"), ratio.text("×"), _shade(ratio.value)) if ratio and known else None
            )
        if any(cells):
            lines.append((str(arm), tuple(cells)))
    return Matrix(tuple(cost.label for _, cost in columns), tuple(lines)) if len(lines) > 1 else None


def _shade(ratio: float) -> float:
    """Return the strength of a cell's colour: 0 as native, 1 for a hundred times that, -1 for a hundredth."""
    return round(max(-1.0, min(1.0, math.log(ratio) / math.log(DEEPEST))), 2)
