"""Holm's procedure against what it is a short cut for: the closed test of all intersections by Bonferroni."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats.holm import holm

# Few values, so that ties and p-values right at a threshold are drawn as well.
alphas = st.sampled_from([0.01, 0.05, 0.06, 0.3])
p_values = st.lists(st.one_of(st.sampled_from([0.0, 0.01, 0.012, 0.02, 0.05, 0.06, 1.0]), st.floats(0, 1)), max_size=6)


def closed(p: list[float], alpha: float) -> list[bool]:
    """Reject a hypothesis if Bonferroni rejects every intersection that it is part of."""
    members = range(len(p))
    sets = [chosen for size in range(1, len(p) + 1) for chosen in combinations(members, size)]
    return [
        all(min(p[one] for one in chosen) <= alpha / len(chosen) for chosen in sets if place in chosen)
        for place in members
    ]


@given(p=p_values, alpha=alphas)
def test_it_is_the_closed_test(p: list[float], alpha: float) -> None:
    assert holm(p, alpha) == closed(p, alpha)


@given(p=p_values, alpha=alphas, data=st.data())
def test_the_order_does_not_matter(p: list[float], alpha: float, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(p))))
    told = holm(p, alpha)
    assert holm([p[place] for place in order], alpha) == [told[place] for place in order]


@given(p=p_values, pair=st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)))
def test_a_larger_alpha_rejects_no_less(p: list[float], pair: tuple[float, float]) -> None:
    strict, lax = (holm(p, alpha) for alpha in sorted(pair))
    assert all(other or not one for one, other in zip(strict, lax, strict=True))


@given(p=p_values, alpha=alphas)
def test_it_rejects_what_bonferroni_rejects_and_nothing_above_alpha(p: list[float], alpha: float) -> None:
    for one, rejected in zip(p, holm(p, alpha), strict=True):
        assert rejected or one > alpha / len(p)
        assert not rejected or one <= alpha


def test_it_rejects_more_than_bonferroni() -> None:
    # Holm (1979), the step-down: 0.01 ≤ 0.05/3, then 0.02 ≤ 0.05/2, then 0.04 ≤ 0.05.
    assert holm([0.04, 0.01, 0.02], 0.05) == [True, True, True]
    assert holm([0.04, 0.01, 0.03], 0.05) == [False, True, False]
    assert holm([], 0.05) == []


def test_a_false_alarm_among_many_is_as_rare_as_alpha() -> None:
    random, alpha, trials = np.random.default_rng(1), 0.1, 4000
    false = sum(any(holm(random.random(10).tolist(), alpha)) for _ in range(trials))
    assert stats.binom.ppf(0.001, trials, 1 - (1 - alpha / 10) ** 10) <= false <= stats.binom.ppf(0.999, trials, alpha)


@pytest.mark.parametrize("p", [[-0.1], [1.1], [float("nan")]])
def test_what_is_no_probability_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match="is not a p-value"):
        holm(p, 0.05)
    with pytest.raises(ValueError, match="not between 0 and 1"):
        holm([0.5], p[0])
