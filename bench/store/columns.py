"""The columns of a run, built row by row, with repeated values stored once and referred to by number."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.model import SLACK, Arm, Temperature
from bench.store.records import Row, bounds, mismatch

__all__ = ["KEYS", "PACE", "Columns", "Facts"]

Ints = npt.NDArray[np.int64]

KEYS = ("sequence", "block", "scenario", "arm", "driver", "stack", "volume", "depth", "temperature")
TEMPERATURES = tuple(temperature.value for temperature in Temperature)

PACE = ("cpu", "slowness", "slowness_after", "waited")  # of schema 2; missing in rows of schema 1

_OF_CELL = ("scenario", "arm", "driver", "volume", "depth", "temperature")
_NOTES = ("error", "mismatches", "proofs", "how")
UNEXPECTED = (math.nan, math.nan)  # bounds of a counter without an expectation


class _Numbered:
    """Distinct values, numbered in the order of their first occurrence."""

    def __init__(self) -> None:
        self.values: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        return self.values.setdefault(value, len(self.values))

    def category(self, codes: Ints) -> pd.Categorical:
        """Return the column of the values with these numbers."""
        return _category(list(self.values), codes)


class Facts(dict[str, str]):
    """The `how` of a row, hashable so that a column can hold it as a category; do not change it."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


class Columns:
    """The columns of a run: `add` appends a row, and the frames are made at the end."""

    def __init__(self) -> None:
        self._cells, self._metrics, self._counters = _Numbered(), _Numbered(), _Numbered()
        self._notes = _Numbered()
        self.arms: dict[str, Arm] = {}
        self._sequence, self._block, self._started = array("q"), array("q"), array("d")
        self._cell, self._note = array("q"), array("q")
        self._timed, self._metric, self._value, self._operations = array("q"), array("i"), array("d"), array("q")
        self._counted, self._counter, self._count = array("q"), array("i"), array("d")
        self._low, self._high, self._ok = array("d"), array("d"), array("b")
        self._pace = {name: array("d") for name in PACE}

    def add(self, row: Row) -> None:
        """Append a row; raises ValueError for a text that is not in the format of schema 2."""
        self._sequence.append(row.sequence)
        self._block.append(row.block)
        self._started.append(row.started)
        if row.arm not in self.arms:
            self.arms[row.arm] = Arm(row.driver, row.volume, tuple(row.options.items()))
        cell = (row.scenario, row.arm, row.driver, row.volume, row.depth, row.temperature, *row.params.items())
        self._cell.append(self._cells.number(cell))
        mismatches = tuple(map(mismatch, row.mismatches))
        note = (row.error, "; ".join(map(str, mismatches)), "; ".join(row.proofs), Facts(row.how))
        self._note.append(self._notes.number(note))
        for name, values in self._pace.items():
            values.append(getattr(row.pace, name))
        metrics, counters = ({}, {}) if row.error else (row.metrics, row.counters)
        self._timed.append(len(metrics))
        self._counted.append(len(counters))
        for name, value in metrics.items():
            self._metric.append(self._metrics.number(name))
            self._value.append(value)
            self._operations.append(row.operations.get(name, 1))
        wrong = {item.counter for item in mismatches}
        for name, value in counters.items():
            low, high = bounds(row.expected.get(name, UNEXPECTED))
            self._counter.append(self._counters.number(name))
            self._count.append(value)
            self._low.append(low)
            self._high.append(high)
            self._ok.append(name not in wrong)

    def units(self) -> pd.DataFrame:
        """Return the frame `Run.units`, with one row per unit."""
        codes, notes = _ints(self._note), list(self._notes.values)
        texts = {}
        for index, column in enumerate(_NOTES):
            by_note = [note[index] for note in notes]
            categories = dict.fromkeys(by_note) if column == "how" else sorted(set(by_note))
            texts[column] = _spread_out(by_note, categories, codes)
        pace = {name: np.asarray(values) for name, values in self._pace.items()}
        return self._keyed(np.arange(len(codes))).assign(**texts, started=np.asarray(self._started), **pace)

    def times(self) -> pd.DataFrame:
        """Return the frame `Run.times`, with one row per unit and metric."""
        return self._keyed(_repeated(self._timed)).assign(
            metric=self._metrics.category(_ints(self._metric)),
            value=np.asarray(self._value),
            operations=np.asarray(self._operations),
            disturbed=self._disturbed()[_repeated(self._timed)],
        )

    def _disturbed(self) -> npt.NDArray[np.bool_]:
        """Tell of each unit whether its CPU was disturbed before or after the operation; False where nobody looked."""
        before, after = (np.asarray(self._pace[name]) for name in ("slowness", "slowness_after"))
        return np.asarray((before > SLACK) | (after > SLACK))

    def counters(self) -> pd.DataFrame:
        """Return the frame `Run.counters`, with one row per unit and counter."""
        return self._keyed(_repeated(self._counted)).assign(
            counter=self._counters.category(_ints(self._counter)),
            value=np.asarray(self._count),
            expected_low=np.asarray(self._low),
            expected_high=np.asarray(self._high),
            ok=np.asarray(self._ok, dtype=np.bool_),
        )

    def _keyed(self, unit: Ints) -> pd.DataFrame:
        """Return the key columns of these units."""
        codes = _ints(self._cell)[unit]
        cells = list(self._cells.values)
        columns: dict[str, Any] = {
            "sequence": np.asarray(self._sequence)[unit],
            "block": np.asarray(self._block)[unit],
        }
        by_key = {key: [values[index] for values in cells] for index, key in enumerate(_OF_CELL)}
        by_key["stack"] = [self.arms[arm].stack for arm in by_key["arm"]]
        for key in KEYS[2:]:
            if key == "depth":
                columns[key] = np.array(by_key[key], dtype=np.int64)[codes]
            else:
                categories = TEMPERATURES if key == "temperature" else sorted(set(by_key[key]))
                columns[key] = _spread_out(by_key[key], categories, codes)
        params = [dict(values[len(_OF_CELL) :]) for values in cells]
        for name in dict.fromkeys(name for parameters in params for name in parameters):
            columns[name] = _parameter([parameters.get(name) for parameters in params], codes)
        return pd.DataFrame(columns)


def _ints(numbers: array[int]) -> Ints:
    return np.asarray(numbers, dtype=np.int64)


def _repeated(lengths: array[int]) -> Ints:
    return np.repeat(np.arange(len(lengths)), _ints(lengths))


def _category(values: list[Any], codes: Ints) -> pd.Categorical:
    kind = None if all(isinstance(value, str) for value in values) and values else object
    return pd.Categorical.from_codes(codes, categories=pd.Index(values, dtype=kind))


def _spread_out(by_code: list[Any], categories: Any, codes: Ints) -> pd.Categorical:
    """Return a categorical column: the value of each row's code, `by_code` giving the value of every code."""
    place = {value: index for index, value in enumerate(categories)}
    return _category(list(categories), np.array([place[value] for value in by_code], dtype=np.int64)[codes])


def _parameter(by_code: list[Any], codes: Ints) -> Any:
    """Return the column of a parameter: Int64 if all values are integers, else categories; None is missing."""
    distinct = {value for value in by_code if value is not None}
    if all(isinstance(value, int) for value in distinct):
        return pd.array(by_code, dtype="Int64").take(codes)
    place = {value: index for index, value in enumerate(sorted(distinct, key=lambda value: (str(type(value)), value)))}
    row_codes = np.array([-1 if value is None else place[value] for value in by_code], dtype=np.int64)
    return _category(list(place), row_codes[codes])
