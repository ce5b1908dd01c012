"""The page of a run that tests the suite, from its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import __version__
from bench.report import origin, page
from bench.report.palette import Palette, split
from bench.report.trust import cautions, command, parts, stretches
from bench.report.trust_figures import power_figure, tools_figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.report.figures import Figure
    from bench.report.trust import Tool
    from bench.stats.trusted import Trusted
    from bench.store.reader import Run

__all__ = ["render"]


def render(told: Trusted, tools: Sequence[Tool], run: Run, target: Path) -> Path:
    """Write the page to `target` (its directory must exist) and return it; OSError if it cannot."""
    said = parts(told, tools)
    figures: dict[str, list[Figure]] = {part.title: [] for part in said}
    for part, figure in zip(said[1:3], (power_figure(told), tools_figure(tools)), strict=True):
        if figure is not None:
            figures[part.title].append(figure)
    context = {
        "run": run,
        "version": __version__,
        "machine": origin.machine(run),
        "command": command(run),
        "complete": run.provenance.complete,
        "stretches": stretches(run) if told.stretches > 1 else "",
        "warnings": [*cautions(told, run), *run.warnings],
        "parts": said,
        "figures": figures,
        "charts": page.charts(figure for mine in figures.values() for figure in mine),
        "folds": {},
        "skips": run.provenance.skips,
        "origin": origin.sheets(run),
        "samples": page.samples(run, target),
        "palette": Palette(str(arm) for arm in run.units["arm"].unique()),
        "split": split,
    }
    return page.write(page.rendered("trust.html.j2", context), target)
