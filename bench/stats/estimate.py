"""What a handful of observations say: a centre with its interval, a paired ratio, a spread.

Every interval comes from the spread between units (one unit, one observation) and has the same
confidence. Times on a shared machine have heavy right tails, so centres are rank based: one slow
unit in twenty moves a Hodges–Lehmann estimate little and a mean a lot, and none is thrown away.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.quantities import interval

__all__ = ["CONFIDENCE", "RANKED_FROM", "Estimate", "Spread", "centre", "ratio", "spread", "t_quantile"]

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95  # of every interval, two-sided: the convention of the field
RANKED_FROM = 6  # 2 / 2^n <= 1 - CONFIDENCE: with fewer values not even the whole range reaches 95 %
EXACT_UP_TO = 50  # the exact signed-rank table ends here in the textbooks; R's wilcox.test changes over here too
PAIRS_UP_TO = 512  # values whose pairs are all kept in memory (1 MiB); above, they are counted instead
FAR_OUT = 3.0  # interquartile ranges beyond a quartile: Tukey, Exploratory Data Analysis (1977), section 2D

RANKED = "Hodges–Lehmann, signed-rank interval"
STUDENT = "mean, Student's t interval"
SINGLE = "one value, no interval"


@dataclass(frozen=True)
class Estimate:
    """A value with its interval [low, high], from n observations; the unit is that of the observations.

    Without an interval (n is 1, say), `low` and `high` are NaN. `method` is for the reader.
    """

    value: float
    low: float
    high: float
    n: int
    method: str

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval at all."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def relative_half_width(self) -> float:
        """Half the interval's width as a share of the value; NaN without an interval."""
        half = (self.high - self.low) / 2
        if self.value == 0:
            return half if half == 0 or math.isnan(half) else math.inf
        return half / abs(self.value)

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate of `factor` (positive) times the same thing."""
        return replace(self, value=self.value * factor, low=self.low * factor, high=self.high * factor)

    def text(self, unit: str) -> str:
        """Return it for a reader, `unit` being that of the value: `1.42 µs [1.38, 1.47]`."""
        return interval(self.value, self.low, self.high, unit)


@dataclass(frozen=True)
class Spread:
    """The range of observations; `outliers` are counted, never removed."""

    minimum: float
    maximum: float
    median: float
    outliers: int


def centre(values: npt.ArrayLike) -> Estimate:
    """Return where the distribution of `values` lies, with its interval.

    From 6 values on: the Hodges–Lehmann estimate (median of all pairs' means, each value with itself
    too) and the interval that inverts the signed-rank test, exact up to 50 values, by the normal
    approximation above (Hodges and Lehmann 1963; Hollander, Wolfe and Chicken, Nonparametric
    Statistical Methods, 3.2 and 3.3). It holds for a symmetric distribution of any shape.
    From 2 to 5: the mean with Student's t interval, because of n values the widest signed-rank
    interval holds with 1 - 2 / 2^n only, which is 93.75 % at 5. One value has no interval.
    Raises ValueError for no values, or values that are not finite.
    """
    x = np.sort(_finite(values))
    n = len(x)
    if n == 1:
        return Estimate(float(x[0]), math.nan, math.nan, 1, SINGLE)
    if n < RANKED_FROM:
        mean = float(np.mean(x))
        half = t_quantile(n - 1) * float(np.std(x, ddof=1)) / math.sqrt(n)
        return Estimate(mean, mean - half, mean + half, n, STUDENT)
    pairs = n * (n + 1) // 2
    cut = _signed_rank_cut(n)
    low, below, above, high = _pair_means(x, (cut, (pairs - 1) // 2, pairs // 2, pairs - 1 - cut))
    return Estimate((below + above) / 2, low, high, n, RANKED)


def ratio(a: npt.ArrayLike, b: npt.ArrayLike) -> Estimate:
    """Return a / b from pairs (a[i] and b[i] belong together): `centre` of the log ratios, as a factor.

    On logarithms, so that a / b and b / a are each other's inverse. Raises ValueError for arrays of
    different length, no pairs, or values that are not positive.
    """
    top, bottom = _finite(a), _finite(b)
    if len(top) != len(bottom):
        raise ValueError(f"pairs need two arrays of one length, not {len(top)} and {len(bottom)}")
    if min(top.min(), bottom.min()) <= 0:
        raise ValueError("a ratio needs positive values")
    logs = centre(np.log(top) - np.log(bottom))
    return Estimate(
        math.exp(logs.value), math.exp(logs.low), math.exp(logs.high), logs.n, f"{logs.method}, of log ratios"
    )


def spread(values: npt.ArrayLike) -> Spread:
    """Return the range and the median of `values`, and how many lie far out (Tukey's outer fences)."""
    x = np.sort(_finite(values))
    first, median, third = (_quantile(x, share) for share in (0.25, 0.5, 0.75))
    fence = FAR_OUT * (third - first)
    inside = int(np.searchsorted(x, third + fence, "right") - np.searchsorted(x, first - fence, "left"))
    return Spread(float(x[0]), float(x[-1]), median, len(x) - inside)


@functools.lru_cache(maxsize=4096)
def t_quantile(freedom: float) -> float:
    """Return the factor of a standard error that gives an interval of CONFIDENCE at these degrees of freedom."""
    return float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _finite(values: npt.ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0:
        raise ValueError("no values")
    if not np.isfinite(x).all():
        raise ValueError("a value is not finite")
    return x


def _quantile(x: Floats, share: float) -> float:
    """Return a quantile of sorted values by linear interpolation (numpy's own, without its overhead)."""
    position = (len(x) - 1) * share
    index = int(position)
    after = min(index + 1, len(x) - 1)
    return float(x[index] + (x[after] - x[index]) * (position - index))


@functools.lru_cache(maxsize=4096)
def _signed_rank_cut(n: int) -> int:
    """Return the largest c with P(T <= c) <= (1 - CONFIDENCE) / 2, T the signed-rank statistic of n values.

    The interval then runs from the (c+1)-th smallest pair mean to the (c+1)-th largest.
    """
    tail = (1 - CONFIDENCE) / 2
    if n > EXACT_UP_TO:
        mean, variance = n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24
        return math.floor(mean + float(special.ndtri(tail)) * math.sqrt(variance) - 0.5)
    ways = np.zeros(n * (n + 1) // 2 + 1)  # subsets of the ranks 1..n by their sum
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return int(np.searchsorted(np.cumsum(ways), tail * 2.0**n, "right")) - 1


def _pair_means(x: Floats, ranks: tuple[int, ...]) -> list[float]:
    """Return the pair means (i <= j) of sorted `x` that stand at these ranks, counted from 0."""
    if len(x) > PAIRS_UP_TO:
        return [_counted_pair_mean(x, rank) for rank in ranks]
    sums = np.add.outer(x, x)[_upper(len(x))]
    sums.partition(ranks)
    return [float(sums[rank]) / 2 for rank in ranks]


@functools.lru_cache(maxsize=64)
def _upper(n: int) -> npt.NDArray[np.bool_]:
    return np.triu(np.ones((n, n), dtype=np.bool_))


def _counted_pair_mean(x: Floats, rank: int) -> float:
    """Return one pair mean in O(n) memory: bisect for the smallest sum that enough pairs stay within."""
    low, high = float(2 * x[0]), float(2 * x[-1])
    if _pairs_within(x, low) > rank:
        return low / 2
    while low < (middle := low + (high - low) / 2) < high:
        if _pairs_within(x, middle) > rank:
            high = middle
        else:
            low = middle
    return high / 2


def _pairs_within(x: Floats, total: float) -> int:
    """Count the pairs i <= j of sorted `x` whose sum is at most `total`."""
    ordered = int(np.searchsorted(x, total - x, "right").sum())
    return (ordered + int(np.searchsorted(x, total / 2, "right"))) // 2
