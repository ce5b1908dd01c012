"""The page of a self-test, from the rows of its run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import __version__
from bench.report import origin, page
from bench.report.figures import Chart
from bench.report.palette import Palette, split
from bench.report.product import Product, place
from bench.selftest.figures import power_figure, tools_figure
from bench.selftest.markdown import as_lines, cautions, command, stretches
from bench.selftest.peers import Tool, beside
from bench.selftest.results import Trusted, trusted
from bench.selftest.tables import parts
from bench.store.reader import Run
from bench.store.rows import PAIRS

__all__ = ["publish"]


def publish(run: Run, reports: Path) -> Product:
    """Write the page of `run` below `reports`; the lines of the product are the page in Markdown.

    Raises BenchError if the run is not a self-test.
    """
    results = trusted(run)
    tools = beside(results)
    with place(reports):
        target = _render(results, tools, run, reports / f"{run.id}.html")
    units, failed = results.records.units, results.records.failed
    return Product(run, target, units, failed, as_lines(results, run, tools), [], [], [], [])


def _render(results: Trusted, tools: Sequence[Tool], run: Run, target: Path) -> Path:
    """Write the page to `target`, whose directory must exist, and return `target`; raises OSError if it cannot."""
    sections = parts(results, tools)
    figures: dict[str, list[Chart]] = {part.title: [] for part in sections}
    for part, figure in zip(sections[1:3], (power_figure(results), tools_figure(tools)), strict=True):
        if figure is not None:
            figures[part.title].append(figure)
    context = {
        "run": run,
        "version": __version__,
        "machine": origin.machine(run),
        "command": command(run),
        "complete": run.provenance.complete,
        "stretches": stretches(run) if results.records.stretches > 1 else "",
        "units": results.records.units,
        "warnings": [*cautions(results, run), *results.records.warnings],
        "parts": sections,
        "figures": figures,
        "charts": page.charts(figure for charts in figures.values() for figure in charts),
        "folds": {},
        "skips": run.provenance.skips,
        "origin": origin.sheets(run),
        "samples": page.samples(run, target),
        "pairs": run.samples.name == PAIRS,
        "palette": Palette(()),
        "split": split,
    }
    return page.write(page.rendered("trust.html.j2", context), target)
