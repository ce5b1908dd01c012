"""Write the page of a run as one self-contained file, which loads nothing, not even a font."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from bench import __version__
from bench.reading.analysis import Analysis
from bench.reading.claims import Outcome
from bench.reading.contract import Reading
from bench.reading.headlines import figures
from bench.reading.verdicts import verdicts
from bench.report import origin, overview, sections
from bench.report.figures import Chart
from bench.report.palette import DARK, LIGHT, Palette, split
from bench.report.sheets import comparison_sheet
from bench.report.summary import between_runs, disturbed
from bench.stats.compared import Compared
from bench.store.reader import Run

__all__ = ["PAGE_BYTES", "charts", "render", "rendered", "samples", "sentence", "write"]

TEMPLATES = Path(__file__).with_name("templates")
PAGE_BYTES = 7_000_000
FOLD_CHARACTERS = 1_000_000  # of folded tables; fewer if the page would exceed PAGE_BYTES
LEAST_CHARACTERS = 1000
_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*([^*]+)\*\*")
_INTERVAL = re.compile(r"\[-?[\d.,]+, -?[\d.,]+\]")
SIGNS = {Outcome.CONFIRMED: "✓", Outcome.QUALIFIED: "≈", Outcome.REFUTED: "✗", Outcome.UNTESTED: "–"}


def render(run: Run, readings: Mapping[str, Reading], target: Path) -> Path:
    """Write the page of `run` to `target`, whose directory must exist, and return `target`.

    Raises OSError if it cannot be written.
    """
    return render_analysis(Analysis(run, readings), readings, target)


def render_analysis(
    analysis: Analysis, readings: Mapping[str, Reading], target: Path, comparisons: Sequence[Compared] = ()
) -> Path:
    """Write the page like `render`, from an analysis and the run's comparisons."""
    values = context(analysis, readings, target, comparisons)
    text, characters = rendered("page.html.j2", values), FOLD_CHARACTERS
    while len(text.encode()) > PAGE_BYTES and characters > LEAST_CHARACTERS:
        characters //= 2
        text = rendered("page.html.j2", {**values, "folds": folds(values["sections"], characters)})
    return write(text, target)


def write(text: str, target: Path) -> Path:
    """Write a page to `target` atomically and return `target`; raises OSError if it cannot be written."""
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_text(text, encoding="utf-8")
    return temporary.replace(target)


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """Render a template with `values`."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["prose"] = prose
    environment.filters["sentence"] = sentence
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return environment.get_template(template).render(**values, plotly=get_plotlyjs(), light=LIGHT, dark=DARK)


def context(
    analysis: Analysis, readings: Mapping[str, Reading], target: Path, comparisons: Sequence[Compared] = ()
) -> dict[str, Any]:
    """Return the values for the template."""
    run = analysis.run
    units = run.units
    palette = Palette(str(arm) for arm in units["arm"].unique())
    headlines = figures(analysis, readings)
    scenario_sections = [
        sections.section(analysis, name, readings.get(name), palette, headlines) for name in analysis.scenarios
    ]
    skips = run.provenance.skips
    overview_charts = overview.glances(analysis, readings, palette)
    return {
        "run": run,
        "version": __version__,
        "machine": origin.machine(run),
        "profile": run.provenance.request.get("profile") or "not recorded",
        "command": origin.command(run),
        "complete": run.provenance.complete,
        "warnings": [*run.provenance.warnings, *run.warnings],
        "between_runs": between_runs(analysis),
        "disturbed": disturbed(run),
        "units": len(units) + sum(comparison.units for comparison in comparisons),
        "failed": int((units["error"] != "").sum()) + sum(comparison.failed for comparison in comparisons),
        "comparisons": comparison_sheet(comparisons) if comparisons else None,
        "mismatched": int((units["mismatches"] != "").sum()),
        "headlines": overview.tables(headlines),
        "glances": overview_charts,
        "matrix": overview.matrix(analysis, readings),
        "answers": {group.scenario: group for group in sections.answers(analysis, readings)},
        "verdicts": [(verdict, sections.evidence(verdict.findings)) for verdict in verdicts(analysis, readings)],
        "signs": {outcome.value: sign for outcome, sign in SIGNS.items()},
        "sections": scenario_sections,
        "charts": charts(figure for section in scenario_sections for figure in section.figures)
        | {glance.id: {"data": glance.panel.data, "layout": glance.panel.layout} for glance in overview_charts},
        "folds": folds(scenario_sections, FOLD_CHARACTERS),
        "skips": [skip for skip in skips if skip.scenario not in analysis.scenarios],
        "skipped": len(skips),
        "origin": origin.sheets(run),
        "samples": samples(run, target),
        "palette": palette,
        "split": split,
    }


def samples(run: Run, target: Path) -> str:
    """Return the path of the run's rows, relative to the page."""
    return Path(os.path.relpath(run.directory, target.parent), run.samples.name).as_posix()


def prose(text: str) -> Markup:
    """Return `text` as escaped HTML, with `code` and **strong** marked up and intervals in a span."""
    marked = _STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", str(escape(text))))
    return Markup(_INTERVAL.sub(r'<span class="interval">\g<0></span>', marked))  # noqa: S704


def sentence(clause: str) -> Markup:
    """Return a clause (a warning's text) as a sentence, marked up as `prose` does."""
    return prose(f"{clause[:1].upper()}{clause[1:]}.")


def charts(figures: Iterable[Chart]) -> dict[str, Any]:
    """Return plotly's data and layout of every panel, by the id of its element on the page."""
    return {
        f"{figure.id}-{number}": {"data": panel.data, "layout": panel.layout}
        for figure in figures
        for number, panel in enumerate(figure.panels, 1)
    }


def folds(scenario_sections: Iterable[sections.Section], characters: int) -> dict[str, Any]:
    """Return the folded tables by the id of their element, with as many rows as fit into `characters`."""
    packed = {}
    for section in scenario_sections:
        for number, sheet in enumerate((sheet for sheet in section.sheets if sheet.folded), 1):
            longest = max(len("".join(row)) for row in sheet.rows)
            most = min(len(sheet.rows), characters // longest)
            characters -= most * longest
            packed[f"{section.anchor}-rows{number}"] = sheet.packed(max(most, 1))
    return packed
