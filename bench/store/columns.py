"""Columns of a run as they grow row by row, with repeated text kept once and numbered."""

from __future__ import annotations

import math
from array import array
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.model import Temperature

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEYS", "PACE", "TEMPERATURES", "Columns"]

Ints = npt.NDArray[np.int64]

KEYS = ("sequence", "block", "scenario", "arm", "driver", "stack", "volume", "depth", "temperature")
TEMPERATURES = tuple(temperature.value for temperature in Temperature)

PACE = ("cpu", "slowness", "slowness_after", "waited")  # of schema 2; missing in rows of schema 1

_OF_CELL = ("scenario", "arm", "driver", "volume", "depth", "temperature")
_WORDS = ("error", "mismatches", "proofs", "how")
_cell_keys = itemgetter(*_OF_CELL)


class _Numbered:
    """Values by number, in the order they were first seen."""

    def __init__(self) -> None:
        self.values: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        return self.values.setdefault(value, len(self.values))

    def text(self, value: Any) -> int:
        """Number a value that has to be text; raises TypeError if it is not."""
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is not text")
        return self.number(value)

    def category(self, codes: Ints) -> pd.Categorical:
        """Return the column that these numbers stand for."""
        return _category(list(self.values), codes)


class Columns:
    """The columns of a run as they grow; `add` takes a row, the frames are made at the end."""

    def __init__(self, check_cell: Callable[[dict[str, Any]], None]) -> None:
        """`check_cell` is called with the first row of each cell."""
        self._check_cell = check_cell
        self._cells, self._metrics, self._counters = _Numbered(), _Numbered(), _Numbered()
        self._expectations = _Numbered()
        self._seen_names: dict[tuple[str, ...], list[int]] = {}
        self._seen_said: dict[Any, int] = {}
        self._seen_expected: dict[Any, tuple[list[int], list[int]]] = {}
        self._sayings = _Numbered()
        self._sequence, self._block, self._started = array("q"), array("q"), array("d")
        self._cell, self._said = array("q"), array("q")
        self._timed, self._metric, self._value, self._operations = array("q"), array("i"), array("d"), array("q")
        self._counted, self._counter, self._count = array("q"), array("i"), array("d")
        self._expected, self._ok = array("i"), array("b")
        self._pace = {name: array("d") for name in PACE}

    def add(self, item: dict[str, Any]) -> None:
        """Take a row; raises TypeError, ValueError or OverflowError for what is no sample."""
        self._sequence.append(item["sequence"])
        self._block.append(item["block"])
        self._started.append(item["started"])
        cell = (*_cell_keys(item), tuple(item["params"].items()))
        if cell not in self._cells.values:
            self._check_cell(item)
        self._cell.append(self._cells.number(cell))
        error, mismatches = item["error"], item["mismatches"]
        self._said.append(self._say((error, tuple(mismatches), tuple(item["proofs"]), tuple(item["how"].items()))))
        pace = item.get("pace", {})
        if not isinstance(pace, dict):
            raise TypeError("pace is not an object")
        for name, values in self._pace.items():
            values.append(pace.get(name, math.nan))
        metrics, counters = ({}, {}) if error else (item["metrics"], item["counters"])
        self._timed.append(len(metrics))
        self._counted.append(len(counters))
        if metrics:
            operations = item["operations"]
            self._metric.extend(self._names(metrics))
            self._value.extend(metrics.values())
            self._operations.extend([operations.get(metric, 1) for metric in metrics])
        if counters:
            numbers, expected = self._expect(counters, item["expected"])
            self._counter.extend(numbers)
            self._count.extend(counters.values())
            self._expected.extend(expected)
            if mismatches:
                wrong = {text.split(" is ", 1)[0] for text in mismatches}
                self._ok.extend([counter not in wrong for counter in counters])
            else:
                self._ok.extend([True] * len(counters))

    def first_infinite(self) -> int | None:
        """Return the first row with a number that is too large to be one, counted from 0."""
        rows: list[int] = []
        for lengths, values in ((self._timed, self._value), (self._counted, self._count)):
            bad = np.flatnonzero(~np.isfinite(np.asarray(values)))
            rows.extend(np.searchsorted(np.cumsum(np.asarray(lengths)), bad[:1], "right").tolist())
        return min(rows, default=None)

    def units(self) -> pd.DataFrame:
        """Return one row per unit, as `Run.units` says."""
        said, sayings = _ints(self._said), list(self._sayings.values)
        words = {}
        for place, column in enumerate(_WORDS):
            by_saying = [saying[place] for saying in sayings]
            words[column] = _spread_out(by_saying, sorted(set(by_saying)), said)
        pace = {name: np.asarray(values) for name, values in self._pace.items()}
        return self._keyed(np.arange(len(said))).assign(**words, started=np.asarray(self._started), **pace)

    def times(self) -> pd.DataFrame:
        """Return one row per unit and metric, as `Run.times` says."""
        return self._keyed(_repeated(self._timed)).assign(
            metric=self._metrics.category(_ints(self._metric)),
            value=np.asarray(self._value),
            operations=np.asarray(self._operations),
        )

    def counters(self) -> pd.DataFrame:
        """Return one row per unit and counter, as `Run.counters` says."""
        return self._keyed(_repeated(self._counted)).assign(
            counter=self._counters.category(_ints(self._counter)),
            value=np.asarray(self._count),
            expected=self._expectations.category(_ints(self._expected)),
            ok=np.asarray(self._ok, dtype=np.bool_),
        )

    # Rows of one scenario say the same over and over, so what they say is looked up whole.

    def _names(self, metrics: dict[str, Any]) -> list[int]:
        key = tuple(metrics)
        if key not in self._seen_names:
            self._seen_names[key] = [self._metrics.number(name) for name in key]
        return self._seen_names[key]

    def _say(self, key: tuple[str, tuple[str, ...], tuple[str, ...], tuple[tuple[str, Any], ...]]) -> int:
        if key not in self._seen_said:
            error, mismatches, proofs, how = key
            told = "; ".join(f"{name}: {value}" for name, value in how)
            self._seen_said[key] = self._sayings.number((error, "; ".join(mismatches), "; ".join(proofs), told))
        return self._seen_said[key]

    def _expect(self, counters: dict[str, Any], expected: dict[str, Any]) -> tuple[list[int], list[int]]:
        key = (tuple(counters), tuple(expected.items()))
        if key not in self._seen_expected:
            numbers = [self._counters.number(name) for name in counters]
            self._seen_expected[key] = numbers, [self._expectations.text(expected.get(name, "")) for name in counters]
        return self._seen_expected[key]

    def _keyed(self, unit: Ints) -> pd.DataFrame:
        """Return the key columns of these units."""
        cell = _ints(self._cell)[unit]
        cells = list(self._cells.values)
        columns: dict[str, Any] = {
            "sequence": np.asarray(self._sequence)[unit],
            "block": np.asarray(self._block)[unit],
        }
        by_key = {key: [told[place] for told in cells] for place, key in enumerate(_OF_CELL)}
        by_key["stack"] = [arm.rpartition("@")[0] for arm in by_key["arm"]]
        for key in KEYS[2:]:
            if key == "depth":
                columns[key] = np.array(by_key[key], dtype=np.int64)[cell]
            else:
                known = TEMPERATURES if key == "temperature" else sorted(set(by_key[key]))
                columns[key] = _spread_out(by_key[key], known, cell)
        params = [dict(told[-1]) for told in cells]
        for name in dict.fromkeys(name for told in params for name in told):
            columns[name] = _parameter([told.get(name) for told in params], cell)
        return pd.DataFrame(columns)


def _ints(numbers: array[int]) -> Ints:
    return np.asarray(numbers, dtype=np.int64)


def _repeated(lengths: array[int]) -> Ints:
    return np.repeat(np.arange(len(lengths)), _ints(lengths))


def _category(values: list[Any], codes: Ints) -> pd.Categorical:
    kind = None if all(isinstance(value, str) for value in values) and values else object
    return pd.Categorical.from_codes(codes, categories=pd.Index(values, dtype=kind))


def _spread_out(by_cell: list[Any], known: Any, cell: Ints) -> pd.Categorical:
    """Return the column of a key: its value in each cell, for the cell of each row."""
    place = {value: index for index, value in enumerate(known)}
    return _category(list(known), np.array([place[value] for value in by_cell], dtype=np.int64)[cell])


def _parameter(by_cell: list[Any], cell: Ints) -> Any:
    """Return a parameter's column: whole numbers where all are, else categories; missing is missing."""
    known = {value for value in by_cell if value is not None}
    if all(isinstance(value, int) for value in known):
        return pd.array(by_cell, dtype="Int64").take(cell)
    place = {value: index for index, value in enumerate(sorted(known, key=lambda value: (str(type(value)), value)))}
    codes = np.array([-1 if value is None else place[value] for value in by_cell], dtype=np.int64)
    return _category(list(place), codes[cell])
