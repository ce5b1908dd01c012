"""The tables of a scenario's section: laws, ratios to native, precision, counters, all cells."""

from __future__ import annotations

import functools
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.quantities import quantity
from bench.reading.analysis import Analysis, Row
from bench.reading.contract import Reading
from bench.report import rows
from bench.report.counted import counter_unit
from bench.report.figures import law_unit
from bench.stats.compared import Compared
from bench.stats.paired import Word

__all__ = [
    "Sheet",
    "cell_sheet",
    "comparison_sheet",
    "counter_sheets",
    "from_table",
    "law_sheet",
    "precision",
    "ratio_sheet",
]

_FIGURE = re.compile(r"[-–±]?[\d.,]+|–$|$")


@dataclass(frozen=True)
class Sheet:
    """A table of the page. `marked` rows are wrong, and their text says so; a `folded` table is collapsed at first."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    source: str = ""
    marked: frozenset[int] = frozenset()
    folded: bool = False

    @functools.cached_property
    def figures(self) -> tuple[bool, ...]:
        """For each column, whether it holds figures, which are aligned to the right."""
        return tuple(
            bool(self.rows) and all(_FIGURE.match(row[index]) for row in self.rows[:50])
            for index in range(len(self.columns))
        )

    def packed(self, most: int) -> dict[str, Any]:
        """Return at most `most` rows for the page's script, dictionary-encoded by column."""
        words: list[list[str]] = []
        codes: list[list[int]] = []
        for column in zip(*self.rows[:most], strict=True):
            numbers = {value: number for number, value in enumerate(dict.fromkeys(column))}
            words.append(list(numbers))
            codes.append([numbers[value] for value in column])
        marked = sorted(number for number in self.marked if number < most)
        return {"columns": self.columns, "figures": self.figures, "words": words, "codes": codes, "marked": marked}


def from_table(title: str, columns: Iterable[str], lines: Iterable[Iterable[str]]) -> Sheet:
    """Return the sheet of a table that a reading made."""
    return Sheet(title, tuple(columns), tuple(tuple(row) for row in lines))


def law_sheet(analysis: Analysis, reading: Reading) -> Sheet | None:
    """Return the table of a scenario's fitted laws, with the intervals of their coefficients."""
    lines = []
    for fitted in analysis.laws:
        if fitted.scenario != reading.name:
            continue
        line, unit = fitted.line, reading.metric(fitted.law.metric).unit
        ends = (int(line.x_low), int(line.x_high))
        lines.append(
            (
                fitted.law.title,
                str(fitted.arm),
                " to ".join(rows.parameter(fitted.law.x, end).removeprefix(f"{fitted.law.x} ") for end in ends),
                line.intercept.text(unit),
                f"{line.slope.scaled(fitted.law.per).text(unit)} per {law_unit(fitted.law)}",
                _width(line.slope.relative_half_width),
                line.shape,
                f"{line.r_squared:.4f}",
                f"{line.r_squared_relative:.4f}",
                f"{max((abs(residual) for residual in line.residuals), default=0):.0%}",
                f"{len(line.cells)}",
                f"{line.slope.n:,}",
            )
        )
    columns = (
        *("law: a + b·x", "arm", "x", "a", "b", "± of b", "shape", "R²", "R², relative"),
        *("worst residual", "cells", "n units"),
    )
    note = (
        "Fitted to all units, on logarithms (Huber's loss); intervals are of 95 %. Shape is of the "
        "change over the whole range of x: flat where its interval stays within ±10 %, undecided where that and zero "
        "are both possible."
    )
    return Sheet("Fitted laws", columns, tuple(lines), note) if lines else None


def ratio_sheet(analysis: Analysis, reading: Reading) -> Sheet | None:
    """Return the table of the headline metric's ratios to a plain directory, one row per cell."""
    ratios = rows.matching(rows.of(analysis.ratios, reading.name), {"metric": reading.judged_metric})
    keys = rows.varying(ratios, ("depth", "temperature", *analysis.run.parameters))
    lines = tuple(
        (
            str(row["arm"]),
            *(_value(key, row) for key in keys),
            rows.estimate_text(row, "×", "ratio"),
            rows.percent(row, "ratio"),
            f"{row['n']:,}",
            "" if row["native_depth"] == row["depth"] else f"native at depth {row['native_depth']}",
        )
        for row in ratios
    )
    metric = reading.metric(reading.judged_metric)
    source = f"scenario = {reading.name}, metrics.{metric.name}, paired by block with the native arm of the volume"
    columns = ("arm", *(key.replace("_", " ") for key in keys), "times native", "±", "n pairs", "")
    return Sheet(f"Ratio to a plain directory: {metric.title}", columns, lines, source=source) if lines else None


def cell_sheet(analysis: Analysis, name: str, reading: Reading | None) -> Sheet | None:
    """Return the table of all cells of all metrics, in their units, or without units if there is no reading."""
    cells = rows.of(analysis.cells, name)
    units = {metric.name: metric.unit for metric in reading.metrics} if reading else {}
    keys = rows.varying(cells, ("depth", "temperature", *analysis.run.parameters))
    lines = []
    for row in cells:
        unit = units.get(str(row["metric"]), "")
        low, median, high = (quantity(rows.number(row, key), unit) for key in ("minimum", "median", "maximum"))
        lines.append(
            (
                *(str(row["metric"]), str(row["arm"]), *(_value(key, row) for key in keys)),
                *(rows.estimate_text(row, unit), rows.percent(row), f"{row['n']:,}", f"{row['operations']:,}"),
                *(low, median, high, f"{row['outliers']}", str(row["method"])),
            )
        )
    columns = (
        *("metric", "arm", *(key.replace("_", " ") for key in keys), "value [95 %]", "±", "n units"),
        *("timed calls", "min", "median", "max", "far out", "method"),
    )
    note = "No unit is left out; those beyond Tukey's outer fences are counted as far out."
    return Sheet("All cells", columns, tuple(lines), note, f"scenario = {name}", folded=True) if lines else None


def counter_sheets(analysis: Analysis, name: str) -> list[Sheet]:
    """Return the tables of counters against expectation: one by arm and one by cell."""
    counters = rows.of(analysis.counters, name)
    if not counters:
        return []
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in counters:
        groups.setdefault((str(row["counter"]), str(row["arm"])), []).append(row)
    arms: list[tuple[str, ...]] = []
    marked: set[int] = set()
    for (counter, arm), group in groups.items():
        if wrong(group):
            marked.add(len(arms))
        arms.append((counter, arm, *_summed(counter, group)))
    keys = rows.varying(counters, ("depth", "temperature", *analysis.run.parameters))
    cells: list[tuple[str, ...]] = []
    marked_cells: set[int] = set()
    for row in counters:
        if wrong([row]):
            marked_cells.add(len(cells))
        cell = (_value(key, row) for key in keys)
        cells.append((str(row["counter"]), str(row["arm"]), *cell, *_summed(str(row["counter"]), [row])))
    tail = ("units", "as expected", "expected", "seen", "verdict")
    note = "Exact even on a noisy machine. What a unit was expected to count is stated before it is measured."
    source = f"scenario = {name}, counters beside expected; mismatches says why where they differ"
    key_columns = tuple(key.replace("_", " ") for key in keys)
    return [
        Sheet("Counters against expectation", ("counter", "arm", *tail), tuple(arms), note, source, frozenset(marked)),
        Sheet(
            "Counters, cell by cell", ("counter", "arm", *key_columns, *tail), tuple(cells),
            source=source, marked=frozenset(marked_cells), folded=True,
        ),
    ]  # fmt: skip


def wrong(group: Iterable[Row]) -> int:
    """Count the units whose counter is not as expected."""
    return sum(int(row["units"]) - int(row["matching"]) for row in group if row["expected"])


def _summed(counter: str, group: Sequence[Row]) -> tuple[str, ...]:
    unit = counter_unit(counter)
    units, unexpected = sum(int(row["units"]) for row in group), wrong(group)
    low, high = min(rows.number(row, "minimum") for row in group), max(rows.number(row, "maximum") for row in group)
    seen = rows.amount(low, unit) if low == high else f"{rows.amount(low, unit)} … {rows.amount(high, unit)}"
    texts = {str(row["expected"]) for row in group}
    if texts == {""}:
        return (f"{units:,}", "–", "nothing was stated", seen, "only recorded")
    expected = texts.pop() if len(texts) == 1 else "differs by cell"
    verdict = "✓ all as expected" if not unexpected else f"✗ {unexpected:,} of {units:,} not as expected"
    return (f"{units:,}", f"{units - unexpected:,}", expected.replace("..", " … "), seen, verdict)


def precision(analysis: Analysis, reading: Reading) -> str:
    """Return sentences on the number of units of the headline metric's cells and the width of their intervals."""
    cells = rows.matching(rows.of(analysis.cells, reading.name), {"metric": reading.judged_metric})
    counts = [int(row["n"]) for row in cells]
    if not counts:
        return "No unit of the headline metric was measured."
    widths = [width for row in cells if (width := rows.half_width(row)) is not None]
    span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    text = f"{len(counts)} cells of {reading.judged_metric} have {span} units each"
    if not widths:
        return f"{text}; none has an interval, because one unit has none."
    without = len(cells) - len(widths)
    bare = f"; {without} have one unit and no interval" if without else ""
    return (
        f"{text}; half their 95 % interval is {_width(statistics.median(widths))} of the value in the median, "
        f"{_width(max(widths))} at worst{bare}. What no headline figure needs is measured for its chart only."
    )


def _width(share: float) -> str:
    return "–" if not math.isfinite(share) else f"±{share:.1%}"


def _value(key: str, row: Row) -> str:
    return rows.parameter(key, row[key]).removeprefix(f"{key} ") if key in row else "–"


def comparison_sheet(comparisons: Sequence[Compared]) -> Sheet:
    """Return the table of all comparisons, with the data behind each verdict."""
    lines = []
    words = [comparison.verdict.word for comparison in comparisons]
    for comparison in comparisons:
        a, b = (time.text("ns") for time in comparison.times) if comparison.times else ("–", "–")
        control = comparison.control.ratio.text("×") if comparison.control.ratio.n else "no look yet"
        moved = "moved: " if comparison.control_moved else ""
        lines.append(
            (
                *(comparison.scenario, comparison.metric, comparison.a, comparison.b, comparison.where),
                *(comparison.sentence(), a, b, f"{comparison.verdict.pairs}, {comparison.way}"),
                *(f"{comparison.verdict.p:.2g}", f"{moved}{control}"),
            )
        )
    columns = ("scenario", "metric", "A", "B", "where", "B against A", "time of A", "time of B", "pairs", "p")
    return Sheet(
        "Arms against each other",
        (*columns, "control"),
        tuple(lines),
        note=(
            "Interleaved pairs of fresh units, looked at after 12, 24, 48, … of them until it is known; a difference "
            "was measured again on new volumes before it is called one, and the ratio is that second set-up's. "
            "Intervals are those of the deciding look. The control is a plain directory beside itself in every block."
        ),
        source='rows whose params have "comparison", in samples.jsonl; run.json says what each number compares.',
        marked=frozenset(index for index, word in enumerate(words) if word is Word.SLOWER),
    )
