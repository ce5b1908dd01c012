"""The result of a gate as annotations of GitHub Actions.

GitHub shows at most 10 errors and 10 warnings a step (actions/toolkit, docs/problem-matchers.md, Limitations).
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.gate.verdict import GateResult, Status
from bench.gate.words import word

__all__ = ["ANNOTATIONS", "as_annotations"]

ANNOTATIONS = 10  # of each kind


def as_annotations(result: GateResult) -> list[str]:
    """Return workflow commands: errors, then warnings, each worst first and no more than GitHub shows.

    Verdicts that fail the gate are errors. Warnings of the result, advisory failures and inconclusive verdicts are
    warnings. If there are more than GitHub shows, the last one of the kind tells how many are missing.
    """
    errors: list[tuple[str, str]] = []
    warnings = [("gate", warning) for warning in result.warnings]
    for verdict in result.worst_first():
        if verdict.status is Status.PASS:
            continue
        fails = verdict.blocking and (verdict.status is Status.FAIL or result.inconclusive_fails)
        text = f"{word(verdict)}: {verdict.seen}, expected {verdict.expected}: {verdict.reason}"
        (errors if fails else warnings).append((f"{verdict.scenario} {verdict.name}", text))
    return [*_commands("error", errors), *_commands("warning", warnings)]


def _commands(kind: str, messages: Sequence[tuple[str, str]]) -> list[str]:
    shown = list(messages)
    if len(messages) > ANNOTATIONS:
        hidden = len(messages) - ANNOTATIONS + 1
        shown = [*messages[: ANNOTATIONS - 1], ("gate", f"{hidden} more: the summary of this step has all")]
    return [f"::{kind} title={_property(title)}::{_data(text)}" for title, text in shown]


def _data(text: str) -> str:
    """Return `text` escaped as a command's message (actions/toolkit, packages/core/src/command.ts)."""
    printable = text.encode(errors="replace").decode()  # a lone surrogate cannot be printed
    return printable.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
