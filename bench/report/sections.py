"""What the page says, as records that the template only has to lay out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.model import NATIVE, Skip
from bench.reading.analysis import Analysis
from bench.reading.claims import Answer, Finding
from bench.reading.contract import Reading
from bench.report import sheets
from bench.report.counted import counter_figure
from bench.report.dots import headline_figure, metrics_figure
from bench.report.figures import Chart, law_figures
from bench.report.palette import Palette, split
from bench.report.sheets import Sheet
from bench.store.rows import PACKED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AnswerGroup", "Evidence", "Failure", "Section", "answers", "evidence", "failures", "section"]

SUBJECT = "overlay2"  # the driver that the questions are about comes first
MOST_FAILURES = 200  # shown one by one; the rest is counted


@dataclass(frozen=True)
class Sentence:
    """An answer about one stack on one volume."""

    stack: str
    volume: str
    text: str


@dataclass(frozen=True)
class AnswerGroup:
    """The answers of one scenario, those about the subject first; `others` wait in a fold."""

    scenario: str
    anchor: str
    question: str
    first: tuple[Sentence, ...]
    others: tuple[Sentence, ...]


@dataclass(frozen=True)
class Evidence:
    """The arms of which a scenario says the same."""

    where: tuple[str, ...]
    outcome: str
    text: str
    scenario: str


@dataclass(frozen=True)
class Failure:
    """Units that failed, or counted something else than expected, for one reason."""

    scenario: str
    arms: str
    text: str
    units: int
    sequences: str


@dataclass(frozen=True)
class Section:
    """One scenario: its question, charts, tables, and where every figure comes from."""

    name: str
    anchor: str
    question: str
    method: str
    figures: tuple[Chart, ...]
    sheets: tuple[Sheet, ...]
    precision: str
    skips: tuple[Skip, ...]
    mismatches: tuple[Failure, ...]
    failures: tuple[Failure, ...]
    units: int
    failed: int
    query: str


def section(analysis: Analysis, name: str, reading: Reading | None, palette: Palette) -> Section:
    """Return the section of a scenario; one that this version does not know has tables alone."""
    units = analysis.units(name)
    failed = units[units["error"] != ""]
    figures: list[Chart | None] = []
    found: list[Sheet | None] = []
    if reading is not None:
        if reading.laws:
            figures += law_figures(analysis, reading, palette)
            open_now, folded = [f for f in figures if f and not f.folded], [f for f in figures if f and f.folded]
            figures = [*open_now, counter_figure(analysis, reading, palette)]
            figures += [metrics_figure(analysis, reading, palette), *folded]
        else:
            figures.append(headline_figure(analysis, reading, palette))
        found += [sheets.from_table(told.title, told.columns, told.rows) for told in reading.tables(analysis)]
        found += [sheets.law_sheet(analysis, reading), sheets.ratio_sheet(analysis, reading)]
    found += sheets.counter_sheets(analysis, name)
    found.append(sheets.cell_sheet(analysis, name, reading))
    return Section(
        name=name,
        anchor=anchor(name),
        question=reading.question if reading else "This version of the suite does not know this scenario.",
        method=reading.method if reading else "Not known here; its rows are shown as they are, without units.",
        figures=tuple(
            replace(figure, id=f"{anchor(name)}-{number}")
            for number, figure in enumerate((figure for figure in figures if figure is not None), 1)
        ),
        sheets=tuple(sheet for sheet in found if sheet is not None),
        precision=sheets.precision(analysis, reading) if reading else "",
        skips=tuple(skip for skip in analysis.run.provenance.skips if skip.scenario == name),
        mismatches=tuple(failures(units[units["mismatches"] != ""], "mismatches")),
        failures=tuple(failures(failed, "error")),
        units=len(units),
        failed=len(failed),
        query=query(name, analysis.run.samples),
    )


def query(name: str, samples: Path) -> str:
    """Return the command that prints a scenario's rows."""
    chosen = f'select(.scenario == {json.dumps(name)} and .error == "")'
    if samples.suffix == PACKED:
        return f"xzcat {samples.name} | jq -c {shlex.quote(chosen)}"
    return f"jq -c {shlex.quote(chosen)} {samples.name}"


def answers(analysis: Analysis, readings: Mapping[str, Reading]) -> list[AnswerGroup]:
    """Return every scenario's answers, by volume, the subject's first."""
    groups = []
    for name in analysis.scenarios:
        reading = readings.get(name)
        told = list(reading.answers(analysis)) if reading else []
        if reading is None or not told:
            continue
        first = [answer for answer in told if answer.where.driver == SUBJECT]
        others = [answer for answer in told if answer not in first]
        if not first:
            first, others = others, []
        others.sort(key=lambda answer: answer.where.driver == NATIVE)
        groups.append(AnswerGroup(name, anchor(name), reading.question, _sentences(first), _sentences(others)))
    return groups


def anchor(name: str) -> str:
    """Return a scenario's place on the page; a name may be anything, an anchor may not."""
    return "scenario-" + re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _sentences(told: Iterable[Answer]) -> tuple[Sentence, ...]:
    return tuple(Sentence(answer.where.stack, answer.where.volume, answer.text) for answer in told)


def evidence(findings: Sequence[Finding]) -> list[Evidence]:
    """Return findings with the arms that share one sentence together, the subject's first."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for finding in sorted(findings, key=lambda finding: split(finding.where)[0] != SUBJECT):
        key = (finding.outcome.value, finding.evidence, finding.scenario)
        groups.setdefault(key, []).append(finding.where)
    return [Evidence(tuple(where), *key) for key, where in groups.items()]


def failures(units: pd.DataFrame, column: str) -> Iterable[Failure]:
    """Yield the reasons in `column`, each with its arms, how often, and the rows it stands in."""
    groups: dict[tuple[str, str], tuple[dict[str, None], list[int]]] = {}
    for scenario, text, arm, sequence in zip(
        units["scenario"], units[column].astype(str), units["arm"], units["sequence"], strict=True
    ):
        arms, sequences = groups.setdefault((str(scenario), text), ({}, []))
        arms[str(arm)] = None
        sequences.append(int(sequence))
    ranked = sorted(groups.items(), key=lambda item: -len(item[1][1]))
    for (scenario, text), (arms, sequences) in ranked[:MOST_FAILURES]:
        rows = ", ".join(str(number) for number in sequences[:5]) + (", …" if len(sequences) > 5 else "")
        yield Failure(scenario, ", ".join(arms), text, len(sequences), rows)
    if len(ranked) > MOST_FAILURES:
        left = ranked[MOST_FAILURES:]
        text = f"{len(left):,} further reasons; samples.jsonl has them all"
        yield Failure("", "", text, sum(len(sequences) for _, (_, sequences) in left), "")
