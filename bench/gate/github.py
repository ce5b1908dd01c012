"""A gate's result as annotations of GitHub Actions.

GitHub shows 10 errors and 10 warnings of a step (actions/toolkit, docs/problem-matchers.md, Limitations).
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.gate.verdict import GateResult, Status
from bench.gate.words import word

__all__ = ["ANNOTATIONS", "as_annotations"]

ANNOTATIONS = 10  # of each kind


def as_annotations(result: GateResult) -> list[str]:
    """Return workflow commands, errors first, each kind worst first and at most as many as GitHub shows.

    Errors are what fails the gate; warnings are the result's own, advisory failures and what is inconclusive.
    Where there are more, the last one of the kind says how many are not shown.
    """
    errors: list[tuple[str, str]] = []
    warnings = [("gate", one) for one in result.warnings]
    for one in result.worst_first():
        if one.status is Status.PASS:
            continue
        fails = one.blocking and (one.status is Status.FAIL or result.inconclusive_fails)
        text = f"{word(one)}: {one.seen}, expected {one.expected}: {one.reason}"
        (errors if fails else warnings).append((f"{one.scenario} {one.name}", text))
    return [*_commands("error", errors), *_commands("warning", warnings)]


def _commands(kind: str, told: Sequence[tuple[str, str]]) -> list[str]:
    shown = list(told)
    if len(told) > ANNOTATIONS:
        left = len(told) - ANNOTATIONS + 1
        shown = [*told[: ANNOTATIONS - 1], ("gate", f"{left} more: the summary of this step has all")]
    return [f"::{kind} title={_property(title)}::{_data(text)}" for title, text in shown]


def _data(text: str) -> str:
    """Return how a command's message is written (actions/toolkit, packages/core/src/command.ts)."""
    whole = text.encode(errors="replace").decode()  # half a surrogate pair cannot be printed
    return whole.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
