"""A sequential test on pairs of whether two arms differ, and its confirmation on a second set-up.

The test looks at the pairs after fixed numbers of them (group sequential), and the error probability is split
evenly between the looks (Bonferroni, which is valid however the looks depend on each other, so that stopping
early keeps the error rate). Each look inverts the signed-rank test. Under the null hypothesis the log ratio of
a pair is symmetric about 0, because the order within the pair was random; times have heavy tails, and nothing
else is assumed of them. The test is symmetric: swapping the two sides swaps `slower` and `faster`.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.stats.estimate import Estimate, least_values, ratio, signed_rank_p

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LOOKS", "Decision", "Procedure", "Verdict", "Word", "confirmed", "judge"]

LOOKS = (12, 24, 48, 96, 192, 384)  # pairs; doubled, so that a verdict takes at most twice the pairs it needs


class Word(enum.StrEnum):
    """The outcome of a comparison, of B against A."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Procedure:
    """The parameters of the sequential test.

    `alpha` bounds the probability that two equal arms are called different at any look (two-sided).
    Ratios from 1/(1 + delta) to 1 + delta count as the same. `looks` are the numbers of pairs after which it looks.
    Raises ValueError for values out of range.
    """

    alpha: float = 0.05
    delta: float = 0.03
    looks: tuple[int, ...] = LOOKS

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha:g}, not between 0 and 1")
        if not 0 < self.delta <= 1:
            raise ValueError(f"delta is {self.delta:g}, not above 0 and up to 1")
        if not self.looks or list(self.looks) != sorted({*self.looks}) or self.looks[0] < 1:
            raise ValueError("looks are not rising numbers of pairs")
        if self.looks[-1] < self.least_pairs:
            raise ValueError(
                f"needs at least {self.least_pairs} pairs: the smallest p-value of {self.looks[-1]} is "
                f"{2.0 ** (1 - self.looks[-1]):.2g}, and a look may err with {self.level:.2g}"
            )

    @property
    def level(self) -> float:
        """The error probability of one look."""
        return self.alpha / len(self.looks)

    @property
    def least_pairs(self) -> int:
        """The least number of pairs with which the test can reject: its smallest p-value is 2 / 2^n."""
        return least_values(1 - self.level)

    @property
    def cap(self) -> int:
        """The number of pairs at the last look."""
        return self.looks[-1]


@dataclass(frozen=True)
class Decision:
    """The decision on the pairs of one set-up; `word` is None while more pairs are needed.

    `ratio` is B / A with the interval (1 - level) of the look that decided, or of the last look; it has no
    interval before the first look. `p` is the least two-sided p-value of the looks times their number.
    """

    word: Word | None
    ratio: Estimate
    pairs: int
    p: float


@dataclass(frozen=True)
class Verdict:
    """The verdict of a comparison: a difference is reported only if a fresh set-up confirmed it."""

    word: Word
    ratio: Estimate
    p: float
    reason: str
    first: Decision
    second: Decision | None = None

    @property
    def pairs(self) -> int:
        """The number of pairs of both set-ups that were tested."""
        return self.first.pairs + (self.second.pairs if self.second else 0)


def judge(a: npt.ArrayLike, b: npt.ArrayLike, procedure: Procedure) -> Decision:
    """Decide from the pairs (a[i], b[i]), positive and in the order measured, whether B is slower than A.

    Only the first look that decides counts, so the answer does not depend on later pairs. At a look, `slower`
    means an interval above 1 and an estimate of more than 1 + delta, `faster` the inverse, and `same` an
    interval from 1/(1 + delta) to 1 + delta. Raises ValueError as `bench.stats.estimate.ratio` does.
    """
    b_times, a_times = np.asarray(b, dtype=np.float64), np.asarray(a, dtype=np.float64)
    estimate, pairs, least = Estimate(math.nan, math.nan, math.nan, 0, "no look yet"), 0, 1.0
    word: Word | None = None
    for look in procedure.looks:
        if len(b_times) < look or len(a_times) < look:
            break
        estimate, pairs = ratio(b_times[:look], a_times[:look], 1 - procedure.level), look
        if look < procedure.least_pairs:
            continue
        p = signed_rank_p(np.log(b_times[:look]) - np.log(a_times[:look]))
        least = min(least, p * len(procedure.looks))
        word = _word(estimate, procedure)
        if word is not None:
            break
    if word is None and pairs == procedure.cap:
        word = Word.INCONCLUSIVE
    return Decision(word, estimate, pairs, least)


def _word(estimate: Estimate, procedure: Procedure) -> Word | None:
    bound = 1 + procedure.delta
    if estimate.low >= 1 / bound and estimate.high <= bound:
        return Word.SAME
    if estimate.low > 1 and estimate.value > bound:
        return Word.SLOWER
    if estimate.high < 1 and estimate.value < 1 / bound:
        return Word.FASTER
    return None


def confirmed(first: Decision, second: Decision | None) -> Verdict:
    """Combine the decisions of two set-ups to a verdict; `second` is None if no second one was measured.

    A difference is reported only if the second set-up finds it too: the effect of where a set-up's files lie on
    the device is constant within that set-up, so a narrow interval does not exclude it. The estimate is that of the
    second set-up, which was not selected for being large. Both had to reject, so the larger p-value is valid.
    """
    word = first.word or Word.INCONCLUSIVE
    if word not in {Word.SLOWER, Word.FASTER}:
        reason = "" if first.word else "it ended before it could tell"
        if first.word is Word.INCONCLUSIVE:
            reason = f"{first.pairs} pairs do not tell"
        return Verdict(word, first.ratio, first.p, reason, first)
    first_text = first.ratio.text("×")
    if second is None or not second.pairs:
        return Verdict(Word.INCONCLUSIVE, first.ratio, 1.0, f"{first_text}, not confirmed on a fresh set-up", first)
    p = max(first.p, second.p)
    if second.word is word:
        return Verdict(word, second.ratio, p, "confirmed on a fresh set-up", first, second)
    reason = f"one set-up said {first_text}, a fresh one {second.ratio.text('×')}"
    return Verdict(Word.INCONCLUSIVE, second.ratio, p, reason, first, second)
