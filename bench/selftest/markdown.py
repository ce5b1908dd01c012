"""The page of the self-test in Markdown, and the head that it shares with the HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bench.report import origin
from bench.report.sheets import Sheet
from bench.selftest.peers import Tool
from bench.selftest.results import Trusted
from bench.selftest.tables import parts
from bench.store.reader import Run

__all__ = ["as_lines", "cautions", "command", "stretches"]

_TARGET = re.compile(r" --markdown \S+")  # the file of the page, which has no effect on the measurement


def as_lines(results: Trusted, run: Run, tools: Sequence[Tool]) -> list[str]:
    """Return the lines of the page in Markdown."""
    lines = ["# What the verdicts are worth", "", f"Measured on {origin.machine(run)}; run `{run.id}`."]
    if command(run):
        lines.append(f"Again: `{command(run)}`.")
    if not run.provenance.complete:
        lines += ["", "**The run is not complete:** it has fewer verdicts than were asked for."]
    if results.records.stretches > 1:
        lines += ["", stretches(run)]
    lines += [f"Warning: {text}." for text in cautions(results, run)]
    lines += [f"Left out: {skip.what}: {skip.reason} ({skip.fix})." for skip in run.provenance.skips]
    for part in parts(results, tools):
        lines += ["", f"## {part.title}", "", *part.text]
        if part.sheet:
            lines += ["", *_table(part.sheet)]
        if part.lead:
            lines += ["", part.lead, ""]
        for item, below in part.items:
            lines += [f"- {item}", *(f"  - {text}" for text in below)]
    return lines


def command(run: Run) -> str:
    """Return the command that measured the run, without the option `--markdown`."""
    return _TARGET.sub("", origin.command(run))


def stretches(run: Run) -> str:
    """Return a sentence with the start of each stretch of a resumed run."""
    starts = [*(stretch.get("started") for stretch in run.provenance.earlier), run.provenance.started]
    return f"Measured in stretches, from {', '.join(map(str, starts))}, each on new volumes; no comparison spans two."


def cautions(results: Trusted, run: Run) -> list[str]:
    """Return the warnings of each stretch, and one if streams have fewer verdicts than were requested."""
    texts = [
        f"{text} (from {stretch.get('started')} on)"
        for stretch in run.provenance.earlier
        for text in _texts(stretch.get("warnings"))
    ]
    texts += map(str, run.provenance.warnings)
    if results.incomplete:
        texts.append(
            f"{len(results.incomplete)} of {len(results.all_streams)} streams have fewer verdicts or pairs than were "
            f"asked for; `python -m bench aa --resume {run.id}` goes on with them"
        )
    return texts


def _texts(warnings: Any) -> list[str]:
    """Return the texts of an earlier stretch's warnings, which schema 2 has as plain texts."""
    return [str(warning["text"]) if isinstance(warning, dict) else str(warning) for warning in warnings or ()]


def _table(sheet: Sheet) -> Iterator[str]:
    yield f"| {' | '.join(sheet.columns)} |"
    yield f"|{' --- |' * len(sheet.columns)}"
    for row in sheet.rows:
        yield f"| {' | '.join(row)} |"
