"""How often comparisons called B slower: shares, their intervals, and the smallest delay that is detected."""

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

POWER = 0.95  # the rate of detection from which on a scenario counts as detecting an effect
CONFIDENCE = 0.95  # of the intervals of shares


@dataclass(frozen=True)
class Rate:
    """The number of trials, and of those that were called slower."""

    count: int
    trials: int

    def __str__(self) -> str:
        return f"{self.count} of {self.trials}"


def rate(trials: Sequence[Trial]) -> Rate:
    """Count the comparisons that called B slower."""
    return Rate(sum(trial.verdict.word is Word.SLOWER for trial in trials), len(trials))


def detected(streams: Sequence[Streamed]) -> float:
    """Return the smallest delay from which on all delays were found in at least POWER of the trials; NaN if none."""
    smallest = math.nan
    for stream in sorted((stream for stream in streams if stream.kind == DELAY), key=lambda stream: -stream.share):
        if not stream.trials or stream.count(Word.SLOWER) < POWER * len(stream.trials):
            break
        smallest = stream.share
    return smallest


def interval(count: int, total: int) -> tuple[float, float]:
    """Return the interval of a share (Clopper and Pearson 1934, exact); `total` is at least 1."""
    bounds = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return float(bounds.low), float(bounds.high)


def share(count: int, total: int) -> str:
    """Return a share with its interval, as text."""
    if not total:
        return "no trial"
    low, high = interval(count, total)
    return f"{count / total:.1%} [{low:.1%}, {high:.1%}]"
