"""Rows of an analysis as mappings, and texts of cells and values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bench.model import format_size
from bench.quantities import interval, quantity
from bench.reading.analysis import Row, Wanted

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "amount",
    "cell_words",
    "estimate_text",
    "half_width",
    "matching",
    "number",
    "of",
    "pairs_words",
    "parameter",
    "percent",
    "varying",
]


def of(frame: pd.DataFrame, scenario: str) -> list[Row]:
    """Return the rows of `scenario`, each without its missing columns."""
    scenario_rows = frame[frame["scenario"] == scenario]
    present = scenario_rows.notna().to_numpy(dtype=bool)
    columns = list(scenario_rows.columns)
    return [
        {column: value for column, value, has in zip(columns, values, flags, strict=True) if has}
        for values, flags in zip(scenario_rows.astype(object).to_numpy(), present, strict=True)
    ]


def matching(rows: Iterable[Row], where: Wanted) -> list[Row]:
    """Return the rows with the values of `where`; a tuple matches any of its values."""
    wanted = {key: value if isinstance(value, tuple) else (value,) for key, value in where.items()}
    return [row for row in rows if all(row.get(key) in values for key, values in wanted.items())]


def parameter(name: str, value: Any) -> str:
    """Return a parameter as text: `size 4 KiB`, `depth 8`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{name} {format_size(value)}" if name == "size" or "bytes" in name else f"{name} {value:,}"
    return f"{name} {value}"


def pairs_words(pairs: Iterable[tuple[str, Any]]) -> str:
    """Return conditions as text; a temperature is given without its name."""
    return ", ".join(_condition(name, value) for name, value in pairs)


def _condition(name: str, value: Any) -> str:
    choices = value if isinstance(value, tuple) else (value,)
    texts = [parameter(name, choice).removeprefix(f"{name} ") for choice in choices]
    if name == "temperature":
        return " or ".join(texts)
    return f"{name} {texts[0]}" if len(texts) == 1 else f"{name} one of {', '.join(texts)}"


def cell_words(row: Row, parameters: Sequence[str], without: Iterable[str] = ()) -> str:
    """Return a cell as text, without the keys in `without`: `depth 8, hot, size 4 KiB`."""
    keys = [key for key in ("depth", "temperature", *parameters) if key in row and key not in set(without)]
    return pairs_words((key, row[key]) for key in keys)


def varying(rows: Sequence[Row], keys: Iterable[str]) -> list[str]:
    """Return the keys that have more than one value in `rows`."""
    return [key for key in keys if len({row.get(key) for row in rows}) > 1]


def number(row: Row, key: str) -> float:
    """Return a column as a number; NaN if it is missing."""
    return float(row.get(key, math.nan))


def estimate_text(row: Row, unit: str, key: str = "value") -> str:
    """Return the estimate of a row with its interval as text."""
    return interval(number(row, key), number(row, "low"), number(row, "high"), unit)


def amount(value: float, unit: str) -> str:
    """Return a count or a size as text; a count is exact, so no digit is dropped."""
    return f"{value:,.10g}" if unit == "1" else quantity(value, unit)


def half_width(row: Row, key: str = "value") -> float | None:
    """Return the precision, half the interval's width as a share of the value; None without an interval."""
    value, low, high = (number(row, name) for name in (key, "low", "high"))
    return None if math.isnan(low) or math.isnan(high) or value == 0 else (high - low) / 2 / abs(value)


def percent(row: Row, key: str = "value") -> str:
    """Return the precision as text."""
    width = half_width(row, key)
    return "–" if width is None else f"±{width:.1%}"
