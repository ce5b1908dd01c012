"""The line through cells: against numpy and scipy, by its symmetries, and on data with a known answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from bench.stats.estimate import Estimate, centre, t_quantile
from bench.stats.fit import FLAT, Line, line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

DEPTHS = (1.0, 4.0, 16.0, 64.0, 128.0)

cells_of_times = st.lists(
    st.tuples(st.integers(0, 1000).map(float), st.floats(10.0, 1e6), st.floats(0.0, 0.2), st.integers(2, 200)),
    min_size=3,
    max_size=12,
)


def tails(told: Sequence[tuple[float, float, float, int]]) -> list[tuple[float, float, int]]:
    return [(value, share, n) for _, value, share, n in told]


def cell(value: float, share: float = 0.01, n: int = 10) -> Estimate:
    return Estimate(value, value - abs(value) * share, value + abs(value) * share, n, "given")


def fitted(x: Sequence[float], cells: Sequence[Estimate]) -> Line:
    told = line(x, cells)
    assert told is not None
    return told


def figures(told: Line) -> list[float]:
    return [
        *(told.intercept.value, told.intercept.low, told.intercept.high),
        *(told.slope.value, told.slope.low, told.slope.high),
        *(told.growth.value, told.growth.low, told.growth.high),
    ]


def test_coefficients_are_numpys() -> None:
    random = np.random.default_rng(0)
    y = (500 + 30 * np.array(DEPTHS)) * random.lognormal(0, 0.1, size=5)
    told = fitted(DEPTHS, [cell(value) for value in y])
    slope, intercept = np.polyfit(DEPTHS, y, 1, w=1 / y)
    assert (told.slope.value, told.intercept.value) == pytest.approx((slope, intercept), rel=1e-9)


def test_variance_is_that_of_the_matrix_formula() -> None:
    """Cov = (X'WX)⁻¹ X'W Σ WX (X'WX)⁻¹ for weights W and cells of variances Σ."""
    y = np.array([100.0, 190.0, 420.0, 1500.0, 3100.0])
    counts, shares = (5, 10, 20, 40, 8), (0.02, 0.01, 0.05, 0.03, 0.04)
    cells = [cell(value, share, n) for value, share, n in zip(y, shares, counts, strict=True)]
    told = fitted(DEPTHS, cells)
    errors = np.array([one.value * share / t_quantile(one.n - 1) for one, share in zip(cells, shares, strict=True)])
    design, weights = np.column_stack([np.ones(5), DEPTHS]), np.diag(1 / y**2)
    solve = np.linalg.inv(design.T @ weights @ design) @ design.T @ weights
    covariance = solve @ np.diag(errors**2) @ solve.T
    for place, estimate in enumerate((told.intercept, told.slope)):
        parts = (solve[place] * errors) ** 2
        freedom = parts.sum() ** 2 / (parts**2 / (np.array(counts) - 1)).sum()
        half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(covariance[place, place])
        assert (estimate.high - estimate.low) / 2 == pytest.approx(half, rel=1e-9)


def test_without_positive_centres_it_is_the_ordinary_fit() -> None:
    y = [-3.0, 1.0, 2.0, 9.0, 15.0]
    told = fitted(DEPTHS, [cell(value) for value in y])
    oracle = stats.linregress(DEPTHS, y)
    assert (told.slope.value, told.intercept.value) == pytest.approx((oracle.slope, oracle.intercept), rel=1e-9)
    assert told.r_squared == pytest.approx(oracle.rvalue**2, rel=1e-9)
    assert told.r_squared_relative == told.r_squared
    assert math.isnan(told.growth.value)  # nothing positive to be a share of
    assert told.shape == "undecided"


def test_both_kinds_of_r_squared() -> None:
    y = np.array([100.0, 190.0, 420.0, 1500.0, 3100.0])
    told = fitted(DEPTHS, [cell(value) for value in y])
    model = told.intercept.value + told.slope.value * np.array(DEPTHS)
    assert told.r_squared == pytest.approx(1 - ((y - model) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    middle = np.average(y, weights=1 / y**2)
    relative = 1 - (((y - model) / y) ** 2).sum() / (((y - middle) / y) ** 2).sum()
    assert told.r_squared_relative == pytest.approx(relative)
    assert told.residuals == pytest.approx((y - model) / y)


@given(cells_of_times, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units_of_x_and_y_do_not_matter(told: list[tuple[float, float, float, int]], of_x: float, of_y: float) -> None:
    assume(len({x for x, *_ in told}) >= 3)
    x = [one[0] for one in told]
    plain = fitted(x, [cell(*rest) for rest in tails(told)])
    scaled = fitted([at * of_x for at in x], [cell(value * of_y, share, n) for _, value, share, n in told])
    wanted = np.array(figures(plain)) * np.repeat([of_y, of_y / of_x, 1.0], 3)
    scale = np.repeat([max(map(abs, wanted[start : start + 3])) for start in (0, 3, 6)], 3)
    size = np.repeat([max(y for _, y, *_ in told) * of_y], 9) / np.repeat([1, max(x) * of_x, of_y], 3)
    assert np.all(np.abs(np.array(figures(scaled)) - wanted) <= 1e-6 * (scale + size))


@given(cells_of_times, st.randoms())
def test_order_of_cells_does_not_matter(told: list[tuple[float, float, float, int]], random: Random) -> None:
    assume(len({x for x, *_ in told}) >= 3)
    shuffled = list(told)
    random.shuffle(shuffled)
    first, second = (
        fitted([one[0] for one in some], [cell(*rest) for rest in tails(some)]) for some in (told, shuffled)
    )
    size = max(y for _, y, *_ in told)
    assert np.allclose(figures(first), figures(second), rtol=1e-6, atol=1e-6 * size)


@pytest.mark.parametrize("slope", [0.0, 20.0])
def test_a_known_line_is_covered_as_often_as_promised(slope: float) -> None:
    """Five cells of ten units; 1,000 draws: the standard error of a coverage of 95 % is 0.7 %."""
    random = np.random.default_rng(int(slope))
    truth = 1000 + slope * np.array(DEPTHS)
    lines = [fitted(DEPTHS, [centre(y * random.normal(1, 0.05, size=10)) for y in truth]) for _ in range(1000)]
    of_slope = float(np.mean([told.slope.low <= slope <= told.slope.high for told in lines]))
    of_intercept = float(np.mean([told.intercept.low <= 1000 <= told.intercept.high for told in lines]))
    assert 0.92 <= of_slope <= 0.98
    assert 0.92 <= of_intercept <= 0.98


def test_noise_alone_has_no_shape() -> None:
    random = np.random.default_rng(5)
    shapes = [fitted(DEPTHS, [centre(random.normal(1000, 200, size=10)) for _ in DEPTHS]).shape for _ in range(400)]
    assert 0 < shapes.count("grows") + shapes.count("falls") <= 400 * 0.08  # 5 % promised, two standard errors
    assert shapes.count("undecided") > 200


@pytest.mark.parametrize(
    ("first", "last", "share", "shape"),
    [
        (1000, 2000, 0.01, "grows"),
        (2000, 1000, 0.01, "falls"),
        (1000, 1010, 0.01, "flat"),
        (1000, 1050, 0.001, "flat"),  # surely more, and too little to matter
        (1000, 1000, 0.5, "undecided"),
        (1000, 1110, 0.001, "grows"),
        (1000, 890, 0.001, "falls"),
    ],
)
def test_shapes(first: float, last: float, share: float, shape: str) -> None:
    x = np.linspace(1, 9, 5)
    told = fitted(list(x), [cell(float(y), share) for y in np.linspace(first, last, 5)])
    assert told.shape == shape
    assert told.growth.value == pytest.approx(last / first - 1)
    assert (abs(told.growth.value) <= FLAT) == (shape in ("flat", "undecided"))


def test_two_places_are_no_line() -> None:
    assert line([1, 1, 2, 2], [cell(1.0)] * 4) is None
    assert line([], []) is None


def test_cells_of_one_unit_give_a_line_without_intervals() -> None:
    cells = [cell(10.0), centre([20.0]), cell(30.0)]
    told = fitted([1, 2, 3], cells)
    assert told.slope.value == pytest.approx(10)
    assert not told.slope.has_interval
    assert not told.intercept.has_interval
    assert told.shape == "undecided"


def test_cells_without_noise_give_a_line_without_width() -> None:
    told = fitted([1, 2, 3], [cell(value, 0.0) for value in (10.0, 20.0, 30.0)])
    assert told.slope.low == told.slope.high == pytest.approx(10)
    assert told.shape == "grows"
    level = fitted([1, 2, 3], [cell(7.0, 0.0)] * 3)
    assert level.shape == "flat"
    assert math.isnan(level.r_squared)


def test_counts_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="3 x for 2 cells"):
        line([1, 2, 3], [cell(1.0)] * 2)
