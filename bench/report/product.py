"""From a run's directory to what a reader gets: the page, and the summary in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import discovery
from bench.errors import BenchError
from bench.reading.analysis import Analysis
from bench.reading.claims import Answer
from bench.reading.contract import Reading
from bench.reading.verdicts import ClaimVerdict, verdicts
from bench.report import page, summary
from bench.stats.compared import Compared, compared
from bench.store.reader import Run

__all__ = ["Product", "answers", "place", "publish"]


@dataclass(frozen=True)
class Product:
    """What a run says, and where its page is."""

    run: Run
    page: Path
    units: int
    errors: int
    lines: list[str]
    answers: list[Answer]
    verdicts: list[ClaimVerdict]
    comparisons: list[Compared]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "run": self.run.id,
            "results": str(self.run.directory),
            "page": str(self.page),
            "complete": self.run.provenance.complete,
            "units": self.units,
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


def answers(analysis: Analysis) -> list[Answer]:
    """Return what every scenario of the run answers, in their order."""
    known = discovery.readings()
    return [answer for name in analysis.scenarios if name in known for answer in known[name].answers(analysis)]


def publish(run: Run, reports: Path, *, suites: bool = False) -> Product:
    """Write the page of `run` below `reports` and return it with the summary.

    With `suites`, also the run's times for pyperf and pytest-benchmark beside its rows.
    """
    known = discovery.readings()
    if suites:
        _write_suites(run, known)
    comparisons = compared(run) if run.provenance.comparisons is not None else []
    analysis = Analysis(run.surveyed, known)
    judged = verdicts(analysis, known)
    with place(reports):
        target = page.render_analysis(analysis, known, reports / f"{run.id}.html", comparisons)
    told = [f"{item.scenario} {item.name}: {item.sentence()}" for item in comparisons]
    if len(analysis.run.units):
        told += summary.lines(analysis, judged)
    errors = int((run.units["error"] != "").sum())
    return Product(run, target, len(run.units), errors, told, answers(analysis), judged, comparisons)


@contextmanager
def place(reports: Path) -> Iterator[None]:
    """Make the directory of pages; what goes wrong with it while entered is one clear line."""
    try:
        reports.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise BenchError(
            f"cannot write the page to {reports}", why=error.strerror or str(error), fix="give another --reports"
        ) from error


def _write_suites(run: Run, known: Mapping[str, Reading]) -> None:
    """Write the metrics that are times; neither pyperf nor pytest-benchmark has a unit for a throughput."""
    import pandas as pd

    from bench.store.pyperf_files import write_suites
    from bench.store.pytest_benchmark_files import write_pytest_benchmark

    told = {
        (reading.name, metric.name) for reading in known.values() for metric in reading.metrics if metric.unit == "ns"
    }
    keys = zip(run.times["scenario"], run.times["metric"], strict=True)
    times = run.times.loc[pd.Series([key in told for key in keys], run.times.index, dtype=bool)]
    try:
        write_suites(run, times)
        write_pytest_benchmark(run, times)
    except OSError as error:
        raise BenchError(
            f"cannot write {run.directory}",
            why=error.strerror or str(error),
            fix="make room, then report again",
        ) from error
