"""Charts of the counters that depend on what the scenario varies."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from bench.reading.analysis import Analysis, Row
from bench.reading.contract import Reading
from bench.reading.laws import Law
from bench.report import marks, rows
from bench.report.axes import sweep_axis, value_axis
from bench.report.figures import PANEL_HEIGHT, SUBJECT, Chart, Panel
from bench.report.palette import Palette, split

__all__ = ["counter_figure", "counter_unit"]

LEAST_GROWTH = 10.0  # over the whole sweep; a counter that grows less is in the table only
LEAST_X = 2  # values of x for a curve


def counter_unit(name: str) -> str:
    """Return the unit of a counter, from its name."""
    return "bytes" if name.endswith("bytes") else "1"


def counter_figure(analysis: Analysis, reading: Reading, palette: Palette) -> Chart | None:
    """Return a chart of the counters against the x of the first law, one panel per counter; None if none grows."""
    if not reading.laws:
        return None
    law = reading.laws[0]
    counters = [row for row in rows.matching(rows.of(analysis.counters, reading.name), law.where) if law.x in row]
    by_name: dict[str, list[Row]] = {}
    for row in counters:
        by_name.setdefault(str(row["counter"]), []).append(row)
    shown = {name: group for name, group in by_name.items() if _grows(group, law.x)}
    if not shown:
        return None
    panels = tuple(
        _panel(name, volume, [row for row in group if row["volume"] == volume], law, palette, analysis.run.parameters)
        for name, group in shown.items()
        for volume in dict.fromkeys(str(row["volume"]) for row in group)
    )
    names = ", ".join(f"counters.{name}" for name in shown)
    condition = rows.pairs_words(law.where.items())
    units = sum(int(row["units"]) for group in shown.values() for row in group)
    source = f"scenario = {reading.name}, {names}{', ' + condition if condition else ''}; n = {units:,}"
    notes = ["Medians of the units; whiskers are the whole range. Most are exact, so whiskers vanish in the mark."]
    if any(panel.layout["meta"]["zero"] for panel in panels):
        notes.append("Zero stands apart, beyond the dotted line: a logarithmic axis has no zero.")
    return Chart(f"what was counted against {law.x}", panels, source, tuple(notes))


def _grows(group: Sequence[Row], x: str) -> bool:
    """Tell whether a counter grows over the sweep on any arm: tenfold, or by half the factor of x."""
    for arm in {row["arm"] for row in group}:
        medians = {float(row[x]): abs(rows.number(row, "median")) for row in group if row["arm"] == arm}
        swept = max(medians) / max(min(medians), 1.0)
        least = min(LEAST_GROWTH, max(swept / 2, LEAST_X))
        if len(medians) >= LEAST_X and max(medians.values()) >= least * max(min(medians.values()), 1.0):
            return True
    return False


def _panel(
    name: str, volume: str, group: Sequence[Row], law: Law, palette: Palette, parameters: Sequence[str]
) -> Panel:
    unit = counter_unit(name)
    stacks = marks.foremost((str(row["stack"]) for row in group), SUBJECT)
    group = [row for row in group if row["stack"] in stacks]
    x = sweep_axis(law.x, [float(row[law.x]) for row in group])
    y = value_axis("", unit, *([rows.number(row, key) for row in group] for key in ("median", "maximum")))
    data, ends = [], []
    for arm in dict.fromkeys(str(row["arm"]) for row in group):
        arm_rows = [row for row in group if row["arm"] == arm]
        labels = [_hover(row, parameters, unit) for row in arm_rows]
        style = palette.style(arm)
        trace = marks.point_trace(arm, arm_rows, law.x, style, (x, y), labels, ("median", "minimum", "maximum"))
        trace["hovertemplate"] = marks.COUNTED
        data.append(trace | {"mode": "lines+markers", "line": {"width": 1}})
        last = max(arm_rows, key=lambda row: float(row[law.x]))
        places = x.place(float(last[law.x])), y.place(rows.number(last, "median"))
        if places[0] is not None and places[1] is not None:
            ends.append((split(arm)[1], style.colour, math.log10(places[0]) if x.log else places[0], places[1]))
    layout = marks.layout(x, y, PANEL_HEIGHT) | marks.end_labels(ends, y, PANEL_HEIGHT)
    return Panel(f"{name.replace('_', ' ')}, {volume}", data, layout)


def _hover(row: Row, parameters: Sequence[str], unit: str) -> list[str]:
    """Return the texts for marks.COUNTED: cell, median, range, expectation."""
    range_ = f"{rows.amount(rows.number(row, 'minimum'), unit)} … {rows.amount(rows.number(row, 'maximum'), unit)}"
    expected = f"{row['matching']} of {row['units']} units as expected: {row['expected']}"
    outcome = expected if row["expected"] else f"n = {row['units']} units, nothing was expected"
    median = rows.amount(rows.number(row, "median"), unit)
    texts = (rows.cell_words(row, parameters), median, range_, outcome)
    return [html.escape(text, quote=False) for text in texts]
