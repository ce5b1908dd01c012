"""The suite's test of itself as Markdown: what its verdicts are worth on the machine that measured."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from scipy import stats

from bench.report import origin
from bench.report.peers import PYPERF, peers
from bench.report.sections import skips
from bench.stats.paired import Word
from bench.stats.trusted import EQUAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.stats.trials import Trial
    from bench.stats.trusted import Batched, Streamed, Trusted
    from bench.store.reader import Run

__all__ = ["as_lines"]

_TARGET = re.compile(r" --markdown \S+")  # where the page went is no part of how it was measured
WORK = "work"  # the kind of a stream whose B does more work
POWER = 0.95  # the rate of detection at which an effect counts as one that a scenario detects
CONFIDENCE = 0.95  # of the intervals of shares
LEAST = 30  # units a side of the shortest run that is told of another tool
BLOCKS = 0.10  # a scenario that detects no smaller delay than this may warn but not block


def as_lines(told: Trusted, run: Run) -> list[str]:
    """Return the page's lines."""
    command = _TARGET.sub("", origin.command(run))
    lines = ["# What the verdicts are worth", "", f"Measured on {origin.machine(run)}; run `{run.id}`."]
    if command:
        lines.append(f"Again: `{command}`.")
    if run.provenance.get("complete") is not True:
        lines += ["", "**The run is not complete:** it has fewer verdicts than were asked for."]
    lines += [f"Warning: {text}." for text in run.provenance.get("warnings") or ()]
    lines += [f"Left out: {one.what}: {one.reason} ({one.mend})." for one in skips(run.provenance)]
    lines += ["", *_false_alarms(told), "", *_power(told), "", *_peers(told), "", *_coverage(told.streams)]
    failed = sum(one.failed for one in told.streams)
    return [*lines, "", f"{failed} of the streams' units failed; none was removed."]


def _false_alarms(told: Trusted) -> Iterator[str]:
    equal = [one for one in told.streams if one.kind == EQUAL]
    yield "## Equal arms: how often a gate fails for nothing"
    yield ""
    gates, longest = told.gates, told.longest
    yield (
        f"{gates.count} gates over {len(equal)} comparisons each, of at most {gates.pairs} pairs, cut in original "
        "order from one recorded stream of pairs of equal arms for each; the error of a gate, by Holm over its "
        f"comparisons, is {told.alpha:.0%} before a finding is confirmed. **False alarms: {gates.false_alarms} of "
        f"{gates.count} gates**, {_share(gates.false_alarms, gates.count)}."
    )
    if longest.pairs != gates.pairs:
        yield (
            f"The same pairs cut into comparisons of at most {longest.pairs}, as below: {longest.false_alarms} of "
            f"{longest.count} gates, {_share(longest.false_alarms, longest.count)}."
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
    yield (
        f"The smallest delay that was found in at least {POWER:.0%} of the trials; where that is above {BLOCKS:.0%}, a "
        "gate should warn but not block:"
    )
    yield ""
    for label in dict.fromkeys(one.label for one in slowed):
        mine = sorted((one for one in slowed if one.label == label and one.kind == "delay"), key=lambda one: -one.share)
        found = math.nan
        for one in mine:
            if not one.trials or one.count(Word.SLOWER) < POWER * len(one.trials):
                break
            found = one.share
        word = "" if found <= BLOCKS else ": warn only"
        yield f"- {label}: {'none of those tried' if math.isnan(found) else f'{found:.0%}'}{word}"


def _peers(told: Trusted) -> Iterator[str]:
    yield "## Other tools, on the same operation in the same run"
    yield ""
    batches = [one for one in told.batches if one.trials]
    if not batches:
        yield "Not measured in this run."
        return
    yield (
        "They compare two runs: fresh units of A, then as many of B, prepared and timed just as ours; each tool's own "
        "code then says whether B is slower. Shorter runs are the end of A and the beginning of B. Times are those of "
        "the units alone, for all of them. hyperfine times a whole program that does the unit's operations, one run "
        "per fresh container; its mean ratio and deviation are computed as in its summary, which has no verdict."
    )
    yield ""
    shares = sorted({one.share for one in batches})
    columns = [f"{one:.0%} slower" if one else "equal arms" for one in shares]
    rows = [
        row
        for label in dict.fromkeys(one.label for one in batches)
        for row in _beside(label, shares, told.streams, [one for one in batches if one.label == label])
    ]
    yield from _table(
        ("operation", "tool", "units a side", *(f"called slower: {one}" for one in columns), "a verdict takes"), rows
    )
    yield ""
    yield from _same_power(told.streams, batches)


def _beside(
    label: str, shares: Sequence[float], streams: Iterable[Streamed], batches: Sequence[Batched]
) -> Iterator[Sequence[object]]:
    """Yield the rows of one operation: ours, and each tool's by the size of its runs."""
    ours = {one.share: one for one in streams if one.label == label and one.kind != WORK}
    found = {share: one.longest if one.kind == EQUAL else one.trials for share, one in ours.items()}
    said = [_count(found[share]) if share in found else "–" for share in shares]
    slowest = max((one.per_verdict(0.5) for one in ours.values() if one.kind != EQUAL), default=math.nan)
    yield label, "ours", "as many as it takes", *said, f"{_seconds(slowest)} or less (median)"
    for peer in peers():
        mine = {one.share: one for one in batches if one.tool == peer.timed}
        for size in _sizes(mine.values()):
            runs = {share: one.shorter(size) for share, one in mine.items() if one.size >= size}
            counts = [
                "–" if share not in runs else f"{peer.slower(runs[share])} of {len(runs[share].trials)}"
                if peer.slower
                else peer.reason
                for share in shares
            ]  # fmt: skip
            yield label, peer.name, size, *counts, _seconds(max(one.seconds for one in runs.values()))


def _sizes(batches: Iterable[Batched]) -> list[int]:
    """Return the sizes of runs that are told: all that was measured, and for longer runs a half and a quarter too."""
    most = max((one.size for one in batches), default=0)
    return [size for size in (most // 4, most // 2, most) if size >= LEAST or size == most > 0]


def _count(trials: Sequence[Trial]) -> str:
    return f"{sum(one.verdict.word is Word.SLOWER for one in trials)} of {len(trials)}"


def _same_power(streams: Sequence[Streamed], batches: Sequence[Batched]) -> Iterator[str]:
    """Say what pyperf needs to find the smallest delay as often as a gate must, and what that costs on equal arms."""
    share = min((one.share for one in batches if one.share), default=math.nan)
    peer = next(one for one in peers() if one.name == PYPERF)
    if math.isnan(share) or peer.slower is None:
        return
    yield f"What it takes to find a delay of {share:.0%} in at least {POWER:.0%} of the trials:"
    yield ""
    for label in dict.fromkeys(one.label for one in batches):
        ours = [one for one in streams if (one.label, one.kind, one.share) == (label, "delay", share)]
        for one in ours:
            yield f"- {label}: ours found {_count(one.trials)}, in {_seconds(one.per_verdict(0.5))} (median) a verdict"
        slowed, equal = (
            next((one for one in batches if (one.label, one.share, one.tool) == (label, wanted, "")), None)
            for wanted in (share, 0.0)
        )
        for size in _sizes([slowed] if slowed else []):
            assert slowed is not None
            run = slowed.shorter(size)
            enough = peer.slower(run) >= POWER * len(run.trials)
            if enough or size == slowed.size:
                wrong = f"{peer.slower(equal.shorter(size))} of {len(equal.trials)}" if equal else "not measured"
                word = "pyperf" if enough else "pyperf does not; it"
                yield (
                    f"  - {word} found {peer.slower(run)} of {len(run.trials)} with {size} units a side, in "
                    f"{_seconds(run.seconds)} a verdict; equal arms it called slower: {wrong}"
                )
                break


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
