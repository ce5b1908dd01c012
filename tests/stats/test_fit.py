"""The line through the units of cells: by its symmetries, against numpy, and on data with a known answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.fit import FLAT, Line, line
from bench.stats.pooled import Pool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

DEPTHS = (1.0, 4.0, 16.0, 64.0, 128.0)

Cells = list[tuple[float, float, float]]  # x, time, and by how much its three units differ


@st.composite
def near_a_line(draw: st.DrawFn) -> Cells:
    slope = draw(st.floats(0, 100))
    shape = st.tuples(st.integers(0, 1000).map(float), st.floats(0.8, 1.25), st.floats(1e-3, 0.2))
    cells = draw(st.lists(shape, min_size=3, max_size=8, unique_by=lambda cell: cell[0]))
    return [(x, (100 + slope * x) * factor, share) for x, factor, share in cells]


def fitted(x: Sequence[float], times: Sequence[float], shares: Sequence[float], units: int = 3) -> Line:
    """Fit cells of so many units, each a share above or below its time; they were measured by rising x."""
    around = np.linspace(-1, 1, units)
    values = [time * math.exp(share * step) for time, share in zip(times, shares, strict=True) for step in around]
    blocks = (units * np.argsort(np.argsort(x))[:, np.newaxis] + np.arange(units)).ravel()
    pool = Pool(values, np.repeat(np.arange(len(x)), units), blocks)
    made = line(pool, x)
    assert made is not None
    return made


def of_cells(cells: Cells, of_x: float = 1.0, of_y: float = 1.0) -> Line:
    x, times, shares = zip(*cells, strict=True)
    return fitted([at * of_x for at in x], [time * of_y for time in times], shares)


def figures(made: Line) -> list[float]:
    return [
        *(made.intercept.value, made.intercept.low, made.intercept.high),
        *(made.slope.value, made.slope.low, made.slope.high),
        *(made.growth.value, made.growth.low, made.growth.high),
    ]


def test_near_a_line_it_is_numpys_weighted_fit() -> None:
    random = np.random.default_rng(0)
    y = (500 + 30 * np.array(DEPTHS)) * random.lognormal(0, 0.005, size=5)
    made = fitted(DEPTHS, y.tolist(), [0.01] * 5)
    slope, intercept = np.polyfit(DEPTHS, y, 1, w=1 / y)
    assert (made.slope.value, made.intercept.value) == pytest.approx((slope, intercept), rel=1e-2)


def test_both_kinds_of_r_squared() -> None:
    y = np.array([100.0, 190.0, 420.0, 1500.0, 3100.0])
    made = fitted(DEPTHS, y.tolist(), [0.01] * 5)
    model = made.intercept.value + made.slope.value * np.array(DEPTHS)
    assert made.r_squared == pytest.approx(1 - ((y - model) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    middle = np.average(y, weights=1 / y**2)
    relative = 1 - (((y - model) / y) ** 2).sum() / (((y - middle) / y) ** 2).sum()
    assert made.r_squared_relative == pytest.approx(relative)
    assert made.residuals == pytest.approx((y - model) / y)


@given(near_a_line(), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units_of_x_and_y_do_not_matter(cells: Cells, of_x: float, of_y: float) -> None:
    plain, scaled = of_cells(cells), of_cells(cells, of_x, of_y)
    wanted = np.array(figures(plain)) * np.repeat([of_y, of_y / of_x, 1.0], 3)
    scale = np.repeat([max(map(abs, wanted[start : start + 3])) for start in (0, 3, 6)], 3)
    largest_x, largest_y = (max(cell[place] for cell in cells) for place in (0, 1))
    size = np.repeat([largest_y * of_y], 9) / np.repeat([1, largest_x * of_x, of_y], 3)
    assert np.all(np.abs(np.array(figures(scaled)) - wanted) <= 1e-3 * (scale + size))


@given(near_a_line(), st.randoms())
def test_order_of_cells_does_not_matter(cells: Cells, random: Random) -> None:
    shuffled = list(cells)
    random.shuffle(shuffled)
    size = max(y for _, y, _ in cells)
    assert np.allclose(figures(of_cells(cells)), figures(of_cells(shuffled)), rtol=1e-3, atol=1e-4 * size)


def test_a_slow_unit_moves_it_little() -> None:
    random = np.random.default_rng(6)
    logs = np.log(np.repeat(1000 + 30 * np.array(DEPTHS), 10)) + random.normal(0, 0.02, 50)
    cells, blocks = np.repeat(np.arange(5), 10), np.tile(np.arange(10), 5)
    calm = line(Pool(np.exp(logs), cells, blocks), DEPTHS)
    logs[[7, 23, 44]] += (2.0, 1.0, 3.0)
    disturbed = line(Pool(np.exp(logs), cells, blocks), DEPTHS)
    assert calm is not None
    assert disturbed is not None
    assert disturbed.slope.value == pytest.approx(calm.slope.value, rel=0.03)


def test_noise_alone_has_no_shape() -> None:
    random = np.random.default_rng(5)
    cells, blocks = np.repeat(np.arange(5), 10), np.tile(np.arange(10), 5)
    shapes = []
    for _ in range(400):
        made = line(Pool(random.lognormal(7, 0.2, 50), cells, blocks), DEPTHS)
        assert made is not None
        shapes.append(made.shape)
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
    made = fitted(list(np.linspace(1, 9, 5)), np.linspace(first, last, 5).tolist(), [share] * 5)
    assert made.shape == shape
    assert made.growth.value == pytest.approx(last / first - 1, abs=1e-6)
    assert (abs(made.growth.value) <= FLAT) == (shape in ("flat", "undecided"))


def test_two_places_are_no_line() -> None:
    assert line(Pool([1.0, 1.0, 1.0, 2.0], [0, 1, 2, 3], [0] * 4), [1, 1, 2, 2]) is None


def test_cells_of_one_unit_give_a_line_without_intervals() -> None:
    made = fitted([1, 2, 3], [10.0, 20.0, 30.0], [0.0] * 3, units=1)
    assert made.slope.value == pytest.approx(10)
    assert not made.slope.has_interval
    assert not made.intercept.has_interval
    assert made.shape == "undecided"


def test_cells_without_noise_give_a_line_without_width() -> None:
    made = fitted([1, 2, 3], [10.0, 20.0, 30.0], [0.0] * 3)
    assert made.slope.low == made.slope.high == pytest.approx(10)
    assert made.shape == "grows"
    level = fitted([1, 2, 3], [7.0] * 3, [0.0] * 3)
    assert level.shape == "flat"
    assert math.isnan(level.r_squared)


def test_counts_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="3 x for 2 cells"):
        line(Pool([1.0, 1.0], [0, 1], [0, 0]), [1, 2, 3])
