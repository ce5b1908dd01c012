"""The page of what the suite's test of itself found in Markdown, and what stands at the head of both pages."""

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

_TARGET = re.compile(r" --markdown \S+")  # where the page went is no part of how it was measured


def as_lines(told: Trusted, run: Run, tools: Sequence[Tool]) -> list[str]:
    """Return the page's lines in Markdown."""
    lines = ["# What the verdicts are worth", "", f"Measured on {origin.machine(run)}; run `{run.id}`."]
    if command(run):
        lines.append(f"Again: `{command(run)}`.")
    if not run.provenance.complete:
        lines += ["", "**The run is not complete:** it has fewer verdicts than were asked for."]
    if told.records.stretches > 1:
        lines += ["", stretches(run)]
    lines += [f"Warning: {text}." for text in cautions(told, run)]
    lines += [f"Left out: {one.what}: {one.reason} ({one.fix})." for one in run.provenance.skips]
    for part in parts(told, tools):
        lines += ["", f"## {part.title}", "", *part.text]
        if part.sheet:
            lines += ["", *_table(part.sheet)]
        if part.lead:
            lines += ["", part.lead, ""]
        for item, below in part.items:
            lines += [f"- {item}", *(f"  - {text}" for text in below)]
    return lines


def command(run: Run) -> str:
    """Return the command that measured the run, without where its page went."""
    return _TARGET.sub("", origin.command(run))


def stretches(run: Run) -> str:
    """Say when each stretch of a run that went on began."""
    begun = [*(one.get("started") for one in run.provenance.earlier), run.provenance.started]
    return f"Measured in stretches, from {', '.join(map(str, begun))}, each on new volumes; no comparison spans two."


def cautions(told: Trusted, run: Run) -> list[str]:
    """Return what a reader should know first: the warnings of each stretch, and what has fewer verdicts than asked."""
    found = [
        f"{text} (from {one.get('started')} on)"
        for one in run.provenance.earlier
        for text in _texts(one.get("warnings"))
    ]
    found += map(str, run.provenance.warnings)
    if told.short:
        found.append(
            f"{len(told.short)} of {len(told.every)} streams have fewer verdicts or pairs than were asked for; "
            f"`python -m bench aa --resume {run.id}` goes on with them"
        )
    return found


def _texts(warnings: Any) -> list[str]:
    """Return the sentences of an earlier stretch's warnings, which schema 2 has as texts."""
    return [str(one["text"]) if isinstance(one, dict) else str(one) for one in warnings or ()]


def _table(sheet: Sheet) -> Iterator[str]:
    yield f"| {' | '.join(sheet.columns)} |"
    yield f"|{' --- |' * len(sheet.columns)}"
    for row in sheet.rows:
        yield f"| {' | '.join(row)} |"
