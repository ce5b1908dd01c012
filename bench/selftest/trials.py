"""Cut a long stream of pairs, in the order measured, into as many comparisons as it gives."""

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
        """Return the trial shifted by `pairs` that precede it in the stream."""
        return replace(self, begin=self.begin + pairs, end=self.end + pairs)


def cut(a: npt.ArrayLike, b: npt.ArrayLike, procedure: Procedure, most: int | None = None) -> list[Trial]:
    """Cut a stream of pairs into comparisons, at most `most`; pairs that remain at the end are unused.

    A finding is confirmed on the pairs that follow it. These are of the same set-up, so an effect of that set-up is
    confirmed here but not in a real comparison: there are more false alarms here, never fewer.
    """
    a_times, b_times = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    trials: list[Trial] = []
    begin = 0
    while most is None or len(trials) < most:
        first = judge(a_times[begin:], b_times[begin:], procedure)
        if first.word is None:
            break
        end, second = begin + first.pairs, None
        if first.word in FOUND:
            second = judge(a_times[end:], b_times[end:], procedure)
            if second.word is None:
                break
            end += second.pairs
        trials.append(Trial(confirmed(first, second), begin, end))
        begin = end
    return trials
