"""Figures as people read them: three digits, the unit that fits, and the interval in the same unit."""

from __future__ import annotations

import math

__all__ = ["interval", "quantity", "scale"]

_TIMES = (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9))
_INSTRUCTIONS = (("instr.", 1.0), ("M instr.", 1e6))
_SIZES = (("B", 1.0), ("KiB", 2.0**10), ("MiB", 2.0**20), ("GiB", 2.0**30))
_LADDERS = {
    "ns": _TIMES,
    "instructions": _INSTRUCTIONS,
    "bytes": _SIZES,
    "bytes/s": tuple((f"{name}/s", factor) for name, factor in _SIZES),
}
DIGITS = 3
EXACT_DIGITS = 4  # of counts of instructions, which repeat to a thousandth and better


def scale(largest: float, unit: str) -> tuple[str, float]:
    """Return (unit to show, what to divide by) for values up to `largest` in `unit`."""
    ladder = _LADDERS.get(unit)
    if ladder is None:
        return unit, 1.0
    fitting = [step for step in ladder if abs(largest) >= step[1]]
    return fitting[-1] if fitting else ladder[0]


def _digits(value: float, digits: int = DIGITS) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def _joined(number: str, unit: str) -> str:
    return f"{number}{unit}" if unit == "×" else f"{number} {unit}".rstrip()


def quantity(value: float, unit: str) -> str:
    """Return one value with its unit: `1.42 µs`, `3.10×`."""
    name, factor = scale(value, unit)
    return _joined(_digits(value / factor, _precise(unit)), name)


def interval(value: float, low: float, high: float, unit: str) -> str:
    """Return a value with its interval: `1.42 µs [1.38, 1.47]`; says so where there is none (NaN)."""
    if math.isnan(low) or math.isnan(high):
        return f"{quantity(value, unit)} [one unit, no interval]"
    name, factor = scale(value, unit)
    number, least, most = (_digits(each / factor, _precise(unit)) for each in (value, low, high))
    return f"{_joined(number, name)} [{least}, {most}]"


def _precise(unit: str) -> int:
    return EXACT_DIGITS if unit == "instructions" else DIGITS
