"""Many tests, one error: Holm's step-down, so that however many figures are judged, a false alarm stays rare."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["holm"]


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Return which hypotheses are rejected, in the order given, so that any false rejection has at most `alpha`.

    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65–70: it holds
    however the tests depend on each other, and rejects all that Bonferroni rejects. Raises ValueError for what
    is no probability.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha:g}, not between 0 and 1")
    for p in p_values:
        if not 0 <= p <= 1:
            raise ValueError(f"{p:g} is not a p-value")
    rejected = [False] * len(p_values)
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[place] > alpha / (len(p_values) - done):
            break
        rejected[place] = True
    return rejected
