"""The results of the self-test as parts of a page: text, tables, lists."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report.sheets import Sheet
from bench.selftest import EQUAL
from bench.selftest.peers import OURS, PYPERF, Tool
from bench.selftest.rates import POWER, detected, rate, share
from bench.selftest.results import Batched, Streamed, Trusted
from bench.selftest.ways import BothWays
from bench.stats.paired import Word

__all__ = ["Part", "parts"]

BLOCKS = 0.10  # a scenario whose smallest detected delay is larger should warn but not block
Listed = tuple[str, tuple[str, ...]]  # an item of a list, and the items below it


@dataclass(frozen=True)
class Part:
    """A section of the page: the text before its table, the table, and after it a lead and a list."""

    title: str
    text: tuple[str, ...]
    sheet: Sheet | None = None
    lead: str = ""
    items: tuple[Listed, ...] = ()


def parts(results: Trusted, tools: Sequence[Tool]) -> list[Part]:
    """Return all parts on the run's streams, and on `tools` (see `beside`) for the same operations."""
    failed = sum(stream.failed for stream in results.all_streams if not isinstance(stream, Batched))
    failures = Part("Failures", (f"{failed} of the streams' units failed; none was removed.",))
    last = (_both_ways(results.ways), _coverage(results.streams), failures)
    return [_false_alarms(results), _power(results), _peers(tools), *last]


def _false_alarms(results: Trusted) -> Part:
    equal = [stream for stream in results.streams if stream.kind == EQUAL]
    gates, longest = results.gates, results.longest
    text = [
        f"{gates.count} gates over {len(equal)} comparisons each, of at most {gates.pairs} pairs, cut in original "
        "order from one recorded stream of pairs of equal arms for each; the error of a gate, shared by its "
        f"comparisons, is {results.alpha:.0%} before a finding is confirmed. **False alarms: {gates.false_alarms} of "
        f"{gates.count} gates**, {share(gates.false_alarms, gates.count)}."
    ]
    if longest.pairs != gates.pairs:
        text.append(
            f"The same pairs cut into comparisons of at most {longest.pairs}, as below: {longest.false_alarms} of "
            f"{longest.count} gates, {share(longest.false_alarms, longest.count)}."
        )
    columns = (
        "operation",
        "comparisons",
        "slower",
        "faster",
        "same",
        "inconclusive",
        "pairs",
        "median time",
        "long run",
    )
    rows = [
        (
            stream.label,
            len(stream.trials),
            stream.count(Word.SLOWER),
            stream.count(Word.FASTER),
            stream.count(Word.SAME),
            stream.count(Word.INCONCLUSIVE),
            stream.pairs,
            _seconds(stream.per_verdict(0.5)),
            stream.long_run.text("×"),
        )
        for stream in equal
    ]
    return Part("Equal arms: how often a gate fails for nothing", tuple(text), _sheet("Equal arms", columns, rows))


def _power(results: Trusted) -> Part:
    title = "Known slowdowns: how often they are found, and how soon"
    slowed = [stream for stream in results.streams if stream.kind != EQUAL]
    if not slowed:
        return Part(title, ("Not measured in this run.",))
    text = (
        "B is slower by a delay of a known share of A's median, or does more work (more layers, more bytes), whose "
        "effect is then what the long run says. Found means: slower, and confirmed on the pairs that follow. The time "
        "is that of both parts, without the control and the second set-up's building that a real comparison adds."
    )
    delta = max(stream.procedure.delta for stream in slowed)
    if any(stream.share <= delta for stream in slowed):
        text += (
            f" What is called slower is estimated beyond 1 + delta, too; delta is {delta:.0%}, so that a slowdown of "
            "no more than that is called so only where chance raises its estimate."
        )
    columns = ("operation", "injected", "long run", "found", "share", "median time", "95 % of verdicts within")
    rows = [
        (
            stream.label,
            f"{stream.share:.0%} {stream.kind}",
            stream.long_run.text("×"),
            rate(stream.trials),
            share(stream.count(Word.SLOWER), len(stream.trials)),
            _seconds(stream.per_verdict(0.5)),
            _seconds(stream.per_verdict(0.95)),
        )
        for stream in slowed
    ]
    lead = (
        f"The smallest delay that was found in at least {POWER:.0%} of the trials; where that is above {BLOCKS:.0%}, a "
        "gate should warn but not block:"
    )
    items = []
    for label in dict.fromkeys(stream.label for stream in slowed):
        smallest = detected([stream for stream in slowed if stream.label == label])
        word = "" if smallest <= BLOCKS else ": warn only"
        items.append((f"{label}: {'none of those tried' if math.isnan(smallest) else f'{smallest:.0%}'}{word}", ()))
    return Part(title, (text,), _sheet("Known slowdowns", columns, rows), lead, tuple(items))


def _peers(tools: Sequence[Tool]) -> Part:
    title = "Other tools, on the same operation in the same run"
    if not tools:
        return Part(title, ("Not measured in this run.",))
    text = (
        "They compare two runs: fresh units of A, then as many of B, prepared and timed as ours are but one by one, "
        "not in turns; each tool's own code then says whether B is slower. Shorter runs are the end of A and the "
        "beginning of B. Times are those of the units alone, for all of them. hyperfine times a whole program that "
        "does the unit's operations, one run per fresh container; its mean ratio and deviation are computed as in its "
        "summary, which has no verdict."
    )
    shares = sorted({share for tool in tools for share in tool.rates})
    names = [f"{share:.0%} slower" if share else "equal arms" for share in shares]
    columns = ("operation", "tool", "units a side", *(f"called slower: {name}" for name in names), "a verdict takes")
    rows = [
        (
            tool.label,
            tool.name,
            tool.size or "as many as it takes",
            *(tool.reason or tool.rates.get(share, "–") for share in shares),
            _seconds(tool.seconds) if tool.size else f"{_seconds(tool.seconds)} (median)",
        )
        for tool in tools
    ]
    smallest = min((share for share in shares if share), default=math.nan)
    lead = f"What it takes to find a delay of {smallest:.0%} in at least {POWER:.0%} of the trials:"
    items = tuple(_same_power(label, smallest, tools) for label in dict.fromkeys(tool.label for tool in tools))
    sheet = _sheet("Other tools", columns, rows)
    return Part(title, (text,), sheet) if math.isnan(smallest) else Part(title, (text,), sheet, lead, items)


def _same_power(label: str, share: float, tools: Iterable[Tool]) -> Listed:
    """Return what pyperf needs to find the smallest delay as often as a gate must, and its false alarms then."""
    label_tools = [tool for tool in tools if tool.label == label and share in tool.rates]
    ours = [tool for tool in label_tools if tool.name == OURS]
    text = f"ours found {ours[0].rates[share]}, in {_seconds(ours[0].seconds)} (median)" if ours else "ours: no trial"
    pyperf_text = ""
    for tool in (tool for tool in label_tools if tool.name == PYPERF):
        slower = tool.rates[share]
        enough = slower.count >= POWER * slower.trials
        pyperf_text = (
            f"pyperf {'found' if enough else 'does not; it found'} {slower} with {tool.size} units a side, in "
            f"{_seconds(tool.seconds)} a verdict; equal arms it called slower: {tool.rates.get(0.0, 'not measured')}"
        )
        if enough:
            break
    return f"{label}: {text}", (pyperf_text,) if pyperf_text else ()


def _both_ways(ways: Sequence[BothWays]) -> Part:
    title = "In turns and one after the other: whether it is the same ratio"
    measured = [both for both in ways if both.has_intervals]
    if not measured:
        return Part(title, ("Not measured in this run.",))
    alike, different = ([both for both in measured if (both.a == both.b) == same] for same in (True, False))
    text = [
        "The units of a pair run at the same time and their operations take turns, because how fast the same call is "
        "drifts within milliseconds. It would be worth nothing if the ratio in turns were another one, so the same "
        "arms were measured both ways, side by side. Units in turns share the processor's caches, and what else the "
        "kernel keeps warm or wakes; one after the other (`ab --apart`) each has them to itself."
    ]
    if alike:
        turns, apart = _scatters(alike)
        text.append(
            f"Of equal arms a pair's ratio scatters by {turns:.1%} in turns and by {apart:.1%} one after the other "
            f"(medians of the table), which takes {(apart / turns) ** 2:.1f} times as many pairs for the same interval."
        )
    if different:
        turns, apart = _scatters(different)
        quotients = sorted(both.quotient.value for both in different)
        text.append(
            f"Of {len(different)} comparisons of arms that differ the two ways contradict each other in "
            f"{sum(both.contradict for both in different)} (B slower by one, faster by the other, each by more than "
            f"chance). The ratio in turns is {quotients[0]:.2f} to {quotients[-1]:.2f} times that of units one after "
            f"the other, {statistics.median(quotients):.2f} in the median; in {sum(both.differ for both in different)} "
            f"they differ by more than chance. Pairs of such arms scatter by {turns:.0%} in turns and {apart:.0%} one "
            "after the other."
        )
    columns = (
        *("operation", "A", "B", "B / A in turns", "one after the other", "turns / one after the other"),
        *("scatter of a pair in turns", "one after the other"),
    )
    rows = [
        (
            *(both.label, both.a, both.b),
            *(estimate.text("×") for estimate in (both.turns.ratio, both.apart.ratio, both.quotient)),
            *(f"{way.scatter:.1%}" for way in (both.turns, both.apart)),
        )
        for both in measured
    ]
    return Part(title, tuple(text), _sheet("Both ways", columns, rows))


def _scatters(ways: Sequence[BothWays]) -> tuple[float, float]:
    """Return the median scatter of a pair in turns and one after the other."""
    turns, apart = zip(*((both.turns.scatter, both.apart.scatter) for both in ways), strict=True)
    return statistics.median(turns), statistics.median(apart)


def _coverage(streams: Iterable[Streamed]) -> Part:
    streams = list(streams)
    covered, pieces = sum(stream.covered for stream in streams), sum(stream.pieces for stream in streams)
    text = (
        f"Of {pieces} pieces of 24 pairs, the ordinary 95 % interval held the value of its whole stream in {covered}: "
        f"{share(covered, pieces)}."
    )
    return Part("Intervals: how often they hold the long-run value", (text,))


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f} s"


def _sheet(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Sheet:
    return Sheet(title, tuple(columns), tuple(tuple(str(value) for value in row) for row in rows))
