"""Columns of a run as they grow row by row, with repeated text kept once and numbered."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.model import Arm, Temperature
from bench.store.records import Row, bounds, mismatch

__all__ = ["KEYS", "PACE", "Columns", "Facts"]

Ints = npt.NDArray[np.int64]

KEYS = ("sequence", "block", "scenario", "arm", "driver", "stack", "volume", "depth", "temperature")
TEMPERATURES = tuple(temperature.value for temperature in Temperature)

PACE = ("cpu", "slowness", "slowness_after", "waited")  # of schema 2; missing in rows of schema 1

_OF_CELL = ("scenario", "arm", "driver", "volume", "depth", "temperature")
_WORDS = ("error", "mismatches", "proofs", "how")
UNEXPECTED = (math.nan, math.nan)  # of a counter of which nothing was


class _Numbered:
    """Values by number, in the order they were first seen."""

    def __init__(self) -> None:
        self.values: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        return self.values.setdefault(value, len(self.values))

    def category(self, codes: Ints) -> pd.Categorical:
        """Return the column that these numbers stand for."""
        return _category(list(self.values), codes)


class Facts(dict[str, str]):
    """How a unit was made, as its row says; hashable, so that a column may hold it. Not to be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


class Columns:
    """The columns of a run as they grow; `add` takes a row, the frames are made at the end."""

    def __init__(self) -> None:
        self._cells, self._metrics, self._counters = _Numbered(), _Numbered(), _Numbered()
        self._sayings = _Numbered()
        self.arms: dict[str, Arm] = {}
        self._sequence, self._block, self._started = array("q"), array("q"), array("d")
        self._cell, self._said = array("q"), array("q")
        self._timed, self._metric, self._value, self._operations = array("q"), array("i"), array("d"), array("q")
        self._counted, self._counter, self._count = array("q"), array("i"), array("d")
        self._low, self._high, self._ok = array("d"), array("d"), array("b")
        self._pace = {name: array("d") for name in PACE}

    def add(self, row: Row) -> None:
        """Take a row; raises ValueError for what schema 2 had as another text."""
        self._sequence.append(row.sequence)
        self._block.append(row.block)
        self._started.append(row.started)
        if row.arm not in self.arms:
            self.arms[row.arm] = Arm(row.driver, row.volume, tuple(row.options.items()))
        cell = (row.scenario, row.arm, row.driver, row.volume, row.depth, row.temperature, *row.params.items())
        self._cell.append(self._cells.number(cell))
        mismatches = tuple(map(mismatch, row.mismatches))
        saying = (row.error, "; ".join(map(str, mismatches)), "; ".join(row.proofs), Facts(row.how))
        self._said.append(self._sayings.number(saying))
        for name, values in self._pace.items():
            values.append(getattr(row.pace, name))
        metrics, counters = ({}, {}) if row.error else (row.metrics, row.counters)
        self._timed.append(len(metrics))
        self._counted.append(len(counters))
        for name, value in metrics.items():
            self._metric.append(self._metrics.number(name))
            self._value.append(value)
            self._operations.append(row.operations.get(name, 1))
        wrong = {one.counter for one in mismatches}
        for name, value in counters.items():
            low, high = bounds(row.expected.get(name, UNEXPECTED))
            self._counter.append(self._counters.number(name))
            self._count.append(value)
            self._low.append(low)
            self._high.append(high)
            self._ok.append(name not in wrong)

    def units(self) -> pd.DataFrame:
        """Return one row per unit, as `Run.units` says."""
        said, sayings = _ints(self._said), list(self._sayings.values)
        words = {}
        for place, column in enumerate(_WORDS):
            by_saying = [saying[place] for saying in sayings]
            known = dict.fromkeys(by_saying) if column == "how" else sorted(set(by_saying))
            words[column] = _spread_out(by_saying, known, said)
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
            expected_low=np.asarray(self._low),
            expected_high=np.asarray(self._high),
            ok=np.asarray(self._ok, dtype=np.bool_),
        )

    def _keyed(self, unit: Ints) -> pd.DataFrame:
        """Return the key columns of these units."""
        cell = _ints(self._cell)[unit]
        cells = list(self._cells.values)
        columns: dict[str, Any] = {
            "sequence": np.asarray(self._sequence)[unit],
            "block": np.asarray(self._block)[unit],
        }
        by_key = {key: [told[place] for told in cells] for place, key in enumerate(_OF_CELL)}
        by_key["stack"] = [self.arms[arm].stack for arm in by_key["arm"]]
        for key in KEYS[2:]:
            if key == "depth":
                columns[key] = np.array(by_key[key], dtype=np.int64)[cell]
            else:
                known = TEMPERATURES if key == "temperature" else sorted(set(by_key[key]))
                columns[key] = _spread_out(by_key[key], known, cell)
        params = [dict(told[len(_OF_CELL) :]) for told in cells]
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
