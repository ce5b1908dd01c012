"""Two arms measured in turns and one after the other: whether the ratios agree, and the scatter of pairs.

Units take turns because pairs then scatter less. That is valid only if the ratio is the same.
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
    """The ratio B / A from the pairs of one stream.

    `scatter` is the standard deviation of a pair's log ratio, from the median absolute deviation. `wanted` pairs were
    requested and `begun` of them started; `failed` is the number of units that failed.
    """

    ratio: Estimate
    scatter: float
    begun: int
    failed: int
    wanted: int

    @property
    def incomplete(self) -> bool:
        """Whether fewer pairs were begun than were requested."""
        return self.begun < self.wanted


@dataclass(frozen=True)
class BothWays:
    """One operation of two arms, measured in turns and one after the other."""

    label: str
    a: str
    b: str
    turns: Way
    apart: Way

    @property
    def has_intervals(self) -> bool:
        """Whether both ratios have an interval."""
        return self.turns.ratio.has_interval and self.apart.ratio.has_interval

    @property
    def quotient(self) -> Estimate:
        """The ratio in turns divided by that of units one after the other: 1 if they agree.

        The interval is that of the difference of two independent estimates with asymmetric intervals (Zou and Donner
        2008), on logarithms.
        """
        turns, apart = self.turns.ratio, self.apart.ratio
        value = turns.value / apart.value
        below = math.hypot(math.log(turns.value / turns.low), math.log(apart.high / apart.value))
        above = math.hypot(math.log(turns.high / turns.value), math.log(apart.value / apart.low))
        method = "of two independent ratios"
        return Estimate(value, value * math.exp(-below), value * math.exp(above), turns.n + apart.n, method)

    @property
    def differ(self) -> bool:
        """Whether the two ratios differ by more than chance."""
        return not self.quotient.low <= 1 <= self.quotient.high

    @property
    def contradict(self) -> bool:
        """Whether B is slower measured one way and faster measured the other, each by more than chance."""
        turns, apart = self.turns.ratio, self.apart.ratio
        return (turns.low > 1 and apart.high < 1) or (turns.high < 1 and apart.low > 1)


def both_ways(streams: Iterable[tuple[Recorded, StreamRecord]]) -> tuple[BothWays, ...]:
    """Pair the streams of arms that differ, each given with its record of run.json, in their order."""
    ways_by_key: dict[tuple[str, str, str], dict[bool, Way]] = {}
    for stream, record in streams:
        if record.kind == DIFFERENT:
            a, b = record.a, record.b
            key = (record.label, side_text(a, b), side_text(b, a))
            ways_by_key.setdefault(key, {})[record.apart] = _way(stream, record)
    return tuple(BothWays(*key, turns=ways[False], apart=ways[True]) for key, ways in ways_by_key.items())


def _way(stream: Recorded, record: StreamRecord) -> Way:
    a, b = stream.pairs
    logs = np.log(b) - np.log(a)
    return Way(
        ratio=ratio(b, a) if len(a) else Estimate(math.nan, math.nan, math.nan, 0, "no pair"),
        scatter=float(stats.median_abs_deviation(logs, scale="normal")) if len(a) else math.nan,
        begun=stream.blocks,
        failed=stream.failed,
        wanted=record.pairs,
    )
