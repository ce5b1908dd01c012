"""Between what a counter lies, in words, and by how much that is beyond what was allowed."""

from __future__ import annotations

__all__ = ["Range", "severity", "words"]

Range = tuple[float, float]


def words(told: Range, counter: str) -> str:
    """Return a range with its unit: `4,096 bytes`, `0–3`."""
    low, high = (f"{value:,.10g}" for value in told)  # a counter is exact, so it keeps its digits
    unit = " bytes" if "bytes" in counter else ""
    return f"{low}{unit}" if told[0] == told[1] else f"{low}–{high}{unit}"


def severity(seen: Range, allowed: Range) -> float:
    """Return by what factor a range is beyond another: 2 for twice the most or half the least; 0 within.

    A bound of 0 has no factor; 1 stands for it, so that the result stays finite and still grows.
    """
    worst = 0.0
    for beyond, bound, value in (
        (allowed[0] - seen[0], allowed[0], seen[0]),
        (seen[1] - allowed[1], allowed[1], seen[1]),
    ):
        if beyond > 0:
            worst = max(worst, 1 + beyond / max(min(abs(bound), abs(value)), 1.0))
    return worst
