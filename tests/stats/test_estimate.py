"""Centres, ratios and spreads: against scipy, by their symmetries, and on data with a known answer."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats import estimate
from bench.stats.estimate import CONFIDENCE, Estimate, centre, ratio, spread

if TYPE_CHECKING:
    from random import Random

times = st.floats(1.0, 1e9)
samples = st.lists(times, min_size=1, max_size=30)
pairs = st.lists(st.tuples(times, times), min_size=1, max_size=30)


def close(told: Estimate, wanted: tuple[float, float, float], *, within: float = 0.0) -> None:
    assert (told.value, told.low, told.high) == pytest.approx(wanted, rel=1e-9, abs=within, nan_ok=True)


@given(samples, st.floats(1e-6, 1e6))
def test_centre_scales_with_its_values(values: list[float], factor: float) -> None:
    told = centre(values)
    close(centre([value * factor for value in values]), (told.value * factor, told.low * factor, told.high * factor))


@given(samples, st.floats(-1e9, 1e9))
def test_centre_shifts_with_its_values(values: list[float], by: float) -> None:
    told = centre(values)
    close(centre([value + by for value in values]), (told.value + by, told.low + by, told.high + by), within=1e-4)


@given(samples)
def test_centre_of_mirrored_values_is_mirrored(values: list[float]) -> None:
    told = centre(values)
    close(centre([-value for value in values]), (-told.value, -told.high, -told.low), within=1e-4)


@given(samples, st.randoms())
def test_order_does_not_matter(values: list[float], random: Random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert repr(centre(shuffled)) == repr(centre(values))
    assert spread(shuffled) == spread(values)


@given(pairs)
def test_swapping_the_sides_inverts_a_ratio(told: list[tuple[float, float]]) -> None:
    a, b = zip(*told, strict=True)
    there, back = ratio(a, b), ratio(b, a)
    close(back, (1 / there.value, 1 / there.high, 1 / there.low))


@given(pairs, st.floats(1e-3, 1e3))
def test_a_cost_common_to_both_sides_cancels(told: list[tuple[float, float]], factor: float) -> None:
    a, b = (np.array(side) for side in zip(*told, strict=True))
    plain = ratio(a, b)
    close(ratio(a * factor, b * factor), (plain.value, plain.low, plain.high), within=1e-9)


@pytest.mark.parametrize("n", [6, 7, 10, 25, 50])
def test_centre_is_the_median_of_all_pair_means(n: int) -> None:
    values = np.random.default_rng(n).lognormal(size=n)
    means = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2)]
    assert centre(values).value == pytest.approx(float(np.median(means)), rel=1e-12)


@pytest.mark.parametrize("n", [6, 7, 8, 10, 15, 25, 50])
def test_interval_is_what_the_signed_rank_test_does_not_reject(n: int) -> None:
    values = np.random.default_rng(n).normal(100, 10, size=n)
    told = centre(values)

    def p(middle: float) -> float:
        return float(stats.wilcoxon(values - middle, method="exact").pvalue)

    hair = 1e-9
    assert p(told.low + hair) > 1 - CONFIDENCE
    assert p(told.high - hair) > 1 - CONFIDENCE
    assert p(told.low - hair) <= 1 - CONFIDENCE
    assert p(told.high + hair) <= 1 - CONFIDENCE


def test_normal_approximation_joins_the_exact_table() -> None:
    exact = estimate._signed_rank_cut(estimate.EXACT_UP_TO, 0.025)
    after = estimate._signed_rank_cut(estimate.EXACT_UP_TO + 1, 0.025)
    assert exact == 434  # n = 50, two-sided 5 %: the last line of the usual table
    assert after == pytest.approx(exact + 19, abs=1)  # the table's last steps are 17, 18, 19


def test_few_values_have_students_interval() -> None:
    values = [4.0, 5.0, 9.0]
    low, high = stats.t.interval(CONFIDENCE, 2, loc=6.0, scale=stats.sem(values))
    close(centre(values), (6.0, float(low), float(high)))
    assert centre(values).method == estimate.STUDENT
    assert centre([*values, 6.0, 7.0, 8.0]).method == estimate.RANKED


def test_one_value_has_no_interval() -> None:
    told = centre([5.0])
    assert told.value == 5.0
    assert not told.has_interval
    assert math.isnan(told.relative_half_width)


def test_many_values_are_counted_to_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).lognormal(8, 0.3, size=400).round()  # with ties
    paired = centre(values)
    monkeypatch.setattr(estimate, "PAIRS_UP_TO", 10)
    assert centre(values) == paired


def test_relative_half_width() -> None:
    assert Estimate(-10.0, -12.0, -8.0, 9, "").relative_half_width == 0.2
    assert Estimate(0.0, 0.0, 0.0, 9, "").relative_half_width == 0
    assert Estimate(0.0, -1.0, 1.0, 9, "").relative_half_width == math.inf


@pytest.mark.parametrize("n", [3, 6, 10, 60])
@pytest.mark.parametrize("tails", [5, 1000])  # degrees of freedom: heavy, next to normal
def test_a_null_is_covered_as_often_as_promised(n: int, tails: int) -> None:
    """2,000 draws: the standard error of a coverage of 95 % is 0.5 %."""
    draws = np.random.default_rng([n, tails]).standard_t(tails, size=(2000, n)) + 7
    told = [centre(draw) for draw in draws]
    covered = float(np.mean([one.low <= 7 <= one.high for one in told]))
    # 6 values: the nearest that the signed-rank statistic has is 1 - 2/64 = 96.9 %.
    assert 0.935 <= covered <= (0.985 if n <= 6 else 0.97)


def test_a_null_ratio_is_covered_as_often_as_promised_whatever_the_blocks_do() -> None:
    random = np.random.default_rng(11)
    covered = []
    for _ in range(2000):
        block = random.lognormal(8, 2, size=12)  # slow and fast blocks, common to both arms
        told = ratio(block * random.lognormal(0, 0.05, size=12), block * random.lognormal(0, 0.05, size=12))
        covered.append(told.low <= 1 <= told.high)
    assert 0.935 <= float(np.mean(covered)) <= 0.97


def test_outliers_are_counted_and_kept() -> None:
    values = [10.0, 11.0, 12.0, 13.0, 14.0, 100.0, -50.0]
    told = spread(values)
    assert (told.minimum, told.maximum, told.median, told.outliers) == (-50.0, 100.0, 12.0, 2)
    assert centre(values).n == 7


@given(samples)
def test_spread_agrees_with_numpy(values: list[float]) -> None:
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
    told = spread(values)
    assert (told.minimum, told.maximum) == (min(values), max(values))
    assert told.median == pytest.approx(median, rel=1e-12)
    fence = estimate.FAR_OUT * (third - first)
    hair = 1e-9 * max(values)
    surely = [value for value in values if not first - fence - hair <= value <= third + fence + hair]
    maybe = [value for value in values if not first - fence + hair <= value <= third + fence - hair]
    assert len(surely) <= told.outliers <= len(maybe)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [[1.0], [2.0]]])
def test_what_is_not_a_list_of_numbers_is_refused(values: list[float]) -> None:
    for ask in (centre, spread):
        with pytest.raises(ValueError, match=r"no values|not finite"):
            ask(values)


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([1.0], [-1.0]), ([], [])])
def test_what_is_not_pairs_of_positive_values_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"one length|positive|no values"):
        ratio(a, b)
