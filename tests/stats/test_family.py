"""A gate's comparisons share one error: simulated, with pairs that are judged as a gate judges them."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import stats

from bench.stats.paired import Procedure, Verdict, Word, confirmed, judge

FAMILY = 8
FAMILIES = 120
ALPHA = 0.05
LOOKS = (12, 24, 48)
NOISE = 0.06  # of the log ratio of a pair; Student's t with 3 degrees of freedom has heavier tails than times here


def verdict(random: np.random.Generator, effect: float) -> Verdict:
    """Return what a comparison at alpha divided by the family says of arms with this log ratio."""
    procedure = Procedure(ALPHA / FAMILY, 0.03, LOOKS)
    setups = []
    for _ in range(2):
        a = np.exp(random.normal(0, 0.1, procedure.cap))
        b = a * np.exp(effect + NOISE * random.standard_t(3, procedure.cap))
        setups.append(judge(a, b, procedure))
    return confirmed(*setups)


@cache
def families(slowed: int) -> list[list[Verdict]]:
    """Return families of comparisons of which `slowed` are slower by 12 %."""
    random = np.random.default_rng(slowed + 1)
    return [[verdict(random, 0.12 if number < slowed else 0.0) for number in range(FAMILY)] for _ in range(FAMILIES)]


def holm(p_values: list[float], alpha: float) -> list[bool]:
    """Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65-70."""
    rejected = [False] * len(p_values)
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[place] > alpha / (len(p_values) - done):
            break
        rejected[place] = True
    return rejected


def test_a_step_down_procedure_finds_nothing_more() -> None:
    found = 0
    for slowed in (0, 4, FAMILY):
        for family in families(slowed):
            slower = [one.word is Word.SLOWER for one in family]
            evenly = [one.p <= ALPHA / FAMILY for one in family]
            stepwise = holm([one.p for one in family], ALPHA)
            assert [one and two for one, two in zip(slower, evenly, strict=True)] == [
                one and two for one, two in zip(slower, stepwise, strict=True)
            ]
            assert slower == [one and two for one, two in zip(slower, evenly, strict=True)]
            found += sum(slower)
    assert found > FAMILIES, "there is something to be found"


def test_a_false_alarm_among_a_family_is_as_rare_as_alpha() -> None:
    alarms = sum(any(one.word is Word.SLOWER for one in family) for family in families(0))
    assert alarms <= stats.binom.ppf(0.999, FAMILIES, ALPHA)
