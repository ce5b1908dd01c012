"""The summary of a run in about ten lines of plain text, for the terminal."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Iterable, Mapping, Sequence

from bench.reading.analysis import Analysis
from bench.reading.claims import Answer
from bench.reading.contract import Reading
from bench.reading.verdicts import ClaimVerdict
from bench.report import rows
from bench.report.sections import SUBJECT

__all__ = ["lines"]

FOREMOST = 2  # the first scenarios, which have an answer for each volume; others have one answer
CLAIMS = ("C6", "C8")  # the claims whose verdict is surprising


def lines(
    analysis: Analysis, verdicts: Iterable[ClaimVerdict], readings: Mapping[str, Reading] | None = None
) -> list[str]:
    """Return the most important answers, the verdicts on CLAIMS, and lines on how reliable they are.

    `readings` are by name; by default all that are installed.
    """
    if readings is None:
        from bench import discovery

        readings = discovery.readings()
    texts = [*_answers(analysis, readings), *(_verdict(verdict) for verdict in verdicts if verdict.claim.id in CLAIMS)]
    texts += [line for line in (_counters(analysis), _precision(analysis, readings), _trouble(analysis)) if line]
    return texts


def _answers(analysis: Analysis, readings: Mapping[str, Reading]) -> list[str]:
    answers: list[Answer] = []
    for index, name in enumerate(name for name in analysis.scenarios if name in readings):
        by_volume: dict[str, Answer] = {}
        for answer in readings[name].answers(analysis):
            if answer.where.driver == SUBJECT:
                by_volume.setdefault(answer.where.volume, answer)
        answers += list(by_volume.values())[: None if index < FOREMOST else 1]
    width = max((len(str(answer.where)) for answer in answers), default=0)
    return [f"{answer.where!s:<{width}}  {answer.text}" for answer in answers]


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


def _precision(analysis: Analysis, readings: Mapping[str, Reading]) -> str:
    measured = []
    for name in analysis.scenarios:
        if name in readings:
            cells = rows.matching(rows.of(analysis.cells, name), {"metric": readings[name].judged_metric})
            measured += [(width, name, row) for row in cells if (width := rows.half_width(row)) is not None]
    if not measured:
        return "Precision: no figure has an interval yet; give the run more time."
    median = statistics.median(width for width, *_ in measured)
    worst, name, row = max(measured, key=operator.itemgetter(0))
    cell = f"{name} of {row['arm']}, {rows.cell_words(row, analysis.run.parameters)}"
    return (
        f"Precision: half a headline figure's 95 % interval is ±{median:.1%} in the median, "
        f"±{worst:.0%} at worst ({cell})."
    )


def _trouble(analysis: Analysis) -> str:
    units = analysis.run.units
    failed = int((units["error"] != "").sum())
    count = len(analysis.run.provenance.warnings)
    parts = [f"{failed:,} of {len(units):,} units failed"] if failed else []
    parts += [f"{count} warning{'s' if count > 1 else ''} of a noisy host"] if count else []
    parts += ["the run is incomplete"] if not analysis.run.provenance.complete else []
    warnings = [f"Beware: {text}." for text in analysis.run.warnings]
    return "\n".join([*warnings, *([f"Beware: {', '.join(parts)}; the page says more."] if parts else [])])
