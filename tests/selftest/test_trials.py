"""A stream cut into comparisons: each uses its own pairs, in order, and says what it would say alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.selftest.trials import cut
from bench.stats.paired import Procedure, Word, confirmed, judge

PROCEDURE = Procedure(alpha=0.2, looks=(12, 24))


def stream(seed: int, pairs: int, factor: float) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    a, b = random.lognormal(0, 0.05, (2, pairs))
    return a.tolist(), (b * factor).tolist()


drawn = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 200), st.sampled_from([0.8, 1.0, 1.04, 1.2]))


@given(told=drawn)
def test_trials_lie_one_after_the_other_and_say_what_their_pairs_say(told: tuple[int, int, float]) -> None:
    a, b = stream(*told)
    place = 0
    for trial in cut(a, b, PROCEDURE):
        assert trial.begin == place
        place = trial.end
        mine = slice(trial.begin, trial.end)
        first = judge(a[mine], b[mine], PROCEDURE)
        rest = slice(trial.begin + first.pairs, trial.end)
        second = judge(a[rest], b[rest], PROCEDURE) if trial.end - trial.begin > first.pairs else None
        assert confirmed(first, second) == trial.verdict
    assert place <= len(a)


@given(told=drawn, most=st.integers(0, 5))
def test_no_more_trials_than_asked_for_and_the_same_ones(told: tuple[int, int, float], most: int) -> None:
    a, b = stream(*told)
    assert cut(a, b, PROCEDURE, most) == cut(a, b, PROCEDURE)[:most]


def test_a_slowdown_is_found_in_every_trial_and_equal_arms_in_none() -> None:
    slower = cut(*stream(1, 480, 1.2), PROCEDURE)
    assert {trial.verdict.word for trial in slower} == {Word.SLOWER}
    assert len(slower) == 20, "twelve pairs to find it, twelve to confirm"
    assert Word.SLOWER not in {trial.verdict.word for trial in cut(*stream(2, 480, 1.0), PROCEDURE)}


def test_a_finding_whose_confirmation_is_cut_short_is_no_trial() -> None:
    a, b = stream(1, 20, 1.2)
    assert cut(a, b, PROCEDURE) == []
