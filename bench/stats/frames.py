"""From a run's rows, one per unit, to one row per cell: estimates, ratios to native, counters.

Cells are told apart by scenario × arm × depth × temperature × parameters. Nothing is filled in: a
cell without units has no row, and a pair without its other half is no pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.model import NATIVE, expectation
from bench.stats.estimate import Estimate, centre, ratio, spread

__all__ = ["KEYS", "VARIES", "cell_frame", "counter_frame", "ratio_frame"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KEYS = ("scenario", "arm", "driver", "stack", "volume", "depth", "temperature")
VARIES = "varies"  # stands for the expectation of a counter where units had different ones
NO_RATIO = "none, a value is not positive"

_ESTIMATE = ("low", "high", "n", "method")


class _Groups:
    """The rows of a frame that agree on `columns`, group by group, each in the frame's own order."""

    def __init__(self, frame: pd.DataFrame, columns: Sequence[str]) -> None:
        codes: Ints = np.zeros(len(frame), dtype=np.int64)
        for column in columns:
            own, values = pd.factorize(frame[column], use_na_sentinel=False)
            # Made dense again at each column, so that the product cannot leave 64 bits.
            codes = np.unique(codes * max(len(values), 1) + own, return_inverse=True)[1]
        self.code = codes
        self.order: Ints = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[self.order], prepend=-1))
        self._bounds = [*starts.tolist(), len(codes)]
        self.keys = frame[list(columns)].take(self.order[starts]).reset_index(drop=True)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def take(self, group: int) -> Ints:
        """Return the positions of a group's rows."""
        return self.order[self._bounds[group] : self._bounds[group + 1]]

    def __iter__(self) -> Iterator[Ints]:
        return (self.take(group) for group in range(len(self)))


def cell_frame(times: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell and metric of `Run.times`.

    Columns: KEYS, the parameters, metric, value, low, high, n, method (of `centre`, in the metric's
    unit), minimum, maximum, median, outliers, operations (timed calls in all units together).
    """
    groups = _Groups(times, [*KEYS, *parameters, "metric"])
    values, operations = _floats(times["value"]), times["operations"].to_numpy(dtype=np.int64)
    rows = []
    for index in groups:
        of_cell = values[index]
        told, range_ = centre(of_cell), spread(of_cell)
        rows.append(
            (
                *(told.value, told.low, told.high, told.n, told.method),
                *(range_.minimum, range_.maximum, range_.median, range_.outliers, int(operations[index].sum())),
            )
        )
    columns = ["value", *_ESTIMATE, "minimum", "maximum", "median", "outliers", "operations"]
    return _joined(groups.keys, rows, columns)


def ratio_frame(times: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell and metric of `Run.times`: by what factor it differs from native.

    Paired by block with native on the same volume, at the same temperature and parameters, at the
    same depth if native was measured there, else at its largest. Native itself is left out, and so
    are cells that share no block with native.
    Columns: KEYS, the parameters, metric, ratio, low, high, n (pairs), method, native_depth. Where a
    value is not positive there is no ratio: it is NaN, and method says so.
    """
    groups = _Groups(times, [*KEYS, *parameters, "metric"])
    values, blocks = _floats(times["value"]), times["block"].to_numpy(dtype=np.int64)
    # What a cell and its native twin have in common; the arm and the depth are what may differ.
    twins = _Groups(groups.keys, ["scenario", "volume", "temperature", *parameters, "metric"]).code.tolist()
    drivers = groups.keys["driver"].tolist()
    depths = groups.keys["depth"].tolist()
    natives: dict[int, dict[int, tuple[Ints, Floats]]] = {}
    for index, twin, depth, stack in zip(groups, twins, depths, groups.keys["stack"], strict=True):
        if stack == NATIVE:
            natives.setdefault(twin, {})[depth] = _by_block(blocks[index], values[index])
    kept, rows = [], []
    for group, (index, twin, depth) in enumerate(zip(groups, twins, depths, strict=True)):
        at_depth = natives.get(twin)
        if not at_depth or drivers[group] == NATIVE:
            continue
        native_depth = depth if depth in at_depth else max(at_depth)
        own, other = _by_block(blocks[index], values[index]), at_depth[native_depth]
        _, here, there = np.intersect1d(own[0], other[0], assume_unique=True, return_indices=True)
        if len(here) == 0:
            continue
        told = _ratio(own[1][here], other[1][there])
        kept.append(group)
        rows.append((told.value, told.low, told.high, told.n, told.method, native_depth))
    keys = groups.keys.take(kept).reset_index(drop=True)
    return _joined(keys, rows, ["ratio", *_ESTIMATE, "native_depth"])


def counter_frame(counters: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell and counter of `Run.counters`.

    Columns: KEYS, the parameters, counter, units, matching (how many of them were as expected), expected_low and
    expected_high (missing where nothing was expected or units differ), expected (the same in words, "" where nothing
    was, "varies" where units differ), minimum, maximum, median.
    """
    groups = _Groups(counters, [*KEYS, *parameters, "counter"])
    values, matches = _floats(counters["value"]), counters["ok"].to_numpy(dtype=bool)
    bounds = counters[["expected_low", "expected_high"]].to_numpy(dtype=np.float64)
    rows = []
    for index in groups:
        range_ = spread(values[index])
        rows.append(
            (
                *(len(index), int(matches[index].sum()), *_expected(bounds[index])),
                *(range_.minimum, range_.maximum, range_.median),
            )
        )
    columns = ["units", "matching", "expected_low", "expected_high", "expected", "minimum", "maximum", "median"]
    return _joined(groups.keys, rows, columns)


def _expected(bounds: Floats) -> tuple[float, float, str]:
    """Return what all units of a cell expected, and in words."""
    low, high = bounds[0].tolist()
    if not np.array_equal(bounds, np.broadcast_to(bounds[0], bounds.shape), equal_nan=True):
        return math.nan, math.nan, VARIES
    return low, high, "" if math.isnan(low) else expectation(low, high)


def _floats(column: pd.Series[Any]) -> Floats:
    return column.to_numpy(dtype=np.float64)


def _ratio(own: Floats, native: Floats) -> Estimate:
    if min(own.min(), native.min()) <= 0:
        return Estimate(math.nan, math.nan, math.nan, len(own), NO_RATIO)
    return ratio(own, native)


def _by_block(blocks: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Return each block once, with the median of its units where there are several."""
    unique, inverse = np.unique(blocks, return_inverse=True)
    if len(unique) == len(blocks):
        return blocks, values
    medians = [float(np.median(values[inverse == block])) for block in range(len(unique))]
    return unique, np.array(medians)


def _joined(keys: pd.DataFrame, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat([keys, pd.DataFrame(rows, columns=list(columns))], axis=1)
