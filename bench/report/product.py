"""Make the report of a run: the page, and the summary in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import discovery
from bench.errors import BenchError
from bench.model import NANOSECONDS
from bench.reading.analysis import Analysis
from bench.reading.claims import Answer
from bench.reading.contract import Reading
from bench.reading.headlines import HeadlineFigure, figures
from bench.reading.verdicts import ClaimVerdict, verdicts
from bench.report import page, summary
from bench.stats.compared import Compared, compared
from bench.store.reader import Run

__all__ = ["Product", "answers", "place", "publish"]


HEADLINES_SCHEMA = 1


@dataclass(frozen=True)
class Product:
    """The report of a run: the path of its page, and its results."""

    run: Run
    page: Path
    units: int
    errors: int
    lines: list[str]
    headlines: list[HeadlineFigure]
    answers: list[Answer]
    verdicts: list[ClaimVerdict]
    comparisons: list[Compared]

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "run": self.run.id,
            "results": str(self.run.directory),
            "page": str(self.page),
            "complete": self.run.provenance.complete,
            "units": self.units,
            "headlines": [figure.as_json() for figure in self.headlines],
            "errors": self.errors,
            "answers": [
                {"text": item.text, "where": str(item.where), "scenario": item.scenario} for item in self.answers
            ],
            "claims": [
                {
                    "claim": item.claim.id,
                    "outcome": item.outcome.value,
                    "findings": [
                        {"where": finding.where, "outcome": finding.outcome.value, "evidence": finding.evidence}
                        for finding in item.findings
                    ],
                }
                for item in self.verdicts
            ],
            "comparisons": [{"name": item.name, "verdict": item.sentence()} for item in self.comparisons],
        }


def readings_of(run: Run) -> dict[str, Reading]:
    """Return all readings, with the run's unit of time."""
    return {name: reading.timed_in(run.time_unit) for name, reading in discovery.readings().items()}


def answers(analysis: Analysis) -> list[Answer]:
    """Return the answers of all scenarios of the run, in the scenarios' order."""
    readings = readings_of(analysis.run)
    return [answer for name in analysis.scenarios if name in readings for answer in readings[name].answers(analysis)]


def publish(run: Run, reports: Path, *, suites: bool = False) -> Product:
    """Write the page of `run` below `reports` and return the report.

    With `suites`, also write the run's times in the formats of pyperf and pytest-benchmark beside its rows.
    """
    readings = readings_of(run)
    if suites and run.time_unit == NANOSECONDS:  # those programs know no other unit
        _write_suites(run, readings.values())
    comparisons = compared(run) if run.provenance.comparisons is not None else []
    analysis = Analysis(run.surveyed, readings)
    claim_verdicts = verdicts(analysis, readings)
    with place(reports):
        target = page.render_analysis(analysis, readings, reports / f"{run.id}.html", comparisons)
    headlines = figures(analysis, readings)
    if suites:
        _write_headlines(run, headlines)
    lines = [f"{item.scenario} {item.name}: {item.sentence()}" for item in comparisons]
    if len(analysis.run.units):
        lines += summary.lines(analysis, headlines, claim_verdicts)
    errors = int((run.units["error"] != "").sum())
    return Product(
        run, target, len(run.units), errors, lines, headlines, answers(analysis), claim_verdicts, comparisons
    )


@contextmanager
def place(reports: Path) -> Iterator[None]:
    """Make the directory of pages; raises BenchError for an OSError while entered."""
    try:
        reports.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise BenchError(
            f"cannot write the page to {reports}", why=error.strerror or str(error), fix="give another --reports"
        ) from error


def _write_headlines(run: Run, headlines: Iterable[HeadlineFigure]) -> None:
    """Write results/<run>/headlines.json (docs/headlines.schema.json)."""
    document = {
        "schema": HEADLINES_SCHEMA,
        "run": run.id,
        "version": run.provenance.version,
        "headlines": [figure.as_json() for figure in headlines],
    }
    path = run.directory / "headlines.json"
    try:
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}", why=error.strerror or str(error), fix="make room") from error


def _write_suites(run: Run, readings: Iterable[Reading]) -> None:
    """Write the metrics that are times; neither pyperf nor pytest-benchmark has a unit for throughput."""
    import pandas as pd

    from bench.store.pyperf_files import write_suites
    from bench.store.pytest_benchmark_files import write_pytest_benchmark

    time_metrics = {
        (reading.name, metric.name) for reading in readings for metric in reading.metrics if metric.unit == "ns"
    }
    keys = zip(run.times["scenario"], run.times["metric"], strict=True)
    times = run.times.loc[pd.Series([key in time_metrics for key in keys], run.times.index, dtype=bool)]
    try:
        write_suites(run, times)
        write_pytest_benchmark(run, times)
    except OSError as error:
        raise BenchError(
            f"cannot write {run.directory}",
            why=error.strerror or str(error),
            fix="make room, then report again",
        ) from error
