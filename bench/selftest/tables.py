"""What the suite's test of itself found, as parts of a page: text, tables, lists."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report.sheets import Sheet
from bench.selftest import EQUAL
from bench.selftest.peers import OURS, PYPERF, Tool
from bench.selftest.rates import POWER, detected, rate, share
from bench.selftest.results import Streamed, Trusted
from bench.selftest.ways import BothWays
from bench.stats.paired import Word

__all__ = ["Part", "parts"]

BLOCKS = 0.10  # a scenario that detects no smaller delay than this may warn but not block
Listed = tuple[str, tuple[str, ...]]  # an item of a list, and what is said below it


@dataclass(frozen=True)
class Part:
    """A section of the page: what it says before its table, the table, and what it says after: a lead and a list."""

    title: str
    text: tuple[str, ...]
    sheet: Sheet | None = None
    lead: str = ""
    items: tuple[Listed, ...] = ()


def parts(told: Trusted, tools: Sequence[Tool]) -> list[Part]:
    """Return all that is said of the run's streams, and of `tools` (see `beside`) on the same operations."""
    failed = sum(one.failed for one in told.streams)
    failed += sum(one.turns.failed + one.apart.failed for one in told.ways)
    left = Part("Failures", (f"{failed} of the streams' units failed; none was removed.",))
    return [_false_alarms(told), _power(told), _peers(tools), _both_ways(told.ways), _coverage(told.streams), left]


def _false_alarms(told: Trusted) -> Part:
    equal = [one for one in told.streams if one.kind == EQUAL]
    gates, longest = told.gates, told.longest
    text = [
        f"{gates.count} gates over {len(equal)} comparisons each, of at most {gates.pairs} pairs, cut in original "
        "order from one recorded stream of pairs of equal arms for each; the error of a gate, shared by its "
        f"comparisons, is {told.alpha:.0%} before a finding is confirmed. **False alarms: {gates.false_alarms} of "
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
    ]
    return Part("Equal arms: how often a gate fails for nothing", tuple(text), _sheet("Equal arms", columns, rows))


def _power(told: Trusted) -> Part:
    title = "Known slowdowns: how often they are found, and how soon"
    slowed = [one for one in told.streams if one.kind != EQUAL]
    if not slowed:
        return Part(title, ("Not measured in this run.",))
    text = (
        "B is slower by a delay of a known share of A's median, or does more work (more layers, more bytes), whose "
        "effect is then what the long run says. Found means: slower, and confirmed on the pairs that follow. The time "
        "is that of both parts, without the control and the second set-up's building that a real comparison adds."
    )
    delta = max(one.procedure.delta for one in slowed)
    if any(one.share <= delta for one in slowed):
        text += (
            f" What is called slower is estimated beyond 1 + delta, too; delta is {delta:.0%}, so that a slowdown of "
            "no more than that is called so only where chance raises its estimate."
        )
    columns = ("operation", "injected", "long run", "found", "share", "median time", "95 % of verdicts within")
    rows = [
        (
            one.label,
            f"{one.share:.0%} {one.kind}",
            one.long_run.text("×"),
            rate(one.trials),
            share(one.count(Word.SLOWER), len(one.trials)),
            _seconds(one.per_verdict(0.5)),
            _seconds(one.per_verdict(0.95)),
        )
        for one in slowed
    ]
    lead = (
        f"The smallest delay that was found in at least {POWER:.0%} of the trials; where that is above {BLOCKS:.0%}, a "
        "gate should warn but not block:"
    )
    items = []
    for label in dict.fromkeys(one.label for one in slowed):
        found = detected([one for one in slowed if one.label == label])
        word = "" if found <= BLOCKS else ": warn only"
        items.append((f"{label}: {'none of those tried' if math.isnan(found) else f'{found:.0%}'}{word}", ()))
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
    shares = sorted({one for tool in tools for one in tool.rates})
    names = [f"{one:.0%} slower" if one else "equal arms" for one in shares]
    columns = ("operation", "tool", "units a side", *(f"called slower: {one}" for one in names), "a verdict takes")
    rows = [
        (
            tool.label,
            tool.name,
            tool.size or "as many as it takes",
            *(tool.reason or tool.rates.get(one, "–") for one in shares),
            _seconds(tool.seconds) if tool.size else f"{_seconds(tool.seconds)} (median)",
        )
        for tool in tools
    ]
    smallest = min((one for one in shares if one), default=math.nan)
    lead = f"What it takes to find a delay of {smallest:.0%} in at least {POWER:.0%} of the trials:"
    items = tuple(_same_power(label, smallest, tools) for label in dict.fromkeys(tool.label for tool in tools))
    sheet = _sheet("Other tools", columns, rows)
    return Part(title, (text,), sheet) if math.isnan(smallest) else Part(title, (text,), sheet, lead, items)


def _same_power(label: str, share: float, tools: Iterable[Tool]) -> Listed:
    """Say what pyperf needs to find the smallest delay as often as a gate must, and what that costs on equal arms."""
    mine = [tool for tool in tools if tool.label == label and share in tool.rates]
    ours = [tool for tool in mine if tool.name == OURS]
    said = f"ours found {ours[0].rates[share]}, in {_seconds(ours[0].seconds)} (median)" if ours else "ours: no trial"
    below = ""
    for tool in (tool for tool in mine if tool.name == PYPERF):
        found = tool.rates[share]
        enough = found.count >= POWER * found.trials
        below = (
            f"pyperf {'found' if enough else 'does not; it found'} {found} with {tool.size} units a side, in "
            f"{_seconds(tool.seconds)} a verdict; equal arms it called slower: {tool.rates.get(0.0, 'not measured')}"
        )
        if enough:
            break
    return f"{label}: {said}", (below,) if below else ()


def _both_ways(ways: Sequence[BothWays]) -> Part:
    title = "In turns and one after the other: whether it is the same ratio"
    known = [one for one in ways if one.known]
    if not known:
        return Part(title, ("Not measured in this run.",))
    alike, different = ([one for one in known if (one.a == one.b) == same] for same in (True, False))
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
        quotients = sorted(one.quotient.value for one in different)
        text.append(
            f"Of {len(different)} comparisons of arms that differ the two ways contradict each other in "
            f"{sum(one.contradict for one in different)} (B slower by one, faster by the other, each by more than "
            f"chance). The ratio in turns is {quotients[0]:.2f} to {quotients[-1]:.2f} times that of units one after "
            f"the other, {statistics.median(quotients):.2f} in the median; in {sum(one.differ for one in different)} "
            f"they differ by more than chance. Pairs of such arms scatter by {turns:.0%} in turns and {apart:.0%} one "
            "after the other."
        )
    columns = (
        *("operation", "A", "B", "B / A in turns", "one after the other", "turns / one after the other"),
        *("scatter of a pair in turns", "one after the other"),
    )
    rows = [
        (
            *(one.label, one.a, one.b, one.turns.ratio.text("×"), one.apart.ratio.text("×"), one.quotient.text("×")),
            *(f"{one.turns.scatter:.1%}", f"{one.apart.scatter:.1%}"),
        )
        for one in known
    ]
    return Part(title, tuple(text), _sheet("Both ways", columns, rows))


def _scatters(ways: Sequence[BothWays]) -> tuple[float, float]:
    """Return the median scatter of a pair in turns and one after the other."""
    return statistics.median(one.turns.scatter for one in ways), statistics.median(one.apart.scatter for one in ways)


def _coverage(streams: Iterable[Streamed]) -> Part:
    streams = list(streams)
    covered, pieces = sum(one.covered for one in streams), sum(one.pieces for one in streams)
    text = (
        f"Of {pieces} pieces of 24 pairs, the ordinary 95 % interval held the value of its whole stream in {covered}: "
        f"{share(covered, pieces)}."
    )
    return Part("Intervals: how often they hold the long-run value", (text,))


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f} s"


def _sheet(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Sheet:
    return Sheet(title, tuple(columns), tuple(tuple(str(value) for value in row) for row in rows))
