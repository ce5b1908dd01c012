"""The fit of a straight line y = a + b·x to cells, with intervals from the units of each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.stats.estimate import Estimate, t_quantile

__all__ = ["FLAT", "LEAST_DISTINCT_X", "Line", "Shape", "line"]

Floats = npt.NDArray[np.float64]
Shape = Literal["grows", "flat", "falls", "undecided"]

LEAST_DISTINCT_X = 3  # a line fits two points exactly
# The largest change over the whole range of x that counts as none. Medians of two identical runs of 100
# first writes differ by more than 5 % in a quarter of cases; twice that is still no reason to act.
FLAT = 0.10

METHOD = "weighted least squares, Welch–Satterthwaite interval"
BARE = "weighted least squares, no interval"


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


def line(x: npt.ArrayLike, cells: Sequence[Estimate]) -> Line | None:
    """Fit y = a + b·x to the centres of `cells`; None with fewer than 3 distinct x.

    The data span decades, so each cell has the weight 1/y²: the fit minimises relative residuals (all
    weights are equal if a centre is not positive). Slope and intercept are linear combinations Σ cᵢ·yᵢ
    of the centres, so their variance is Σ cᵢ²·seᵢ², where seᵢ is the half width of the cell's interval
    over Student's quantile at nᵢ - 1. Their degrees of freedom are those of Welch and Satterthwaite
    (Satterthwaite, Biometrics Bulletin 2, 1946). The interval covers the noise of the units only; that
    the law is wrong shows in the residuals. If a cell has no interval, the line has none.
    Raises ValueError if x and cells differ in number.
    """
    positions = np.asarray(x, dtype=np.float64)
    if len(positions) != len(cells):
        raise ValueError(f"{len(positions)} x for {len(cells)} cells")
    if len(np.unique(positions)) < LEAST_DISTINCT_X:
        return None
    y = np.array([cell.value for cell in cells])
    weights = _weights(y)
    slope_weights, intercept_weights = _coefficients(positions, weights)
    slope, intercept = _combination(slope_weights, cells), _combination(intercept_weights, cells)
    growth = _scaled(slope, float(np.ptp(positions)), float(np.mean(y[positions == positions.min()])))
    residuals = y - intercept.value - slope.value * positions
    return Line(
        intercept=intercept,
        slope=slope,
        growth=growth,
        shape=_shape(growth),
        r_squared=_explained(y, residuals, np.ones_like(y)),
        r_squared_relative=_explained(y, residuals, weights),
        residuals=tuple(float(value) for value in np.divide(residuals, y, out=residuals.copy(), where=y != 0)),
        x=tuple(float(value) for value in positions),
        cells=tuple(cells),
    )


def _weights(y: Floats) -> Floats:
    """Return 1/y², scaled to at most 1; ones if a centre is not positive."""
    return (y.min() / y) ** 2 if y.min() > 0 else np.ones_like(y)


def _coefficients(x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the coefficients c of the slope and of the intercept, which are Σ cᵢ·yᵢ."""
    shares = weights / weights.sum()
    mean = float(shares @ x)
    slope = shares * (x - mean) / float(shares @ (x - mean) ** 2)
    return slope, shares - mean * slope


def _combination(c: Floats, cells: Sequence[Estimate]) -> Estimate:
    """Return Σ cᵢ·yᵢ with its interval."""
    value = float(c @ np.array([cell.value for cell in cells]))
    units = sum(cell.n for cell in cells)
    if not all(cell.has_interval and cell.n > 1 for cell in cells):
        return Estimate(value, math.nan, math.nan, units, BARE)
    freedoms = np.array([cell.n - 1 for cell in cells], dtype=np.float64)
    errors = np.array([(cell.high - cell.low) / 2 / t_quantile(cell.n - 1) for cell in cells])
    largest = float(np.abs(c * errors).max())
    if largest == 0:
        return Estimate(value, value, value, units, METHOD)
    parts = (c * errors / largest) ** 2  # of the variance; scaled, so that the squares below do not overflow
    total = float(parts.sum())
    freedom = total**2 / float((parts**2 / freedoms).sum())
    half = t_quantile(freedom) * math.sqrt(total) * largest
    return Estimate(value, value - half, value + half, units, METHOD)


def _scaled(slope: Estimate, span: float, first: float) -> Estimate:
    if first <= 0:
        return Estimate(math.nan, math.nan, math.nan, slope.n, slope.method)
    factor = span / first
    return Estimate(slope.value * factor, slope.low * factor, slope.high * factor, slope.n, slope.method)


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
