"""Two arms, measured in turns and one after the other: whether it is the same ratio, and how far pairs scatter.

Taking turns is done for its smaller scatter. It would be worth nothing if a ratio in turns were another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.selftest import DIFFERENT
from bench.selftest.recorded import Recorded
from bench.stats.compared import side_text
from bench.stats.estimate import Estimate, ratio
from bench.store.records import StreamRecord

__all__ = ["BothWays", "Way", "both_ways"]


@dataclass(frozen=True)
class Way:
    """B / A by the pairs of one stream.

    `scatter` is the standard deviation of a pair's log ratio, from the median absolute deviation. Of the `wanted`
    pairs so many were `begun`; a unit of some may have `failed`.
    """

    ratio: Estimate
    scatter: float
    begun: int
    failed: int
    wanted: int

    @property
    def lacks(self) -> bool:
        """Whether fewer pairs were begun than were asked for."""
        return self.begun < self.wanted


@dataclass(frozen=True)
class BothWays:
    """One operation of two arms, in turns and one after the other."""

    label: str
    a: str
    b: str
    turns: Way
    apart: Way

    @property
    def known(self) -> bool:
        """Whether both ways have an interval."""
        return self.turns.ratio.has_interval and self.apart.ratio.has_interval

    @property
    def quotient(self) -> Estimate:
        """The ratio in turns over that of units one after the other: 1 if it is the same.

        Its interval is of two independent estimates whose own intervals need not be symmetric (Zou and Donner 2008),
        on logarithms.
        """
        turns, apart = self.turns.ratio, self.apart.ratio
        value = turns.value / apart.value
        below = math.hypot(math.log(turns.value / turns.low), math.log(apart.high / apart.value))
        above = math.hypot(math.log(turns.high / turns.value), math.log(apart.value / apart.low))
        method = "of two independent ratios"
        return Estimate(value, value * math.exp(-below), value * math.exp(above), turns.n + apart.n, method)

    @property
    def differ(self) -> bool:
        """Whether the two ways' ratios differ by more than chance."""
        return not self.quotient.low <= 1 <= self.quotient.high

    @property
    def contradict(self) -> bool:
        """Whether by one way B is slower and by the other faster, each by more than chance."""
        turns, apart = self.turns.ratio, self.apart.ratio
        return (turns.low > 1 and apart.high < 1) or (turns.high < 1 and apart.low > 1)


def both_ways(streams: Iterable[tuple[Recorded, StreamRecord]]) -> tuple[BothWays, ...]:
    """Return what the streams of this kind say, each given with what run.json says of it, in their order."""
    found: dict[tuple[str, str, str], dict[bool, Way]] = {}
    for stream, facts in streams:
        if facts.kind == DIFFERENT:
            a, b = facts.a, facts.b
            key = (facts.label, side_text(a, b), side_text(b, a))
            found.setdefault(key, {})[facts.apart] = _way(stream, facts)
    return tuple(BothWays(*key, turns=ways[False], apart=ways[True]) for key, ways in found.items())


def _way(stream: Recorded, facts: StreamRecord) -> Way:
    a, b = stream.pairs
    logs = np.log(b) - np.log(a)
    return Way(
        ratio=ratio(b, a) if len(a) else Estimate(math.nan, math.nan, math.nan, 0, "no pair"),
        scatter=float(stats.median_abs_deviation(logs, scale="normal")) if len(a) else math.nan,
        begun=stream.blocks,
        failed=stream.failed,
        wanted=facts.pairs,
    )
