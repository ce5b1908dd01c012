"""What is drawn once in a run: found where it is, not where it is not, and then the intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.stats.between import LEAST_CONTROLS, allowing, between
from bench.stats.estimate import Estimate, ratio

UNITS = 10
NOISE = 0.05  # of a unit's log ratio
CONTROLS = 12


def drawn(rng: np.random.Generator, deviation: float, units: int = UNITS) -> Estimate:
    """Return the ratio of two stacks of one maker that are `deviation` apart, by drawing."""
    logs = rng.normal(rng.normal(0, deviation), NOISE, units)
    return ratio(np.exp(logs), np.ones(units))


def held(deviation: float, *, allowed: bool, rounds: int = 400) -> float:
    """Return in what share of runs the interval of a ratio, which is 1, holds 1."""
    rng = np.random.default_rng(1)
    good = 0
    for _ in range(rounds):
        controls = [drawn(rng, deviation) for _ in range(CONTROLS)]
        told = drawn(rng, deviation)
        told = allowing(told, controls) if allowed else told
        good += told.low <= 1 <= told.high
    return good / rounds


def test_without_it_intervals_miss_and_with_it_they_hold() -> None:
    assert held(0.04, allowed=False) < 0.70
    assert held(0.04, allowed=True) > 0.92


def test_where_nothing_is_drawn_intervals_hold_and_are_little_wider() -> None:
    assert held(0.0, allowed=True) > 0.93
    rng = np.random.default_rng(2)
    wider = []
    for _ in range(200):
        controls, told = [drawn(rng, 0.0) for _ in range(CONTROLS)], drawn(rng, 0.0)
        more = allowing(told, controls)
        wider.append(math.log(more.high / more.low) / math.log(told.high / told.low))
    assert 1 <= np.median(wider) < 1.1


@pytest.mark.parametrize("deviation", [0.02, 0.05, 0.2])
def test_it_finds_how_much_was_drawn(deviation: float) -> None:
    rng = np.random.default_rng(3)
    found = [between([drawn(rng, deviation, 40) for _ in range(CONTROLS)]) for _ in range(200)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(deviation, rel=0.1)


def test_a_cause_is_still_told() -> None:
    rng = np.random.default_rng(4)
    controls = [drawn(rng, 0.01) for _ in range(CONTROLS)]
    cause = ratio(np.exp(rng.normal(0.2, NOISE, UNITS)), np.ones(UNITS))
    assert allowing(cause, controls).low > 1


def test_of_one_and_its_inverse_the_intervals_are_each_others_inverse() -> None:
    rng = np.random.default_rng(5)
    controls = [drawn(rng, 0.05) for _ in range(CONTROLS)]
    a, b = np.exp(rng.normal(0, NOISE, (2, UNITS)))
    one, other = allowing(ratio(a, b), controls), allowing(ratio(b, a), controls)
    assert (one.low, one.high) == pytest.approx((1 / other.high, 1 / other.low))


def test_too_few_controls_say_nothing() -> None:
    rng = np.random.default_rng(6)
    controls = [drawn(rng, 0.5) for _ in range(LEAST_CONTROLS - 1)]
    told = drawn(rng, 0.0)
    assert math.isnan(between(controls))
    assert allowing(told, controls) == told


def test_what_has_no_interval_gets_none() -> None:
    rng = np.random.default_rng(7)
    controls = [drawn(rng, 0.05) for _ in range(CONTROLS)]
    single = ratio([1.1], [1.0])
    assert not allowing(single, controls).has_interval
    assert between([*controls, single]) == between(controls)
