"""Aggregate the rows of a run, one per unit, to one row per cell: estimates, ratios to native, counters.

A cell is scenario × arm × depth × temperature × parameters. Missing data is not filled in: a cell
without units has no row, and a block that lacks one side of a pair gives no pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.model import NATIVE, expectation
from bench.stats.estimate import Estimate, centre, spread
from bench.stats.pooled import Pool

__all__ = ["KEYS", "VARIES", "cell_frame", "counter_frame", "ratio_frame"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Flags = npt.NDArray[np.bool_]
Units = tuple[Floats, Ints, Flags]  # values of a cell, their blocks, and whether they were disturbed

KEYS = ("scenario", "arm", "driver", "stack", "volume", "depth", "temperature")
VARIES = "varies"  # the expectation of a counter whose units have different ones
SHARING = ("scenario", "arm", "temperature", "metric")  # cells that agree in these share a spread, if they do
NO_RATIO = "none, a value is not positive"

_ESTIMATE = ("low", "high", "n", "method")


class _Groups:
    """The rows of a frame grouped by `columns`; rows of a group keep their order."""

    def __init__(self, frame: pd.DataFrame, columns: Sequence[str]) -> None:
        codes: Ints = np.zeros(len(frame), dtype=np.int64)
        for column in columns:
            column_codes, values = pd.factorize(frame[column], use_na_sentinel=False)
            # Renumber after every column, so that the product fits into 64 bits.
            codes = np.unique(codes * max(len(values), 1) + column_codes, return_inverse=True)[1]
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


def cell_frame(times: pd.DataFrame, parameters: Sequence[str], between_runs: float = 0.0) -> pd.DataFrame:
    """Return one row per cell and metric of `Run.times`.

    Columns: KEYS, the parameters, metric, value, low, high, n, method (the estimate, in the
    metric's unit), minimum, maximum, median, outliers, operations (timed calls in all units together).
    `between_runs` is the variance of the logarithm of times between runs of this host; see `Pool`.
    """
    groups = _Groups(times, [*KEYS, *parameters, "metric"])
    values, operations = _floats(times["value"]), times["operations"].to_numpy(dtype=np.int64)
    blocks, disturbed = times["block"].to_numpy(dtype=np.int64), times["disturbed"].to_numpy(dtype=np.bool_)
    units = [(values[index], blocks[index], disturbed[index]) for index in groups]
    rows = []
    for estimate, index in zip(_pooled(groups.keys, units, between_runs), groups, strict=True):
        range_ = spread(values[index])
        rows.append(
            (
                *(estimate.value, estimate.low, estimate.high, estimate.n, estimate.method),
                *(range_.minimum, range_.maximum, range_.median, range_.outliers, int(operations[index].sum())),
            )
        )
    columns = ["value", *_ESTIMATE, "minimum", "maximum", "median", "outliers", "operations"]
    return _joined(groups.keys, rows, columns)


def ratio_frame(times: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell and metric of `Run.times` with the ratio of its time to that of native.

    Units are paired by block with native on the same volume, at the same temperature and parameters, at
    the same depth if native was measured at it, else at native's largest. Native itself has no row, nor
    have cells that share no block with native.
    Columns: KEYS, the parameters, metric, ratio, low, high, n (pairs), method, native_depth. If a value
    is not positive, the ratio is NaN, and method says why.
    """
    groups = _Groups(times, [*KEYS, *parameters, "metric"])
    values, blocks = _floats(times["value"]), times["block"].to_numpy(dtype=np.int64)
    disturbed = times["disturbed"].to_numpy(dtype=np.bool_)
    # A cell and its native twin agree in these columns; they may differ in arm and depth.
    twins = _Groups(groups.keys, ["scenario", "volume", "temperature", *parameters, "metric"]).code.tolist()
    drivers = groups.keys["driver"].tolist()
    depths = groups.keys["depth"].tolist()
    natives: dict[int, dict[int, Units]] = {}
    for index, twin, depth, stack in zip(groups, twins, depths, groups.keys["stack"], strict=True):
        if stack == NATIVE:
            natives.setdefault(twin, {})[depth] = _by_block(values[index], blocks[index], disturbed[index])
    kept, native_depths = [], []
    usable: list[bool] = []
    ratios: list[Units] = []
    for group, (index, twin, depth) in enumerate(zip(groups, twins, depths, strict=True)):
        at_depth = natives.get(twin)
        if not at_depth or drivers[group] == NATIVE:
            continue
        native_depth = depth if depth in at_depth else max(at_depth)
        own, native = _by_block(values[index], blocks[index], disturbed[index]), at_depth[native_depth]
        shared, of_own, of_native = np.intersect1d(own[1], native[1], assume_unique=True, return_indices=True)
        if len(shared) == 0:
            continue
        kept.append(group)
        native_depths.append(native_depth)
        upper, lower = own[0][of_own], native[0][of_native]
        usable.append(bool(min(upper.min(), lower.min()) > 0))
        ratios.append((upper / lower if usable[-1] else upper * 0, shared, own[2][of_own] | native[2][of_native]))
    keys = groups.keys.take(kept).reset_index(drop=True)
    rows = []
    for estimate, fits, depth in zip(_pooled(keys, ratios, ratios=True), usable, native_depths, strict=True):
        factor = estimate if fits else Estimate(math.nan, math.nan, math.nan, estimate.n, NO_RATIO)
        rows.append((factor.value, factor.low, factor.high, factor.n, factor.method, depth))
    return _joined(keys, rows, ["ratio", *_ESTIMATE, "native_depth"])


def counter_frame(counters: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """Return one row per cell and counter of `Run.counters`.

    Columns: KEYS, the parameters, counter, units, matching (the number of units as expected), expected_low and
    expected_high (NaN if nothing was expected or the expectation varies between units), expected (the same in words:
    "" if nothing was expected, "varies" if it varies), minimum, maximum, median.
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
    """Return the bounds that all units of a cell expected, and the same in words."""
    low, high = bounds[0].tolist()
    if not np.array_equal(bounds, np.broadcast_to(bounds[0], bounds.shape), equal_nan=True):
        return math.nan, math.nan, VARIES
    return low, high, "" if math.isnan(low) else expectation(low, high)


def _floats(column: pd.Series[Any]) -> Floats:
    return column.to_numpy(dtype=np.float64)


def _pooled(
    keys: pd.DataFrame, units: Sequence[Units], between_runs: float = 0.0, *, ratios: bool = False
) -> list[Estimate]:
    """Return the centre of each cell, given its units; see `Pool`.

    Where a value is not positive (a difference may be lost in noise) there are no logarithms: such a cell is by itself.
    """
    estimates: dict[int, Estimate] = {}
    for cells in _Groups(keys, SHARING):
        positive = [int(cell) for cell in cells if units[cell][0].min() > 0]
        if positive:
            values = np.concatenate([units[cell][0] for cell in positive])
            blocks = np.concatenate([units[cell][1] for cell in positive])
            disturbed = np.concatenate([units[cell][2] for cell in positive])
            indices = np.repeat(np.arange(len(positive)), [len(units[cell][0]) for cell in positive])
            pool = Pool(values, indices, blocks, between_runs, disturbed, ratios=ratios)
            estimates |= {cell: pool.centre(index) for index, cell in enumerate(positive)}
        estimates |= {int(cell): centre(units[cell][0]) for cell in cells if cell not in positive}
    return [estimates[cell] for cell in range(len(units))]


def _by_block(values: Floats, blocks: Ints, disturbed: Flags) -> Units:
    """Return the median of each block's units, the distinct blocks, and whether any unit of a block was disturbed."""
    unique, inverse = np.unique(blocks, return_inverse=True)
    if len(unique) == len(blocks):
        return values, blocks, disturbed
    of_block = [inverse == block for block in range(len(unique))]
    medians = np.array([float(np.median(values[chosen])) for chosen in of_block])
    return medians, unique, np.array([bool(disturbed[chosen].any()) for chosen in of_block])


def _joined(keys: pd.DataFrame, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat([keys, pd.DataFrame(rows, columns=list(columns))], axis=1)
