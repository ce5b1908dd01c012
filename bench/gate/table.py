"""A gate's result for people in a terminal, and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench.gate.verdict import Status, Tier
from bench.gate.words import counts, outcome, plain, summary, word

if TYPE_CHECKING:
    from bench.gate.verdict import GateResult, GateVerdict

__all__ = ["as_json", "as_table"]

HEADINGS = ("verdict", "scenario", "figure", "seen", "expected", "why")
GAP = "  "


def as_table(result: GateResult, *, passes: bool = False) -> str:
    """Return the verdicts as aligned text, worst first, after the warnings and before the outcome in one line.

    Counters and stored times that passed are hundreds, so they are only counted unless `passes`.
    """
    shown = [one for one in result.worst_first() if passes or not _is_dull(one)]
    table = [HEADINGS, *(_cells(one) for one in shown)] if shown else []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
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


def _cells(one: GateVerdict) -> tuple[str, ...]:
    return (word(one), *(plain(text) for text in (one.scenario, one.name, one.seen, one.expected, one.reason)))
