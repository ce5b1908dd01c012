"""What all outputs of a gate have in common: its outcome in one line, and text that any of them can hold."""

from __future__ import annotations

from bench.errors import EXIT_INCONCLUSIVE, EXIT_REGRESSION
from bench.gate.verdict import GateResult, GateVerdict, Status

__all__ = ["HEADINGS", "cells", "counts", "outcome", "plain", "summary", "word"]

HEADINGS = ("verdict", "scenario", "figure", "seen", "expected", "why")  # of a row of a verdict


def outcome(result: GateResult) -> str:
    """Return pass, fail or inconclusive: the exit status in a word."""
    told = {EXIT_REGRESSION: Status.FAIL, EXIT_INCONCLUSIVE: Status.INCONCLUSIVE}
    return told.get(result.exit_status, Status.PASS).value


def counts(result: GateResult) -> dict[str, int]:
    """Return how many verdicts there are of each kind; a failure that does not block is advisory."""
    found = dict.fromkeys(("regressions", "advisory", "inconclusive", "passed"), 0)
    names = {Status.PASS: "passed", Status.INCONCLUSIVE: "inconclusive"}
    for one in result.verdicts:
        found[names.get(one.status, "regressions" if one.blocking else "advisory")] += 1
    return found


def summary(result: GateResult) -> str:
    """Return the outcome in one line: `gate: fail: 1 regression, 2 inconclusive, 40 passed`."""
    found = counts(result)
    if not result.verdicts:
        return f"gate: {outcome(result)}: nothing was judged"
    parts = [f"{found['regressions']} regression{'' if found['regressions'] == 1 else 's'}"]
    parts += [f"{found[name]} {name}" for name in ("advisory", "inconclusive", "passed")]
    return f"gate: {outcome(result)}: {', '.join(part for part in parts if not part.startswith('0 '))}"


def word(verdict: GateVerdict) -> str:
    """Return what one verdict says; a failure that does not block is advisory."""
    return "advisory" if verdict.status is Status.FAIL and not verdict.blocking else verdict.status.value


def plain(text: str) -> str:
    """Return `text` as one line of what can be printed: no control characters, no halves of surrogate pairs.

    All that XML 1.0 cannot hold (section 2.2, Char) is among what is dropped.
    """
    return " ".join("".join(one for one in text if one.isprintable() or one.isspace()).split())


def cells(verdict: GateVerdict) -> tuple[str, ...]:
    """Return a row of HEADINGS, each cell one line."""
    told = (word(verdict), verdict.scenario, verdict.name, verdict.seen, verdict.expected, verdict.reason)
    return tuple(map(plain, told))
