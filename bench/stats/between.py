"""The variance between two set-ups of the same kind, which the spread between units does not include.

The files of a stack have one place on the device and in memory for all containers of that stack. The interval of a
ratio between two stacks comes from the spread between units, so it does not include the effect of that place. A
control is a ratio between two stacks made in the same way: it differs from 1 only by this effect and noise. The
variance between set-ups is estimated from several controls by the method of moments (DerSimonian and Laird,
Controlled Clinical Trials 7 (1986), 177, here around the known mean 0) and added to that of a ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.stats.estimate import CONFIDENCE, Estimate, t_quantile

__all__ = ["LEAST_CONTROLS", "allowing", "between"]

LEAST_CONTROLS = 4  # with fewer, some runs would have intervals several times too wide


def between(controls: Sequence[Estimate]) -> float:
    """Return the standard deviation between set-ups, of log ratios, without the controls' own standard errors.

    NaN if fewer than LEAST_CONTROLS controls have an interval; 0 if their standard errors explain all of the variance.
    """
    usable = _usable(controls)
    if len(usable) < LEAST_CONTROLS:
        return math.nan
    logs = np.log([control.value for control in usable])
    errors = np.array([_half(control) / t_quantile(control.n - 1) for control in usable])
    weights = 1 / errors**2
    return math.sqrt(max(0.0, (float(weights @ logs**2) - len(usable)) / float(weights.sum())))


def allowing(estimate: Estimate, controls: Sequence[Estimate], confidence: float = CONFIDENCE) -> Estimate:
    """Widen the interval (of `confidence`) of the ratio `estimate` by the variance between set-ups.

    The estimate is returned unchanged if it has no interval or there are too few controls.
    """
    deviation = between(controls)
    if not estimate.has_interval or math.isnan(deviation):
        return estimate
    number = len(_usable(controls))
    drawn = t_quantile(number, confidence) * deviation
    low, high = (
        math.exp(math.log(estimate.value) + sign * math.hypot(math.log(end / estimate.value), drawn))
        for sign, end in ((-1, estimate.low), (1, estimate.high))
    )
    return replace(estimate, low=low, high=high, method=f"{estimate.method}, with what {number} controls differ by")


def _usable(controls: Sequence[Estimate]) -> list[Estimate]:
    return [control for control in controls if control.has_interval and control.high > control.low]


def _half(estimate: Estimate) -> float:
    """Return half the width of a ratio's interval on a logarithmic scale."""
    return math.log(estimate.high / estimate.low) / 2
