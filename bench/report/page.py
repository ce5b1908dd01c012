"""Write one self-contained page of a run: nothing is loaded from anywhere, not even a font."""

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
from bench.reading.verdicts import verdicts
from bench.report import origin, sections
from bench.report.figures import Chart
from bench.report.palette import DARK, LIGHT, Palette, split
from bench.report.sheets import comparison_sheet
from bench.stats.compared import Compared
from bench.store.reader import Run

__all__ = ["PAGE_BYTES", "charts", "render", "rendered", "samples", "write"]

TEMPLATES = Path(__file__).with_name("templates")
PAGE_BYTES = 7_000_000
FOLD_CHARACTERS = 1_000_000  # of folded tables; less where the page would become larger with them
LEAST_CHARACTERS = 1000
_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*([^*]+)\*\*")
_INTERVAL = re.compile(r"\[-?[\d.,]+, -?[\d.,]+\]")
SIGNS = {Outcome.CONFIRMED: "✓", Outcome.QUALIFIED: "≈", Outcome.REFUTED: "✗", Outcome.UNTESTED: "–"}


def render(run: Run, readings: Mapping[str, Reading], target: Path) -> Path:
    """Write the page of `run` to `target` (its directory must exist) and return it; OSError if it cannot."""
    return render_analysis(Analysis(run, readings), readings, target)


def render_analysis(
    analysis: Analysis, readings: Mapping[str, Reading], target: Path, comparisons: Sequence[Compared] = ()
) -> Path:
    """Do as `render`, with a run that is analysed already and its comparisons."""
    told = context(analysis, readings, target, comparisons)
    text, room = rendered("page.html.j2", told), FOLD_CHARACTERS
    while len(text.encode()) > PAGE_BYTES and room > LEAST_CHARACTERS:
        room //= 2
        text = rendered("page.html.j2", {**told, "folds": folds(told["sections"], room)})
    return write(text, target)


def write(text: str, target: Path) -> Path:
    """Write a page to `target` in one step and return it; OSError if it cannot."""
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_text(text, encoding="utf-8")
    return temporary.replace(target)


def rendered(template: str, told: Mapping[str, Any]) -> str:
    """Return a page."""
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
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return environment.get_template(template).render(**told, plotly=get_plotlyjs(), light=LIGHT, dark=DARK)


def context(
    analysis: Analysis, readings: Mapping[str, Reading], target: Path, comparisons: Sequence[Compared] = ()
) -> dict[str, Any]:
    """Return all that the template lays out."""
    run = analysis.run
    units = run.units
    palette = Palette(str(arm) for arm in units["arm"].unique())
    told = [sections.section(analysis, name, readings.get(name), palette) for name in analysis.scenarios]
    all_skips = run.provenance.skips
    return {
        "run": run,
        "version": __version__,
        "machine": origin.machine(run),
        "profile": run.provenance.request.get("profile") or "not recorded",
        "command": origin.command(run),
        "complete": run.provenance.complete,
        "warnings": [*run.provenance.warnings, *run.warnings],
        "units": len(units) + sum(one.units for one in comparisons),
        "failed": int((units["error"] != "").sum()) + sum(one.failed for one in comparisons),
        "comparisons": comparison_sheet(comparisons) if comparisons else None,
        "mismatched": int((units["mismatches"] != "").sum()),
        "answers": sections.answers(analysis, readings),
        "verdicts": [(verdict, sections.evidence(verdict.findings)) for verdict in verdicts(analysis, readings)],
        "signs": {outcome.value: sign for outcome, sign in SIGNS.items()},
        "sections": told,
        "charts": charts(figure for section in told for figure in section.figures),
        "folds": folds(told, FOLD_CHARACTERS),
        "skips": [skip for skip in all_skips if skip.scenario not in analysis.scenarios],
        "skipped": len(all_skips),
        "origin": origin.sheets(run),
        "samples": samples(run, target),
        "palette": palette,
        "split": split,
    }


def samples(run: Run, target: Path) -> str:
    """Return where the run's rows are, from the page's place."""
    return Path(os.path.relpath(run.directory, target.parent), run.samples.name).as_posix()


def prose(text: str) -> Markup:
    """Return text with what stands in backticks as code, in ** strong and intervals set apart; all is escaped."""
    marked = _STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", str(escape(text))))
    return Markup(_INTERVAL.sub(r'<span class="interval">\g<0></span>', marked))  # noqa: S704


def charts(figures: Iterable[Chart]) -> dict[str, Any]:
    """Return plotly's data and layout of every panel by the id of its place on the page."""
    return {
        f"{figure.id}-{number}": {"data": panel.data, "layout": panel.layout}
        for figure in figures
        for number, panel in enumerate(figure.panels, 1)
    }


def folds(told: Iterable[sections.Section], room: int) -> dict[str, Any]:
    """Return the folded tables by the id of their place, as many rows as `room` characters have room for."""
    found = {}
    for section in told:
        for number, sheet in enumerate((sheet for sheet in section.sheets if sheet.folded), 1):
            longest = max(len("".join(row)) for row in sheet.rows)
            most = min(len(sheet.rows), room // longest)
            room -= most * longest
            found[f"{section.anchor}-rows{number}"] = sheet.packed(max(most, 1))
    return found
