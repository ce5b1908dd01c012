"""The decision on pairs: its error is what it says, its sides are equals, and scipy agrees with its test."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.stats.estimate import Estimate, centre, least_values, signed_rank_p
from bench.stats.paired import LOOKS, Decision, Procedure, Word, confirmed, judge

Floats = npt.NDArray[np.float64]

OPPOSITE = {Word.SLOWER: Word.FASTER, Word.FASTER: Word.SLOWER}
TRIALS = 400
NOISE = 0.15  # of the log of a unit's time, as seen on shared machines


def times(random: np.random.Generator, n: int, factor: float = 1.0) -> tuple[Floats, Floats]:
    """Return n pairs with heavy right tails, B being `factor` times A."""
    base = random.lognormal(9, 0.05, n)  # what the two sides of a pair share
    a, b = (base * random.lognormal(0, NOISE, n) * (1 + random.pareto(4, n) * (random.random(n) < 0.1)) for _ in "ab")
    return a, factor * b


pairs = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(0, 200), st.sampled_from([0.7, 0.95, 1.0, 1.04, 1.3]))
)


@given(drawn=pairs)
def test_swapping_the_sides_swaps_slower_and_faster_and_inverts_the_ratio(drawn: tuple[int, int, float]) -> None:
    seed, n, factor = drawn
    a, b = times(np.random.default_rng(seed), n, factor)
    procedure = Procedure(looks=(12, 24, 48, 96, 192))
    told, turned = judge(a, b, procedure), judge(b, a, procedure)
    assert turned.word == (OPPOSITE.get(told.word, told.word) if told.word else None)
    assert (turned.pairs, turned.p) == (told.pairs, told.p)
    if told.ratio.n:
        inverse = [1 / told.ratio.value, 1 / told.ratio.high, 1 / told.ratio.low]
        assert [turned.ratio.value, turned.ratio.low, turned.ratio.high] == pytest.approx(inverse)


@given(drawn=pairs, scale=st.integers(-20, 20))
def test_the_unit_of_time_does_not_matter(drawn: tuple[int, int, float], scale: int) -> None:
    seed, n, factor = drawn
    a, b = times(np.random.default_rng(seed), n, factor)
    told, scaled = judge(a, b, Procedure()), judge(a * 2.0**scale, b * 2.0**scale, Procedure())
    assert (scaled.word, scaled.pairs) == (told.word, told.pairs)
    assert scaled.p == pytest.approx(told.p)


@given(drawn=pairs, more=st.integers(0, 100))
def test_pairs_after_the_deciding_look_change_nothing(drawn: tuple[int, int, float], more: int) -> None:
    seed, n, factor = drawn
    random = np.random.default_rng(seed)
    a, b = times(random, n, factor)
    told = judge(a, b, Procedure())
    extra_a, extra_b = times(random, more, 5.0)
    if told.word is not None:
        assert judge(np.append(a, extra_a), np.append(b, extra_b), Procedure()) == told


def test_equal_arms_are_called_different_no_more_often_than_alpha_says() -> None:
    random = np.random.default_rng(1)
    alpha = 0.2  # large, so that the bound below is a real one
    procedure = Procedure(alpha, 0.01, LOOKS[:5])
    found = sum(judge(*times(random, procedure.cap), procedure).word in OPPOSITE for _ in range(TRIALS))
    assert found <= stats.binom.ppf(0.999, TRIALS, alpha)
    assert found >= 1, "a test that never errs has thrown its budget away"


@pytest.mark.parametrize("n", [12, 48, 192])
def test_the_p_value_of_equal_arms_is_calibrated(n: int) -> None:
    random = np.random.default_rng(n)
    p = [signed_rank_p(np.log(a) - np.log(b)) for a, b in (times(random, n) for _ in range(1000))]
    for level in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(np.array(p) <= level) <= stats.binom.ppf(0.9999, 1000, level) / 1000
    if n > 12:  # of fewer pairs the p-values are too coarse for the test of a continuous distribution
        assert stats.kstest(p, "uniform").pvalue > 1e-4


def test_a_slowdown_is_found_and_its_ratio_covered() -> None:
    random = np.random.default_rng(2)
    told = [judge(*times(random, LOOKS[-1], 1.10), Procedure()) for _ in range(100)]
    assert sum(one.word is Word.SLOWER for one in told) >= 99
    assert sum(one.ratio.low <= 1.10 <= one.ratio.high for one in told) >= 95


def test_equal_arms_are_the_same_given_enough_pairs() -> None:
    random = np.random.default_rng(3)
    procedure = Procedure(alpha=0.01, delta=0.05, looks=(*LOOKS, 768, 1536))
    told = [judge(*times(random, 1536), procedure) for _ in range(50)]
    assert sum(one.word is Word.SAME for one in told) >= 48


values = st.lists(st.floats(-1, 1, allow_subnormal=False).filter(bool), min_size=1, max_size=60, unique_by=abs)


@given(x=values)
def test_the_p_value_is_scipys(x: list[float]) -> None:
    method = {"method": "exact"} if len(x) <= 50 else {"method": "asymptotic", "correction": True}
    oracle = stats.wilcoxon(x, **method)
    assert signed_rank_p(x) == pytest.approx(oracle.pvalue, rel=1e-9)


@given(x=st.lists(st.integers(-5, 5).map(float), min_size=10, max_size=70), level=st.sampled_from([0.2, 0.05, 0.01]))
def test_the_p_value_falls_below_a_level_just_where_the_interval_leaves_zero_out(x: list[float], level: float) -> None:
    if len(x) < least_values(1 - level):
        return
    told = centre(x, 1 - level)
    assert (signed_rank_p(x) <= level) == (told.low > 0 or told.high < 0)


@pytest.mark.parametrize(("confidence", "least"), [(0.95, 6), (0.99, 8), (0.9375, 5), (1 - 0.05 / 6, 8)])
def test_the_least_number_of_values_reaches_the_confidence_and_one_less_does_not(confidence: float, least: int) -> None:
    assert least_values(confidence) == least
    level = 1 - confidence
    assert signed_rank_p(np.arange(1.0, least + 1)) <= level * (1 + 1e-9) < signed_rank_p(np.arange(1.0, least))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"alpha": 0.0}, "alpha is 0, not between 0 and 1"),
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"delta": 0.0}, "delta is 0, not above 0"),
        ({"delta": math.inf}, "delta is inf"),
        ({"looks": ()}, "looks are not rising"),
        ({"looks": (24, 12)}, "looks are not rising"),
        ({"looks": (5,)}, r"needs at least 6 pairs: the smallest p-value of 5 is 0.062, and a look may err with 0.05"),
    ],
)
def test_a_procedure_that_makes_no_sense_says_why(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Procedure(**changes)  # type: ignore[arg-type]


def test_without_a_look_nothing_is_said() -> None:
    told = judge([1.0] * 11, [2.0] * 11, Procedure())
    assert (told.word, told.pairs, told.p) == (None, 0, 1.0)
    assert not told.ratio.has_interval


def test_at_its_cap_it_says_that_it_does_not_know() -> None:
    random = np.random.default_rng(4)
    procedure = Procedure(delta=0.01, looks=(12, 24))
    assert judge(*times(random, 24), procedure).word is Word.INCONCLUSIVE


def decision(word: Word | None, value: float = 1.1, p: float = 0.001, n: int = 24) -> Decision:
    return Decision(word, Estimate(value, value - 0.05, value + 0.05, n, "told"), n, p)


def test_a_finding_is_one_when_a_fresh_set_up_finds_it_too() -> None:
    first, second = decision(Word.SLOWER, 1.2), decision(Word.SLOWER, 1.1, p=0.02)
    told = confirmed(first, second)
    assert (told.word, told.ratio, told.p, told.pairs) == (Word.SLOWER, second.ratio, 0.02, 48)


@pytest.mark.parametrize("word", [Word.FASTER, Word.SAME, Word.INCONCLUSIVE, None])
def test_a_finding_that_a_fresh_set_up_does_not_share_is_none(word: Word | None) -> None:
    told = confirmed(decision(Word.SLOWER, 1.2), decision(word, 0.98, p=0.3))
    assert (told.word, told.p) == (Word.INCONCLUSIVE, 0.3)
    assert told.reason == "one set-up said 1.20× [1.15, 1.25], a fresh one 0.980× [0.930, 1.03]"


def test_a_finding_without_a_second_set_up_is_none() -> None:
    told = confirmed(decision(Word.FASTER, 0.8), None)
    assert (told.word, told.p, told.reason) == (
        Word.INCONCLUSIVE,
        1.0,
        "0.800× [0.750, 0.850], not confirmed on a fresh set-up",
    )


@pytest.mark.parametrize(
    ("first", "word"), [(Word.SAME, Word.SAME), (Word.INCONCLUSIVE, Word.INCONCLUSIVE), (None, Word.INCONCLUSIVE)]
)
def test_what_is_no_finding_needs_no_second_set_up(first: Word | None, word: Word) -> None:
    assert confirmed(decision(first), None).word is word


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_two_set_ups_err_less_often_than_one(seed: int) -> None:
    """The combined p-value of two equal arms is never below either part's."""
    random = np.random.default_rng(seed)
    procedure = Procedure(alpha=0.5, delta=0.001, looks=(12, 24))
    first, second = (judge(*times(random, 24), procedure) for _ in range(2))
    told = confirmed(first, second)
    if told.word in OPPOSITE:
        assert told.p >= max(first.p, second.p)
        assert first.word is second.word is told.word
