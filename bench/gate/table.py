"""The result of a gate as a table for a terminal, and as JSON."""

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

WIDTH = 1_000_000  # columns of the console, so that it wraps no line


def as_table(result: GateResult, *, passes: bool = False) -> str:
    """Return the warnings, the verdicts as an aligned table, worst first, and the outcome in one line.

    Counters and stored times that passed are left out unless `passes`, because there are hundreds.
    """
    shown = [verdict for verdict in result.worst_first() if passes or not _is_dull(verdict)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="none")
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    for verdict in shown:
        table.add_row(*map(Text, cells(verdict)))  # Text, because rich interprets markup in a str
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    if shown:
        console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    return "\n".join([*(f"warning: {plain(warning)}" for warning in result.warnings), *lines, summary(result)])


def as_json(result: GateResult) -> dict[str, Any]:
    """Return the result as JSON values, verdicts worst first; a severity that is not finite is null."""
    return {
        "outcome": outcome(result),
        "exit_status": result.exit_status,
        "counts": counts(result),
        "warnings": list(result.warnings),
        "verdicts": [
            {
                "scenario": verdict.scenario,
                "name": verdict.name,
                "tier": verdict.tier.value,
                "status": verdict.status.value,
                "blocking": verdict.blocking,
                "seen": verdict.seen,
                "expected": verdict.expected,
                "reason": verdict.reason,
                "severity": verdict.severity if math.isfinite(verdict.severity) else None,
            }
            for verdict in result.worst_first()
        ],
    }


def _is_dull(verdict: GateVerdict) -> bool:
    return verdict.status is Status.PASS and verdict.tier is not Tier.TIMES
