"""The result of a gate in Markdown, for the summary of a step of GitHub Actions and other readers of Markdown.

GitHub accepts a summary of at most 1024 KiB ("upload aborted, supports content up to a size of 1024k").
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
FRAME_BYTES = 1000  # reserved for headings and the tags around the passes, which take less
_MARKS = re.compile(r"[\\`*_{}\[\]<>|~&$#!]")  # special characters of Markdown, HTML and tables


def as_markdown(result: GateResult, *, most: int = SUMMARY_BYTES) -> str:
    """Return the result in Markdown of at most `most` bytes: outcome, warnings, a table, and the folded passes.

    If the rows do not fit, the least severe ones are left out, and a line tells how many.
    """
    verdicts = result.worst_first()
    warnings = [f"- warning: {_escaped(warning)}" for warning in result.warnings]
    others = [_row(verdict) for verdict in verdicts if verdict.status is not Status.PASS]
    passes = [_row(verdict) for verdict in verdicts if verdict.status is Status.PASS]
    everything = [*warnings, *others, *passes]
    fitting = _fitting(everything, most - FRAME_BYTES)
    lines = [f"## Gate: {outcome(result)}", "", _escaped(summary(result)), ""]
    lines += fitting[: len(warnings)]
    if rows := fitting[len(warnings) : len(warnings) + len(others)]:
        lines += _table(rows)
    if rows := fitting[len(warnings) + len(others) :]:
        # The blank line before the table switches back to Markdown inside the HTML.
        lines += ["", f"<details><summary>{counts(result)['passed']} passed</summary>", *_table(rows), "", "</details>"]
    if missing := len(everything) - len(fitting):
        lines += ["", f"{missing} rows were left out: a summary holds no more."]
    return "\n".join(lines) + "\n"


def _fitting(lines: Sequence[str], most: int) -> list[str]:
    """Return the longest prefix of `lines` that takes at most `most` bytes."""
    sizes = accumulate(len(line.encode()) + 1 for line in lines)
    return [line for line, _ in takewhile(lambda pair: pair[1] <= most, zip(lines, sizes, strict=True))]


def _table(rows: Sequence[str]) -> list[str]:
    return ["", _cells(HEADINGS), _cells(["---"] * len(HEADINGS)), *rows]


def _row(verdict: GateVerdict) -> str:
    return _cells(map(_escaped, cells(verdict)))


def _cells(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", plain(text))


OUTPUT = Output("markdown", "Write them as Markdown too.", as_markdown)
