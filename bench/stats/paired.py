"""Are two arms different, and by how much? A sequential decision on pairs, and its confirmation.

Pairs are looked at after fixed numbers of them, and the error budget is split evenly between the looks
(Bonferroni: it holds however the looks depend on each other, so that stopping early costs no validity).
At each look the signed-rank test is inverted: under "no difference" the log ratio of a pair is symmetric
about 0, because the order within the pair was drawn at random, and nothing else is assumed of times that
have heavy tails. A pair's two sides are equals: swapping them turns `slower` into `faster` and nothing else.
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

LOOKS = (12, 24, 48, 96, 192, 384)  # pairs; doubling, so that an effect costs at most twice the pairs it needs


class Word(enum.StrEnum):
    """What is said of B against A."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Procedure:
    """How a comparison decides.

    `alpha`: the probability, at most, that two equal arms are called different at any look (two-sided).
    `delta`: ratios within 1/(1 + delta) and 1 + delta are the same. `looks`: after how many pairs it looks.
    Raises ValueError where that makes no sense.
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
        """The error of one look."""
        return self.alpha / len(self.looks)

    @property
    def least_pairs(self) -> int:
        """The pairs from which on the test can find anything: its smallest p-value is 2 / 2^n."""
        return least_values(1 - self.level)

    @property
    def cap(self) -> int:
        """The pairs after which it gives up."""
        return self.looks[-1]


@dataclass(frozen=True)
class Decision:
    """What the pairs of one set-up say; `word` is None while more pairs are needed.

    `ratio` is B / A with the interval of the deciding look (1 - level), or of the last one; without an
    interval before the first look. `p` is the least of the looks' two-sided p-values times their number.
    """

    word: Word | None
    ratio: Estimate
    pairs: int
    p: float


@dataclass(frozen=True)
class Verdict:
    """What a comparison says in the end: a finding only if a fresh set-up found it again."""

    word: Word
    ratio: Estimate
    p: float
    reason: str
    first: Decision
    second: Decision | None = None

    @property
    def pairs(self) -> int:
        """The pairs of both set-ups that were looked at."""
        return self.first.pairs + (self.second.pairs if self.second else 0)


def judge(a: npt.ArrayLike, b: npt.ArrayLike, procedure: Procedure) -> Decision:
    """Judge pairs (a[i] and b[i] belong together, in the order measured; positive): whether B is slower than A.

    Only the first look that decides counts, so that the answer does not depend on what came later. At a look,
    `slower` means an interval above 1 and an estimate of more than 1 + delta, `faster` the inverse, and `same`
    an interval within delta on both sides. Raises ValueError as `bench.stats.estimate.ratio`.
    """
    top, bottom = np.asarray(b, dtype=np.float64), np.asarray(a, dtype=np.float64)
    told, seen, least = Estimate(math.nan, math.nan, math.nan, 0, "no look yet"), 0, 1.0
    word: Word | None = None
    for look in procedure.looks:
        if len(top) < look or len(bottom) < look:
            break
        told, seen = ratio(top[:look], bottom[:look], 1 - procedure.level), look
        if look < procedure.least_pairs:
            continue
        p = signed_rank_p(np.log(top[:look]) - np.log(bottom[:look]))
        least = min(least, p * len(procedure.looks))
        word = _word(told, procedure)
        if word is not None:
            break
    if word is None and seen == procedure.cap:
        word = Word.INCONCLUSIVE
    return Decision(word, told, seen, least)


def _word(told: Estimate, procedure: Procedure) -> Word | None:
    bound = 1 + procedure.delta
    if told.low >= 1 / bound and told.high <= bound:
        return Word.SAME
    if told.low > 1 and told.value > bound:
        return Word.SLOWER
    if told.high < 1 and told.value < 1 / bound:
        return Word.FASTER
    return None


def confirmed(first: Decision, second: Decision | None) -> Verdict:
    """Return what two set-ups say together, `second` being None where none was measured.

    A finding is one only if the second set-up finds it too: an effect of where a set-up's files came to lie is
    constant within it and fits inside a tight interval. The estimate is then the second's, which was not
    selected for being large; and both had to reject, so the larger p-value is valid for the two.
    """
    word = first.word or Word.INCONCLUSIVE
    if word not in {Word.SLOWER, Word.FASTER}:
        reason = "" if first.word else "it ended before it could tell"
        if first.word is Word.INCONCLUSIVE:
            reason = f"{first.pairs} pairs do not tell"
        return Verdict(word, first.ratio, first.p, reason, first)
    seen = first.ratio.text("×")
    if second is None or not second.pairs:
        return Verdict(Word.INCONCLUSIVE, first.ratio, 1.0, f"{seen}, not confirmed on a fresh set-up", first)
    p = max(first.p, second.p)
    if second.word is word:
        return Verdict(word, second.ratio, p, "confirmed on a fresh set-up", first, second)
    reason = f"one set-up said {seen}, a fresh one {second.ratio.text('×')}"
    return Verdict(Word.INCONCLUSIVE, second.ratio, p, reason, first, second)
