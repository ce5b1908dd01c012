"""Texts that all outputs of a gate share: the outcome in one line, and cells without control characters."""

from __future__ import annotations

from bench.errors import EXIT_INCONCLUSIVE, EXIT_REGRESSION
from bench.gate.verdict import GateResult, GateVerdict, Status

__all__ = ["HEADINGS", "cells", "counts", "outcome", "plain", "summary", "word"]

HEADINGS = ("verdict", "scenario", "figure", "seen", "expected", "why")  # columns of the table of verdicts


def outcome(result: GateResult) -> str:
    """Return the exit status as a word: pass, fail or inconclusive."""
    statuses = {EXIT_REGRESSION: Status.FAIL, EXIT_INCONCLUSIVE: Status.INCONCLUSIVE}
    return statuses.get(result.exit_status, Status.PASS).value


def counts(result: GateResult) -> dict[str, int]:
    """Count the verdicts of each kind; a failure that does not block is advisory."""
    numbers = dict.fromkeys(("regressions", "advisory", "inconclusive", "passed"), 0)
    names = {Status.PASS: "passed", Status.INCONCLUSIVE: "inconclusive"}
    for verdict in result.verdicts:
        numbers[names.get(verdict.status, "regressions" if verdict.blocking else "advisory")] += 1
    return numbers


def summary(result: GateResult) -> str:
    """Return the outcome in one line: `gate: fail: 1 regression, 2 inconclusive, 40 passed`."""
    numbers = counts(result)
    if not result.verdicts:
        return f"gate: {outcome(result)}: nothing was judged"
    parts = [f"{numbers['regressions']} regression{'' if numbers['regressions'] == 1 else 's'}"]
    parts += [f"{numbers[name]} {name}" for name in ("advisory", "inconclusive", "passed")]
    return f"gate: {outcome(result)}: {', '.join(part for part in parts if not part.startswith('0 '))}"


def word(verdict: GateVerdict) -> str:
    """Return the status of a verdict as a word; a failure that does not block is advisory."""
    return "advisory" if verdict.status is Status.FAIL and not verdict.blocking else verdict.status.value


def plain(text: str) -> str:
    """Return `text` as one line of printable characters: no control characters, no lone surrogates.

    This drops every character that XML 1.0 does not allow (section 2.2, Char).
    """
    return " ".join("".join(char for char in text if char.isprintable() or char.isspace()).split())


def cells(verdict: GateVerdict) -> tuple[str, ...]:
    """Return the row of a verdict under HEADINGS; every cell is one line."""
    texts = (word(verdict), verdict.scenario, verdict.name, verdict.seen, verdict.expected, verdict.reason)
    return tuple(map(plain, texts))
