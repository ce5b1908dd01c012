"""What is drawn once in a run and not seen in its intervals: how far two set-ups of one kind are apart.

Where the files of a stack lie, on the device and in memory, is the same for all of its containers, so that the
interval of a ratio between two stacks, which comes from the spread between units, does not know of it. Controls do:
ratios between two stacks of one maker, which are 1 but for what was drawn. From several, the variance of the drawing
is estimated by the method of moments (DerSimonian and Laird, Controlled Clinical Trials 7 (1986), 177, here around the
known mean 0), and added to that of a ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.stats.estimate import CONFIDENCE, Estimate, t_quantile

__all__ = ["LEAST_CONTROLS", "allowing", "between"]

LEAST_CONTROLS = 4  # of fewer, a share of the runs would have intervals several times as wide as they need be


def between(controls: Sequence[Estimate]) -> float:
    """Return the standard deviation of what was drawn, as a share (of log ratios), beyond the controls' own errors.

    NaN with fewer than LEAST_CONTROLS that have an interval; 0 where these errors alone explain them.
    """
    told = _usable(controls)
    if len(told) < LEAST_CONTROLS:
        return math.nan
    logs = np.log([one.value for one in told])
    errors = np.array([_half(one) / t_quantile(one.n - 1) for one in told])
    weights = 1 / errors**2
    return math.sqrt(max(0.0, (float(weights @ logs**2) - len(told)) / float(weights.sum())))


def allowing(told: Estimate, controls: Sequence[Estimate], confidence: float = CONFIDENCE) -> Estimate:
    """Return the ratio `told`, whose interval is of `confidence`, with one that holds what is drawn as well.

    As it is where it has no interval, or the controls are too few to tell.
    """
    deviation = between(controls)
    if not told.has_interval or math.isnan(deviation):
        return told
    number = len(_usable(controls))
    drawn = t_quantile(number, confidence) * deviation
    low, high = (
        math.exp(math.log(told.value) + sign * math.hypot(math.log(end / told.value), drawn))
        for sign, end in ((-1, told.low), (1, told.high))
    )
    return replace(told, low=low, high=high, method=f"{told.method}, with what {number} controls differ by")


def _usable(controls: Sequence[Estimate]) -> list[Estimate]:
    return [one for one in controls if one.has_interval and one.high > one.low]


def _half(told: Estimate) -> float:
    """Return half the width of a ratio's interval, on the scale of logarithms."""
    return math.log(told.high / told.low) / 2
