"""The summary of a run in about ten lines of plain text, for the terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.model import SLACK, USUAL_VOLUMES, volume_order
from bench.reading.analysis import Analysis
from bench.reading.claims import Outcome
from bench.reading.headlines import HeadlineFigure, Slope
from bench.reading.verdicts import ClaimVerdict
from bench.report.figures import SUBJECT
from bench.store.reader import Run

__all__ = ["between_runs", "disturbed", "foremost", "lines"]

WIDTH = 1_000_000  # columns of the console, so that it wraps no line

CLAIMS = ("C6", "C8")  # the claims whose verdict is surprising


def lines(analysis: Analysis, headlines: Sequence[HeadlineFigure], verdicts: Iterable[ClaimVerdict]) -> list[str]:
    """Return the table of headline figures, the claims that surprise, and how far to trust them."""
    text = [*_table(headlines), *map(_verdict, filter(_surprises, verdicts))]
    text += [
        line
        for line in (
            _counters(analysis),
            _precision(headlines),
            disturbed(analysis.run),
            between_runs(analysis),
            *_trouble(analysis),
        )
        if line
    ]
    return text


def foremost(headlines: Iterable[HeadlineFigure]) -> list[HeadlineFigure]:
    """Return the figures of the subject without options, or, where a run has none, of all stacks."""
    every = list(headlines)
    return [figure for figure in every if figure.arm.stack == SUBJECT] or every


def _table(headlines: Sequence[HeadlineFigure]) -> Iterator[str]:
    """One table a stack: a row a figure, a column a volume, and in each cell the value and half its interval."""
    for stack in dict.fromkeys(figure.arm.stack for figure in foremost(headlines)):
        own = [figure for figure in headlines if figure.arm.stack == stack]
        volumes = sorted({figure.arm.volume for figure in own}, key=volume_order)
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="none")
        for heading in (stack, *volumes):
            table.add_column(Text(heading), no_wrap=True)
        for headline in dict.fromkeys(figure.headline for figure in own):
            cells = {figure.arm.volume: figure.short for figure in own if figure.headline == headline}
            table.add_row(*map(Text, (headline.label, *(cells.get(volume, "–") for volume in volumes))))
        console = Console(file=StringIO(), width=WIDTH, color_system=None)
        console.print(table)
        yield from (line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


def _surprises(verdict: ClaimVerdict) -> bool:
    return verdict.claim.id in CLAIMS and verdict.outcome is not Outcome.UNTESTED


def _verdict(verdict: ClaimVerdict) -> str:
    outcomes: dict[str, list[str]] = {}
    for finding in verdict.findings:
        if finding.where:
            outcomes.setdefault(finding.outcome.value, []).append(finding.where)
    summary = "; ".join(f"{outcome} on {_short(arms)}" for outcome, arms in outcomes.items())
    text = verdict.claim.text.rstrip(".")
    return f"{verdict.claim.id} “{text}”: {verdict.outcome.value}" + (f" ({summary})" if len(outcomes) > 1 else "")


def _short(arms: Sequence[str], most: int = 3) -> str:
    return ", ".join(arms[:most]) + (f" and {len(arms) - most} more" if len(arms) > most else "")


def _counters(analysis: Analysis) -> str:
    stated = analysis.counters[analysis.counters["expected"] != ""]
    units, matching = int(stated["units"].sum()), int(stated["matching"].sum())
    return f"Counters: {matching:,} of {units:,} were as expected." if units else ""


def _precision(headlines: Sequence[HeadlineFigure]) -> str:
    estimated = [figure for figure in foremost(headlines) if not figure.exact]
    known = [figure for figure in estimated if not math.isnan(figure.precision)]
    if not known:
        return "Precision: no headline figure has an interval yet; give the run more time." if estimated else ""
    usual = [figure for figure in known if figure.arm.volume in USUAL_VOLUMES]
    first, others = (usual, [figure for figure in known if figure not in usual]) if usual else (known, [])
    worst = max(first, key=lambda figure: figure.precision)
    where, rest = (_on(first), f";{_on(others)} ±{_middle(others):.1%} in the median") if others else ("", "")
    return (
        f"Precision{where}: half a headline figure's 95 % interval is ±{_middle(first):.1%} in the median, "
        f"±{worst.precision:.1%} at worst ({worst.headline.label}, {worst.arm}){rest}.{_slopes(first, worst.precision)}"
    )


def _slopes(headlines: Iterable[HeadlineFigure], worst: float) -> str:
    """Return a sentence on slopes whose half interval is small beside the time, but not beside the slope."""
    told = [
        f"{figure.headline.label}, {figure.arm} ({figure.short})"
        for figure in headlines
        if isinstance(figure.headline.source, Slope) and figure.estimate.relative_half_width > worst
    ]
    return f" As a share of the time, not of the slope: {'; '.join(told)}." if told else ""


def _on(headlines: Iterable[HeadlineFigure]) -> str:
    return " on " + " and ".join(sorted({figure.arm.volume for figure in headlines}))


def _middle(headlines: Iterable[HeadlineFigure]) -> float:
    return statistics.median(figure.precision for figure in headlines)


def between_runs(analysis: Analysis) -> str:
    """Return the sentence on what intervals of times allow for other runs; empty if they allow nothing."""
    if not analysis.between_runs:
        return ""
    return (
        f"Runs as long as this one differ by {analysis.between_runs:.1%} on a shared host (standard deviation); "
        "intervals of times include it, ratios and counts hold without it."
    )


def disturbed(run: Run) -> str:
    """Return the sentence on units on a disturbed CPU; empty if the run did not look, or counted instructions."""
    slowness = run.units[["slowness", "slowness_after"]].max(axis=1).dropna()
    if slowness.empty or run.provenance.place:
        return ""
    count = f"{int((slowness > SLACK).sum()):,} of {len(slowness):,} units"
    return f"Disturbed CPU: {count} (before or after what they time), which weigh less where they scatter more."


def _trouble(analysis: Analysis) -> Iterator[str]:
    """Yield a line for each warning, and one for what failed or is missing."""
    units = analysis.run.units
    failed = int((units["error"] != "").sum())
    parts = [f"{failed:,} of {len(units):,} units failed"] if failed else []
    parts += ["the run is incomplete"] if not analysis.run.provenance.complete else []
    for text in (*analysis.run.provenance.warnings, *analysis.run.warnings):
        yield f"Beware: {text}."
    if parts:
        yield f"Beware: {', '.join(parts)}; the page says more."
