"""A long stream of pairs cut, in the order measured, into as many comparisons as it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.stats.paired import Procedure, Verdict, Word, confirmed, judge

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Trial", "cut"]

FOUND = frozenset({Word.SLOWER, Word.FASTER})


@dataclass(frozen=True)
class Trial:
    """One comparison of a stream: its verdict, and the pairs [begin, end) that it used."""

    verdict: Verdict
    begin: int
    end: int

    def after(self, pairs: int) -> Trial:
        """Return it as one of a stream that has so many pairs more before."""
        return replace(self, begin=self.begin + pairs, end=self.end + pairs)


def cut(a: npt.ArrayLike, b: npt.ArrayLike, procedure: Procedure, most: int | None = None) -> list[Trial]:
    """Return the comparisons that a stream of pairs gives, at most `most`; pairs that are left over are in none.

    A finding is confirmed on the pairs that follow it. These are of the same set-up, so that an effect of the
    set-up itself would be confirmed here where a real comparison would not: more false alarms, never fewer.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    trials: list[Trial] = []
    begin = 0
    while most is None or len(trials) < most:
        first = judge(left[begin:], right[begin:], procedure)
        if first.word is None:
            break
        end, second = begin + first.pairs, None
        if first.word in FOUND:
            second = judge(left[end:], right[end:], procedure)
            if second.word is None:
                break
            end += second.pairs
        trials.append(Trial(confirmed(first, second), begin, end))
        begin = end
    return trials
