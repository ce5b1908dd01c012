"""The comparison of counts that repeat exactly, boot by boot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.stats.estimate import Estimate, ratio

__all__ = ["APART", "ONE_BOOT", "ExactAnswer", "answer"]

APART = 0.001  # the least change of a count that is called one, where several boots agree on it
# The same of a single boot. Between boots of other seeds medians of lookups and deletions move by 0.01 to 0.3 %, and a
# change of the plan moves where everything lies as another seed does.
ONE_BOOT = 0.005


@dataclass(frozen=True)
class ExactAnswer:
    """The word for B against A (slower, faster, same, inconclusive), B's counts in A's, and why."""

    word: str
    ratio: Estimate
    reason: str


def answer(a: Sequence[float], b: Sequence[float]) -> ExactAnswer:
    """Compare the counts of A and B, boot by boot with the same seed; raises ValueError if their numbers differ."""
    if len(a) != len(b) or not a:
        raise ValueError("each boot has a count of either side")
    made = ratio(list(b), list(a))
    if list(a) == list(b):
        return ExactAnswer("same", made, "equal to the instruction")
    if len(a) == 1:
        change, words = made.value - 1, f"one boot a side, and a change below {ONE_BOOT:.1%} may be that of a layout"
        if abs(change) < ONE_BOOT:
            return ExactAnswer("inconclusive", made, words)
        return ExactAnswer("slower" if change > 0 else "faster", made, f"more than {ONE_BOOT:.1%}, one boot a side")
    if made.low > 1 + APART:
        return ExactAnswer("slower", made, f"{len(a)} boots a side")
    if made.high < 1 - APART:
        return ExactAnswer("faster", made, f"{len(a)} boots a side")
    if made.low >= 1 - ONE_BOOT and made.high <= 1 + ONE_BOOT:
        return ExactAnswer("same", made, f"within {ONE_BOOT:.1%}, {len(a)} boots a side")
    return ExactAnswer("inconclusive", made, f"{len(a)} boots a side do not agree; give more --boots")
