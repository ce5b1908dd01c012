"""A gate's result in Markdown, for the summary of a step of GitHub Actions and for whoever shows Markdown.

GitHub takes a summary of at most 1024 KiB ("upload aborted, supports content up to a size of 1024k").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile

from bench.gate.output import Output
from bench.gate.verdict import GateResult, GateVerdict, Status
from bench.gate.words import HEADINGS, cells, counts, outcome, plain, summary

__all__ = ["OUTPUT", "SUMMARY_BYTES", "as_markdown"]

SUMMARY_BYTES = 1 << 20
FRAME_BYTES = 1000  # of a summary: its headings and what folds the passes take less
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


def _fitting(lines: Sequence[str], most: int) -> list[str]:
    """Return the lines from the first on that take at most `most` bytes together."""
    sizes = accumulate(len(line.encode()) + 1 for line in lines)
    return [line for line, _ in takewhile(lambda told: told[1] <= most, zip(lines, sizes, strict=True))]


def _table(rows: Sequence[str]) -> list[str]:
    return ["", _cells(HEADINGS), _cells(["---"] * len(HEADINGS)), *rows]


def _row(one: GateVerdict) -> str:
    return _cells(map(_escaped, cells(one)))


def _cells(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", plain(text))


OUTPUT = Output("markdown", "Write them as Markdown too.", as_markdown)
