"""Estimates from a small sample: the centre with its interval, the ratio of pairs, the spread.

Every interval comes from the spread between units (each unit is one observation) and has the same
confidence. Times on a shared machine have heavy right tails, so centres are rank based: one slow
unit in twenty moves a Hodges–Lehmann estimate little and a mean a lot. No outlier is removed.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.quantities import interval

__all__ = [
    "CONFIDENCE",
    "RANKED_FROM",
    "Estimate",
    "Spread",
    "centre",
    "geometric",
    "least_values",
    "ratio",
    "signed_rank_p",
    "spread",
    "t_quantile",
]

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95  # of a two-sided interval, by default: the convention of the field


def least_values(confidence: float) -> int:
    """Return the least n with 2 / 2^n <= 1 - confidence; the whole range of fewer values has a lower confidence."""
    return math.ceil(math.log2(2 / (1 - confidence)) - 1e-9)


RANKED_FROM = least_values(CONFIDENCE)  # 6
EXACT_UP_TO = 50  # values: signed-rank tables in textbooks end here, and R's wilcox.test switches here too
PAIRS_UP_TO = 512  # values: up to here all pair means are held in memory (1 MiB); above, they are counted
FAR_OUT = 3.0  # interquartile ranges beyond a quartile: Tukey, Exploratory Data Analysis (1977), section 2D

RANKED = "Hodges–Lehmann, signed-rank interval"
STUDENT = "mean, Student's t interval"
SINGLE = "one value, no interval"


@dataclass(frozen=True)
class Estimate:
    """A value with its interval [low, high] from n observations, in the unit of the observations.

    If there is no interval (as for n = 1), `low` and `high` are NaN. `method` names the method in words.
    """

    value: float
    low: float
    high: float
    n: int
    method: str

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def relative_half_width(self) -> float:
        """Half the interval's width as a share of the value; NaN without an interval."""
        half = (self.high - self.low) / 2
        if self.value == 0:
            return half if half == 0 or math.isnan(half) else math.inf
        return half / abs(self.value)

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate multiplied by `factor`, which must be positive."""
        return replace(self, value=self.value * factor, low=self.low * factor, high=self.high * factor)

    def text(self, unit: str) -> str:
        """Return the value and its interval with `unit`, the unit of the value: `1.42 µs [1.38, 1.47]`."""
        return interval(self.value, self.low, self.high, unit)


@dataclass(frozen=True)
class Spread:
    """The range of the observations; outliers are counted, never removed."""

    minimum: float
    maximum: float
    median: float
    outliers: int


def centre(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the centre of the distribution of `values`, with its interval of `confidence`.

    From 6 values on (at 95 %): the Hodges–Lehmann estimate (the median of the means of all pairs,
    including each value with itself) and the interval that inverts the signed-rank test, exact up to
    50 values, by the normal approximation above (Hodges and Lehmann 1963; Hollander, Wolfe and Chicken,
    Nonparametric Statistical Methods, 3.2 and 3.3). It is valid for a symmetric distribution of any shape.
    From 2 to 5 values: the mean with Student's t interval, because the widest signed-rank interval of
    n values has a confidence of only 1 - 2 / 2^n, which is 93.75 % for 5. One value has no interval.
    Raises ValueError for no values, or values that are not finite.
    """
    x = np.sort(_finite(values))
    n = len(x)
    if n == 1:
        return Estimate(float(x[0]), math.nan, math.nan, 1, SINGLE)
    if n < least_values(confidence):
        mean = float(np.mean(x))
        half = t_quantile(n - 1, confidence) * float(np.std(x, ddof=1)) / math.sqrt(n)
        return Estimate(mean, mean - half, mean + half, n, STUDENT)
    pairs = n * (n + 1) // 2
    cut = _signed_rank_cut(n, (1 - confidence) / 2)
    low, below, above, high = _pair_means(x, (cut, (pairs - 1) // 2, pairs // 2, pairs - 1 - cut))
    return Estimate((below + above) / 2, low, high, n, RANKED)


def signed_rank_p(values: npt.ArrayLike) -> float:
    """Return the two-sided p-value of the signed-rank test that `values` are symmetric about 0.

    This is the test that `centre` inverts: the p-value is below 1 - confidence exactly if the interval of
    that confidence excludes 0. Values of 0, and pairs of values whose sum is 0, count for neither side.
    """
    x = np.sort(_finite(values))
    pairs = len(x) * (len(x) + 1) // 2
    above, below = pairs - _pairs_within(x, 0.0), pairs - _pairs_within(-x[::-1], 0.0)
    return min(1.0, 2 * _signed_rank_tail(len(x), pairs - max(above, below)))


def ratio(a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the estimate of a / b from the pairs (a[i], b[i]): `centre` of the log ratios, as a factor.

    With logarithms the estimate of b / a is the inverse of that of a / b. Raises ValueError for arrays
    of different length, no pairs, or values that are not positive.
    """
    numerators, denominators = _finite(a), _finite(b)
    if len(numerators) != len(denominators):
        raise ValueError(f"pairs need two arrays of one length, not {len(numerators)} and {len(denominators)}")
    if min(numerators.min(), denominators.min()) <= 0:
        raise ValueError("a ratio needs positive values")
    logs = centre(np.log(numerators) - np.log(denominators), confidence)
    return Estimate(
        math.exp(logs.value), math.exp(logs.low), math.exp(logs.high), logs.n, f"{logs.method}, of log ratios"
    )


def geometric(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return `centre` of the logarithms of positive `values`, as a value: an interval that never reaches zero."""
    numbers = _finite(values)
    return replace(ratio(numbers, np.ones_like(numbers), confidence), method=f"{centre(numbers).method}, of logarithms")


def spread(values: npt.ArrayLike) -> Spread:
    """Return the range and the median of `values`, and how many are outside Tukey's outer fences."""
    x = np.sort(_finite(values))
    first, median, third = (_quantile(x, share) for share in (0.25, 0.5, 0.75))
    fence = FAR_OUT * (third - first)
    inside = int(np.searchsorted(x, third + fence, "right") - np.searchsorted(x, first - fence, "left"))
    return Spread(float(x[0]), float(x[-1]), median, len(x) - inside)


@functools.lru_cache(maxsize=4096)
def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return the quantile of Student's t with `freedom` degrees of freedom for a two-sided interval of `confidence`."""
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def _finite(values: npt.ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0:
        raise ValueError("no values")
    if not np.isfinite(x).all():
        raise ValueError("a value is not finite")
    return x


def _quantile(x: Floats, share: float) -> float:
    """Return a quantile of sorted values by linear interpolation, as numpy does but with less overhead."""
    position = (len(x) - 1) * share
    index = int(position)
    after = min(index + 1, len(x) - 1)
    return float(x[index] + (x[after] - x[index]) * (position - index))


@functools.lru_cache(maxsize=4096)
def _signed_rank_cut(n: int, tail: float) -> int:
    """Return the largest c with P(T <= c) <= tail, T the signed-rank statistic of n values.

    The interval then runs from the (c+1)-th smallest pair mean to the (c+1)-th largest.
    """
    if n > EXACT_UP_TO:
        mean, deviation = _signed_rank_moments(n)
        return math.floor(mean + float(special.ndtri(tail)) * deviation - 0.5)
    return int(np.searchsorted(_signed_rank_table(n), tail, "right")) - 1


def _signed_rank_tail(n: int, t: int) -> float:
    """Return P(T <= t), T the signed-rank statistic of n values."""
    if n > EXACT_UP_TO:
        mean, deviation = _signed_rank_moments(n)
        return float(special.ndtr((t + 0.5 - mean) / deviation))
    return float(_signed_rank_table(n)[t])


def _signed_rank_moments(n: int) -> tuple[float, float]:
    return n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)


@functools.lru_cache(maxsize=EXACT_UP_TO)
def _signed_rank_table(n: int) -> Floats:
    """Return P(T <= t) for every t: the share of the 2^n subsets of the ranks 1..n whose sum is at most t."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return np.asarray(np.cumsum(ways) / 2.0**n)


def _pair_means(x: Floats, ranks: tuple[int, ...]) -> list[float]:
    """Return the pair means (i <= j) of sorted `x` at these ranks, counted from 0."""
    if len(x) > PAIRS_UP_TO:
        return [_counted_pair_mean(x, rank) for rank in ranks]
    sums = np.add.outer(x, x)[_upper(len(x))]
    sums.partition(ranks)
    return [float(sums[rank]) / 2 for rank in ranks]


@functools.lru_cache(maxsize=64)
def _upper(n: int) -> npt.NDArray[np.bool_]:
    return np.triu(np.ones((n, n), dtype=np.bool_))


def _counted_pair_mean(x: Floats, rank: int) -> float:
    """Return one pair mean in O(n) memory: bisect for the smallest sum that more than `rank` pairs do not exceed."""
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
