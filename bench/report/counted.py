"""Charts of counters: what was counted against what the scenario varies, for counters that vary with it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from bench.reading.analysis import Analysis, Row
from bench.reading.contract import Reading
from bench.reading.laws import Law
from bench.report import marks, rows
from bench.report.axes import sweep_axis, value_axis
from bench.report.figures import PANEL_HEIGHT, Chart, Panel
from bench.report.palette import Palette

__all__ = ["counter_figure", "counter_unit"]

LEAST_GROWTH = 10.0  # a counter that grows less over the whole sweep has no curve to show; its table says it all
LEAST_X = 2  # values of x that a curve needs


def counter_unit(name: str) -> str:
    """Return the unit that a counter's name says."""
    return "bytes" if name.endswith("bytes") else "1"


def counter_figure(analysis: Analysis, reading: Reading, palette: Palette) -> Chart | None:
    """Return the scenario's counters against the x of its first law, a panel for each; None if none varies."""
    if not reading.laws:
        return None
    law = reading.laws[0]
    found = [row for row in rows.matching(rows.of(analysis.counters, reading.name), law.where) if law.x in row]
    by_name: dict[str, list[Row]] = {}
    for row in found:
        by_name.setdefault(str(row["counter"]), []).append(row)
    shown = {name: told for name, told in by_name.items() if _grows(told, law.x)}
    if not shown:
        return None
    panels = tuple(_panel(name, told, law, palette, analysis.run.parameters) for name, told in shown.items())
    counters = ", ".join(f"counters.{name}" for name in shown)
    condition = rows.pairs_words(law.where.items())
    units = sum(int(row["units"]) for told in shown.values() for row in told)
    source = f"scenario = {reading.name}, {counters}{', ' + condition if condition else ''}; n = {units:,}"
    notes = ["Medians of the units; whiskers are the whole range. Most are exact, so whiskers vanish in the mark."]
    if any(panel.layout["meta"]["zero"] for panel in panels):
        notes.append("Zero stands apart, beyond the dotted line: a logarithmic axis has no zero.")
    arms = tuple(dict.fromkeys(str(row["arm"]) for told in shown.values() for row in told))
    return Chart(f"what was counted against {law.x}", panels, source, tuple(notes), arms)


def _grows(told: Sequence[Row], x: str) -> bool:
    """Tell whether a counter follows the sweep on some arm: tenfold, or half as much as x itself."""
    for arm in {row["arm"] for row in told}:
        medians = {float(row[x]): abs(rows.number(row, "median")) for row in told if row["arm"] == arm}
        swept = max(medians) / max(min(medians), 1.0)
        least = min(LEAST_GROWTH, max(swept / 2, LEAST_X))
        if len(medians) >= LEAST_X and max(medians.values()) >= least * max(min(medians.values()), 1.0):
            return True
    return False


def _panel(name: str, told: Sequence[Row], law: Law, palette: Palette, parameters: Sequence[str]) -> Panel:
    unit = counter_unit(name)
    x = sweep_axis(law.x, [float(row[law.x]) for row in told])
    y = value_axis("", unit, *([rows.number(row, key) for row in told] for key in ("median", "maximum")))
    data = []
    for arm in dict.fromkeys(str(row["arm"]) for row in told):
        mine = [row for row in told if row["arm"] == arm]
        labels = [_hover(row, parameters, unit) for row in mine]
        keys = ("median", "minimum", "maximum")
        trace = marks.point_trace(arm, mine, law.x, palette.look(arm), (x, y), labels, keys)
        trace["hovertemplate"] = marks.COUNTED
        data.append(trace | {"mode": "lines+markers", "line": {"width": 1, "dash": palette.look(arm).dash}})
    return Panel(name.replace("_", " "), data, marks.layout(x, y, PANEL_HEIGHT), "yaxis" if y.switchable else "")


def _hover(row: Row, parameters: Sequence[str], unit: str) -> list[str]:
    """Return what fills marks.COUNTED: cell, median, range, expectation."""
    range_ = f"{rows.amount(rows.number(row, 'minimum'), unit)} … {rows.amount(rows.number(row, 'maximum'), unit)}"
    expected = f"{row['matching']} of {row['units']} units as expected: {row['expected']}"
    said = expected if row["expected"] else f"n = {row['units']} units, nothing was expected"
    cell = rows.cell_words(row, parameters)
    return [
        html.escape(text, quote=False) for text in (cell, rows.amount(rows.number(row, "median"), unit), range_, said)
    ]
