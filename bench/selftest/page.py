"""The page of a run that tests the suite, from its rows."""

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
    """Write the page of `run` below `reports`; the product's lines are the page in Markdown.

    Raises BenchError where the run does not test the suite.
    """
    told = trusted(run)
    tools = beside(told)
    with place(reports):
        target = _render(told, tools, run, reports / f"{run.id}.html")
    units, failed = told.records.units, told.records.failed
    return Product(run, target, units, failed, as_lines(told, run, tools), [], [], [])


def _render(told: Trusted, tools: Sequence[Tool], run: Run, target: Path) -> Path:
    """Write the page to `target` (its directory must exist) and return it; OSError if it cannot."""
    said = parts(told, tools)
    figures: dict[str, list[Chart]] = {part.title: [] for part in said}
    for part, figure in zip(said[1:3], (power_figure(told), tools_figure(tools)), strict=True):
        if figure is not None:
            figures[part.title].append(figure)
    context = {
        "run": run,
        "version": __version__,
        "machine": origin.machine(run),
        "command": command(run),
        "complete": run.provenance.complete,
        "stretches": stretches(run) if told.records.stretches > 1 else "",
        "units": told.records.units,
        "warnings": [*cautions(told, run), *told.records.warnings],
        "parts": said,
        "figures": figures,
        "charts": page.charts(figure for mine in figures.values() for figure in mine),
        "folds": {},
        "skips": run.provenance.skips,
        "origin": origin.sheets(run),
        "samples": page.samples(run, target),
        "pairs": run.samples.name == PAIRS,
        "palette": Palette(()),
        "split": split,
    }
    return page.write(page.rendered("trust.html.j2", context), target)
