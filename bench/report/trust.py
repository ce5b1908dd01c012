"""The suite's test of itself as Markdown: what its verdicts are worth on the machine that measured."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from scipy import stats

from bench.report import origin
from bench.report.peers import peers
from bench.stats.paired import Word
from bench.stats.trusted import EQUAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.stats.trusted import Streamed, Trusted
    from bench.store.reader import Run

__all__ = ["as_lines"]

_TARGET = re.compile(r" --markdown \S+")  # where the page went is no part of how it was measured
WORK = "work"  # the kind of a stream whose B does more work
POWER = 0.95  # the rate of detection at which an effect counts as one that a scenario detects
CONFIDENCE = 0.95  # of the intervals of shares


def as_lines(told: Trusted, run: Run) -> list[str]:
    """Return the page's lines."""
    command = _TARGET.sub("", origin.command(run))
    lines = ["# What the verdicts are worth", "", f"Measured on {origin.machine(run)}; run `{run.id}`."]
    if command:
        lines.append(f"Again: `{command}`.")
    if run.provenance.get("complete") is not True:
        lines += ["", "**The run is not complete:** it has fewer verdicts than were asked for."]
    lines += [f"Warning: {text}." for text in run.provenance.get("warnings") or ()]
    lines += ["", *_false_alarms(told), "", *_power(told), "", *_peers(told), "", *_coverage(told.streams)]
    failed = sum(one.failed for one in told.streams)
    return [*lines, "", f"{failed} of the streams' units failed; none was removed."]


def _false_alarms(told: Trusted) -> Iterator[str]:
    equal = [one for one in told.streams if one.kind == EQUAL]
    yield "## Equal arms: how often a gate fails for nothing"
    yield ""
    yield (
        f"{told.gates} gates over {len(equal)} comparisons each, cut in original order from one recorded stream of "
        "pairs of equal arms for each; the error of a gate, by Holm over its comparisons, is "
        f"{told.alpha:.0%} before a finding is confirmed. **False alarms: {told.false_alarms} of {told.gates} gates**, "
        f"{_share(told.false_alarms, told.gates)}."
    )
    yield ""
    yield from _table(
        ("operation", "comparisons", "slower", "faster", "same", "inconclusive", "pairs", "median time", "long run"),
        [
            (
                one.label,
                len(one.trials),
                one.count(Word.SLOWER),
                one.count(Word.FASTER),
                one.count(Word.SAME),
                one.count(Word.INCONCLUSIVE),
                one.pairs,
                _seconds(one.per_verdict(0.5)),
                one.long_run.text("×"),
            )
            for one in equal
        ],
    )


def _power(told: Trusted) -> Iterator[str]:
    slowed = [one for one in told.streams if one.kind != EQUAL]
    yield "## Known slowdowns: how often they are found, and how soon"
    yield ""
    if not slowed:
        yield "Not measured in this run."
        return
    yield (
        "B is slower by a delay of a known share of A's median, or does more work (more layers, more bytes), whose "
        "effect is then what the long run says. Found means: slower, and confirmed on the pairs that follow. The time "
        "is that of both parts, without the control and the second set-up's building that a real comparison adds."
    )
    yield ""
    yield from _table(
        ("operation", "injected", "long run", "found", "share", "median time", "95 % of verdicts within"),
        [
            (
                one.label,
                f"{one.share:.0%} {one.kind}",
                one.long_run.text("×"),
                f"{one.count(Word.SLOWER)} of {len(one.trials)}",
                _share(one.count(Word.SLOWER), len(one.trials)),
                _seconds(one.per_verdict(0.5)),
                _seconds(one.per_verdict(0.95)),
            )
            for one in slowed
        ],
    )
    yield ""
    yield from _smallest(slowed)


def _smallest(slowed: Sequence[Streamed]) -> Iterator[str]:
    """Say which injected delay each operation detects in at least POWER of the trials, and in all larger ones."""
    yield f"The smallest delay that was found in at least {POWER:.0%} of the trials:"
    yield ""
    for label in dict.fromkeys(one.label for one in slowed):
        mine = sorted((one for one in slowed if one.label == label and one.kind == "delay"), key=lambda one: -one.share)
        found = math.nan
        for one in mine:
            if not one.trials or one.count(Word.SLOWER) < POWER * len(one.trials):
                break
            found = one.share
        yield f"- {label}: {'none of those tried' if math.isnan(found) else f'{found:.0%}'}"


def _peers(told: Trusted) -> Iterator[str]:
    yield "## Other tools, on the same operation in the same run"
    yield ""
    if not told.batches:
        yield "Not measured in this run."
        return
    size = max((len(a) for one in told.batches for a, _ in one.trials), default=0)
    yield (
        f"They compare two runs: {size} fresh units of A, then as many of B, prepared and timed just as ours; each "
        "tool's own code then says whether B is slower. hyperfine is not among them: it times whole programs and "
        "says no more than a ratio."
    )
    yield ""
    columns = [f"{one:.0%} slower" if one else "equal arms" for one in sorted({one.share for one in told.batches})]
    rows: list[Sequence[object]] = []
    for label in dict.fromkeys(one.label for one in told.batches):
        mine = sorted((one for one in told.batches if one.label == label), key=lambda one: one.share)
        ours = {one.share: one for one in told.streams if one.label == label and one.kind != WORK}
        said = [
            f"{ours[one.share].count(Word.SLOWER)} of {len(ours[one.share].trials)}" if one.share in ours else "–"
            for one in mine
        ]
        slowest = max((ours[one.share].per_verdict(0.5) for one in mine if one.share in ours), default=math.nan)
        rows.append((label, "ours", *said, _seconds(slowest)))
        for peer in peers():
            counts = [f"{peer.slower(one)} of {len(one.trials)}" if peer.slower else peer.reason for one in mine]
            rows.append((label, peer.name, *counts, _seconds(max(one.seconds for one in mine))))
    yield from _table(("operation", "tool", *(f"called slower: {one}" for one in columns), "time, at most"), rows)


def _coverage(streams: Iterable[Streamed]) -> Iterator[str]:
    streams = list(streams)
    covered, pieces = sum(one.covered for one in streams), sum(one.pieces for one in streams)
    yield "## Intervals: how often they hold the long-run value"
    yield ""
    yield (
        f"Of {pieces} pieces of 24 pairs, the ordinary 95 % interval held the value of its whole stream in {covered}: "
        f"{_share(covered, pieces)}."
    )


def _share(count: int, total: int) -> str:
    """Return a share with its interval (Clopper and Pearson 1934, exact)."""
    if not total:
        return "no trial"
    told = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return f"{count / total:.1%} [{told.low:.1%}, {told.high:.1%}]"


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f} s"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(str(value) for value in row)} |"
