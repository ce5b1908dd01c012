"""The content of the page as records, which the template lays out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.model import NATIVE, Skip
from bench.reading.analysis import Analysis
from bench.reading.claims import Answer, Finding
from bench.reading.contract import Reading
from bench.reading.headlines import HeadlineFigure
from bench.report import sheets
from bench.report.counted import counter_figure
from bench.report.dots import headline_figure, metrics_figure
from bench.report.figures import SUBJECT, Chart, law_figures
from bench.report.palette import Palette, split
from bench.report.sheets import Sheet
from bench.store.rows import PACKED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AnswerGroup", "Evidence", "Failure", "Section", "answers", "evidence", "failures", "section"]

MOST_ROWS = 60  # of a table that is not folded
LOW = 420  # pixels of a chart that a section shows before anything is unfolded
MOST_FAILURES = 200  # listed; further ones are only counted


@dataclass(frozen=True)
class Sentence:
    """An answer about one stack on one volume."""

    stack: str
    volume: str
    text: str


@dataclass(frozen=True)
class AnswerGroup:
    """The answers of one scenario: `first` those about the subject; `others` are collapsed."""

    scenario: str
    anchor: str
    question: str
    first: tuple[Sentence, ...]
    others: tuple[Sentence, ...]


@dataclass(frozen=True)
class Evidence:
    """The arms for which a scenario has the same finding."""

    where: tuple[str, ...]
    outcome: str
    text: str
    scenario: str


@dataclass(frozen=True)
class Failure:
    """Units that failed, or whose counters are not as expected, for the same reason."""

    scenario: str
    arms: str
    text: str
    units: int
    sequences: str


@dataclass(frozen=True)
class Section:
    """One scenario: its question, charts, tables, and the source of its figures."""

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
    headlines: tuple[tuple[str, str], ...] = ()  # label and value, of the first of the arms that have them

    @property
    def open_charts(self) -> tuple[Chart, ...]:
        """The first chart, if it is low; of one with a row for each of many drivers, the matrix says the same first."""
        return tuple(chart for chart in self.figures[:1] if all(panel.height <= LOW for panel in chart.panels))


def section(
    analysis: Analysis, name: str, reading: Reading | None, palette: Palette, headlines: Sequence[HeadlineFigure] = ()
) -> Section:
    """Return the section of a scenario; a scenario without a reading has tables only."""
    units = analysis.units(name)
    failed = units[units["error"] != ""]
    figures: list[Chart | None] = []
    tables: list[Sheet | None] = []
    if reading is not None:
        if reading.laws:
            figures += law_figures(analysis, reading, palette)
            figures += [counter_figure(analysis, reading, palette), metrics_figure(analysis, reading, palette)]
        else:
            figures.append(headline_figure(analysis, reading, palette))
        tables += [sheets.from_table(table.title, table.columns, table.rows) for table in reading.tables(analysis)]
        tables += [sheets.law_sheet(analysis, reading), sheets.ratio_sheet(analysis, reading)]
    tables += sheets.counter_sheets(analysis, name)
    tables.append(sheets.cell_sheet(analysis, name, reading))
    return Section(
        name=name,
        anchor=anchor(name),
        question=reading.question if reading else "This version of the suite does not know this scenario.",
        method=reading.method if reading else "Not known here; its rows are shown as they are, without units.",
        figures=tuple(
            replace(figure, id=f"{anchor(name)}-{number}")
            for number, figure in enumerate((figure for figure in figures if figure is not None), 1)
        ),
        sheets=tuple(
            replace(sheet, folded=sheet.folded or len(sheet.rows) > MOST_ROWS) for sheet in tables if sheet is not None
        ),
        precision=sheets.precision(analysis, reading) if reading else "",
        skips=tuple(skip for skip in analysis.run.provenance.skips if skip.scenario == name),
        mismatches=tuple(failures(units[units["mismatches"] != ""], "mismatches")),
        failures=tuple(failures(failed, "error")),
        units=len(units),
        failed=len(failed),
        query=query(name, analysis.run.samples),
        headlines=tuple(_headlines(name, headlines)),
    )


def _headlines(name: str, headlines: Sequence[HeadlineFigure]) -> Iterator[tuple[str, str]]:
    """Yield the scenario's figures on the subject's first volume."""
    own = [figure for figure in headlines if figure.scenario == name and figure.arm.stack == SUBJECT]
    for figure in own:
        if figure.arm == own[0].arm:
            yield f"{figure.headline.label}, {figure.arm.volume}", figure.short


def query(name: str, samples: Path) -> str:
    """Return the command that prints the rows of a scenario."""
    chosen = f'select(.scenario == {json.dumps(name)} and .error == "")'
    if samples.suffix == PACKED:
        return f"xzcat {samples.name} | jq -c {shlex.quote(chosen)}"
    return f"jq -c {shlex.quote(chosen)} {samples.name}"


def answers(analysis: Analysis, readings: Mapping[str, Reading]) -> list[AnswerGroup]:
    """Return the answers of every scenario, those about the subject first."""
    groups = []
    for name in analysis.scenarios:
        reading = readings.get(name)
        scenario_answers = list(reading.answers(analysis)) if reading else []
        if reading is None or not scenario_answers:
            continue
        first = [answer for answer in scenario_answers if answer.where.driver == SUBJECT]
        others = [answer for answer in scenario_answers if answer not in first]
        if not first:
            first, others = others, []
        others.sort(key=lambda answer: answer.where.driver == NATIVE)
        groups.append(AnswerGroup(name, anchor(name), reading.question, _sentences(first), _sentences(others)))
    return groups


def anchor(name: str) -> str:
    """Return the anchor of a scenario on the page: its name, with other characters replaced."""
    return "scenario-" + re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _sentences(scenario_answers: Iterable[Answer]) -> tuple[Sentence, ...]:
    return tuple(Sentence(answer.where.stack, answer.where.volume, answer.text) for answer in scenario_answers)


def evidence(findings: Sequence[Finding]) -> list[Evidence]:
    """Group the findings by their text, with the arms of each; those about the subject come first."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for finding in sorted(findings, key=lambda finding: split(finding.where)[0] != SUBJECT):
        key = (finding.outcome.value, finding.evidence, finding.scenario)
        groups.setdefault(key, []).append(finding.where)
    return [Evidence(tuple(arms), *key) for key, arms in groups.items()]


def failures(units: pd.DataFrame, column: str) -> Iterable[Failure]:
    """Yield the distinct reasons in `column`, each with its arms, the number of its units and some of their rows."""
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
        further = ranked[MOST_FAILURES:]
        text = f"{len(further):,} further reasons; samples.jsonl has them all"
        yield Failure("", "", text, sum(len(sequences) for _, (_, sequences) in further), "")
