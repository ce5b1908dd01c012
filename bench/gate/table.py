"""A gate's result for people in a terminal, and as JSON."""

from __future__ import annotations

import math
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.gate.verdict import GateResult, GateVerdict, Status, Tier
from bench.gate.words import HEADINGS, cells, counts, outcome, plain, summary

__all__ = ["as_json", "as_table"]

WIDTH = 1_000_000  # of the console that lays it out: no line is folded


def as_table(result: GateResult, *, passes: bool = False) -> str:
    """Return the verdicts as aligned text, worst first, after the warnings and before the outcome in one line.

    Counters and stored times that passed are hundreds, so they are only counted unless `passes`.
    """
    shown = [one for one in result.worst_first() if passes or not _is_dull(one)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="none")
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    for one in shown:
        table.add_row(*map(Text, cells(one)))  # not str, which rich would search for markup
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    if shown:
        console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    return "\n".join([*(f"warning: {plain(one)}" for one in result.warnings), *lines, summary(result)])


def as_json(result: GateResult) -> dict[str, Any]:
    """Return the result as JSON values, verdicts worst first; a severity that is no number is null."""
    return {
        "outcome": outcome(result),
        "exit_status": result.exit_status,
        "counts": counts(result),
        "warnings": list(result.warnings),
        "verdicts": [
            {
                "scenario": one.scenario,
                "name": one.name,
                "tier": one.tier.value,
                "status": one.status.value,
                "blocking": one.blocking,
                "seen": one.seen,
                "expected": one.expected,
                "reason": one.reason,
                "severity": one.severity if math.isfinite(one.severity) else None,
            }
            for one in result.worst_first()
        ],
    }


def _is_dull(verdict: GateVerdict) -> bool:
    return verdict.status is Status.PASS and verdict.tier is not Tier.TIMES
