"""A gate's result for GitHub Actions: a summary of the step in Markdown, and annotations.

What GitHub takes: a summary of at most 1024 KiB ("upload aborted, supports content up to a size of 1024k"),
10 errors and 10 warnings of a step (actions/toolkit, docs/problem-matchers.md, Limitations).
"""

from __future__ import annotations

import re
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from bench.gate.verdict import Status
from bench.gate.words import counts, outcome, plain, summary, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.gate.verdict import GateResult, GateVerdict

__all__ = ["ANNOTATIONS", "SUMMARY_BYTES", "as_annotations", "as_markdown"]

SUMMARY_BYTES = 1 << 20
ANNOTATIONS = 10  # of each kind
FRAME_BYTES = 1000  # of a summary: its headings and what folds the passes take less
HEADINGS = ("verdict", "scenario", "figure", "seen", "expected", "why")
_MARKS = re.compile(r"[\\`*_{}\[\]<>|~&$#!]")  # what Markdown, HTML or a table would take for its own


def as_markdown(result: GateResult, *, most: int = SUMMARY_BYTES) -> str:
    """Return the result in Markdown of at most `most` bytes: outcome, warnings, a table, and the passes folded.

    If not everything fits, the least bad rows are left out, and a line says how many.
    """
    verdicts = result.worst_first()
    warnings = [f"- warning: {_escaped(one)}" for one in result.warnings]
    others = [_row(one) for one in verdicts if one.status is not Status.PASS]
    passes = [_row(one) for one in verdicts if one.status is Status.PASS]
    everything = [*warnings, *others, *passes]
    fitting = _fitting(everything, most - FRAME_BYTES)
    lines = [f"## Gate: {outcome(result)}", "", _escaped(summary(result)), ""]
    lines += fitting[: len(warnings)]
    if told := fitting[len(warnings) : len(warnings) + len(others)]:
        lines += _table(told)
    if told := fitting[len(warnings) + len(others) :]:
        # The blank line that the table begins with makes it Markdown again inside of HTML.
        lines += ["", f"<details><summary>{counts(result)['passed']} passed</summary>", *_table(told), "", "</details>"]
    if missing := len(everything) - len(fitting):
        lines += ["", f"{missing} rows were left out: a summary holds no more."]
    return "\n".join(lines) + "\n"


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


def _fitting(lines: Sequence[str], most: int) -> list[str]:
    """Return the lines from the first on that take at most `most` bytes together."""
    sizes = accumulate(len(line.encode()) + 1 for line in lines)
    return [line for line, _ in takewhile(lambda told: told[1] <= most, zip(lines, sizes, strict=True))]


def _table(rows: Sequence[str]) -> list[str]:
    return ["", _cells(HEADINGS), _cells(["---"] * len(HEADINGS)), *rows]


def _row(one: GateVerdict) -> str:
    return _cells(map(_escaped, (word(one), one.scenario, one.name, one.seen, one.expected, one.reason)))


def _cells(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", plain(text))
