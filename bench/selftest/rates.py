"""How often a comparison said slower: shares, their intervals, and the smallest delay that is detected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from bench.selftest import DELAY
from bench.selftest.results import Streamed
from bench.selftest.trials import Trial
from bench.stats.paired import Word

__all__ = ["CONFIDENCE", "POWER", "Rate", "detected", "interval", "rate", "share"]

POWER = 0.95  # the rate of detection at which an effect counts as one that a scenario detects
CONFIDENCE = 0.95  # of the intervals of shares


@dataclass(frozen=True)
class Rate:
    """How many of the trials were called slower."""

    count: int
    trials: int

    def __str__(self) -> str:
        return f"{self.count} of {self.trials}"


def rate(trials: Sequence[Trial]) -> Rate:
    """Count the comparisons that said slower."""
    return Rate(sum(one.verdict.word is Word.SLOWER for one in trials), len(trials))


def detected(streams: Sequence[Streamed]) -> float:
    """Return the smallest delay that was found in at least POWER of the trials, as were all larger; NaN: none."""
    found = math.nan
    for one in sorted((one for one in streams if one.kind == DELAY), key=lambda one: -one.share):
        if not one.trials or one.count(Word.SLOWER) < POWER * len(one.trials):
            break
        found = one.share
    return found


def interval(count: int, total: int) -> tuple[float, float]:
    """Return the interval of a share (Clopper and Pearson 1934, exact); `total` is at least 1."""
    told = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return float(told.low), float(told.high)


def share(count: int, total: int) -> str:
    """Return a share with its interval."""
    if not total:
        return "no trial"
    low, high = interval(count, total)
    return f"{count / total:.1%} [{low:.1%}, {high:.1%}]"
