"""A table of a TOML file whose values are asked for by type; what does not fit is one error that says so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """What a table holds; `name` is how errors call it."""

    name: str
    told: Mapping[str, Any]

    def number(
        self,
        key: str,
        default: float,
        *,
        above: float = -math.inf,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> float:
        """Return a finite number that is above one bound and within [least, most]."""
        value = self.told.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "it is not a number", f"write it like {key} = {default:g}")
        if not (math.isfinite(value) and above < value and least <= value <= most):
            raise self._wrong(key, f"it must be {_range(above, least, most)}")
        return float(value)

    def text(self, key: str, default: str = "") -> str:
        """Return a text that is not empty, unless it is the default."""
        value = self.told.get(key, default)
        if not isinstance(value, str) or (key in self.told and not value.strip()):
            raise self._wrong(key, "it is not a text", f'write it in quotes, {key} = "…"')
        return value

    def word(self, key: str, default: str, words: Sequence[str]) -> str:
        """Return one of `words`."""
        value = self.text(key, default)
        if value not in words:
            raise nearest(f"{self.name} value of {key},", value, words)
        return value

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.told[key]
        if not isinstance(value, bool):
            raise self._wrong(key, "it is neither true nor false")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a text, or each of a list of texts; none if the key is missing."""
        value = self.told.get(key, [])
        many = [value] if isinstance(value, str) else value
        if not isinstance(many, list) or not all(isinstance(one, str) and one.strip() for one in many):
            raise self._wrong(key, "it is neither a text nor a list of texts")
        return tuple(many)

    def table(self, key: str) -> Mapping[str, Any]:
        """Return a table within; empty if the key is missing."""
        value = self.told.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "it is not a table")
        return value

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        """Return a list of tables; none if the key is missing."""
        value = self.told.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self._wrong(key, "it is not a list of tables")
        return value

    def _wrong(self, key: str, why: str, mend: str = "") -> BenchError:
        return BenchError(f"{self.name} {key} is {self.told[key]!r}", why=why, mend=mend)


def _range(above: float, least: float, most: float) -> str:
    low = f"above {above:g}" if math.isfinite(above) else f"at least {least:g}"
    return f"{low} and at most {most:g}" if math.isfinite(most) else f"{low} and finite"
