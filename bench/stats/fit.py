"""The fit of a straight line y = a + b·x to the units of cells."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.stats.estimate import Estimate
from bench.stats.pooled import Pool

__all__ = ["FLAT", "LEAST_DISTINCT_X", "Line", "Shape", "line"]

Floats = npt.NDArray[np.float64]
Shape = Literal["grows", "flat", "falls", "undecided"]

LEAST_DISTINCT_X = 3  # a line fits two points exactly
# The largest change over the whole range of x that counts as none. Medians of two identical runs of 100
# first writes differ by more than 5 % in a quarter of cases; twice that is still no reason to act.
FLAT = 0.10


@dataclass(frozen=True)
class Line:
    """A fitted line.

    `x` and `cells` are the data, in the order given; `residuals` are (measured - fitted) / measured, one
    per cell. `intercept` has the unit of y, `slope` that of y per unit of x. `growth` is the change over
    the whole range of x as a share of the value measured at the smallest x (0.2: a fifth more); `shape`
    classifies it. `r_squared` weights all cells equally, so the largest values dominate it;
    `r_squared_relative` uses the weights of the fit, so all decades count equally. Both are NaN if y is
    constant.
    """

    intercept: Estimate
    slope: Estimate
    growth: Estimate
    shape: Shape
    r_squared: float
    r_squared_relative: float
    residuals: tuple[float, ...]
    x: tuple[float, ...]
    cells: tuple[Estimate, ...]

    @property
    def x_low(self) -> float:
        """The smallest x that was fitted."""
        return min(self.x)

    @property
    def x_high(self) -> float:
        """The largest x that was fitted."""
        return max(self.x)


def line(pool: Pool, x: npt.ArrayLike) -> Line | None:
    """Fit y = a + b·x to the units of a pool whose cells lie at `x`; None with fewer than 3 distinct x.

    The data span decades, so the fit minimises residuals relative to the time (`Pool.ends`). Slope and intercept are
    functions of the line's values at its ends, and so have the variance that these have (to first order). The intervals
    cover the noise of the units only; that the law is wrong shows in the residuals. If no cell has two units, there are
    no intervals. Raises ValueError if x and cells differ in number.
    """
    positions = np.asarray(x, dtype=np.float64)
    if len(positions) != len(pool.counts):
        raise ValueError(f"{len(positions)} x for {len(pool.counts)} cells")
    if len(np.unique(positions)) < LEAST_DISTINCT_X:
        return None
    ends, weights = pool.ends(positions)
    (low, high), start, span = np.exp(ends), float(positions.min()), float(np.ptp(positions))
    units = len(pool.values)

    def made(value: float, of_low: float, of_high: float) -> Estimate:
        """Return what is made of the line's ends, from its derivatives by their logarithms."""
        half = pool.combination(np.array([of_low, of_high]) @ weights, value).half()
        return Estimate(value, value - half, value + half, units, pool.method(half))

    slope, share = (high - low) / span, start / span
    grown = pool.factor(pool.combination(weights[1] - weights[0], float(ends[1] - ends[0])), units)
    growth = replace(grown, value=grown.value - 1, low=grown.low - 1, high=grown.high - 1)
    y = np.exp(pool.centres)
    residuals = y - low - slope * (positions - start)
    return Line(
        intercept=made(low - slope * start, low * (1 + share), -high * share),
        slope=made(slope, -low / span, high / span),
        growth=growth,
        shape=_shape(growth),
        r_squared=_explained(y, residuals, np.ones_like(y)),
        r_squared_relative=_explained(y, residuals, (y.min() / y) ** 2),
        residuals=tuple(float(value) for value in residuals / y),
        x=tuple(float(value) for value in positions),
        cells=tuple(pool.centre(cell) for cell in range(len(positions))),
    )


def _shape(growth: Estimate) -> Shape:
    if not growth.has_interval:
        return "undecided"
    if max(-growth.low, growth.high) <= FLAT:
        return "flat"
    if growth.low > 0:
        return "grows"
    return "falls" if growth.high < 0 else "undecided"


def _explained(y: Floats, residuals: Floats, weights: Floats) -> float:
    total = float(weights @ (y - np.average(y, weights=weights)) ** 2)
    return 1 - float(weights @ residuals**2) / total if total > 0 else math.nan
