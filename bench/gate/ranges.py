"""The range of a counter: in words, and by how much it exceeds the allowed range."""

from __future__ import annotations

__all__ = ["Range", "severity", "words"]

Range = tuple[float, float]


def words(bounds: Range, counter: str) -> str:
    """Return a range as text with its unit: `4,096 bytes`, `0–3`."""
    low, high = (f"{value:,.10g}" for value in bounds)  # a counter is exact, so no digit is dropped
    unit = " bytes" if "bytes" in counter else ""
    return f"{low}{unit}" if bounds[0] == bounds[1] else f"{low}–{high}{unit}"


def severity(seen: Range, allowed: Range) -> float:
    """Return the factor by which a range exceeds another: 2 for twice the maximum or half the minimum; 0 if within.

    A bound of 0 is taken as 1, so that the factor is finite and still grows with the difference.
    """
    worst = 0.0
    for beyond, bound, value in (
        (allowed[0] - seen[0], allowed[0], seen[0]),
        (seen[1] - allowed[1], allowed[1], seen[1]),
    ):
        if beyond > 0:
            worst = max(worst, 1 + beyond / max(min(abs(bound), abs(value)), 1.0))
    return worst
