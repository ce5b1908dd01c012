"""The data of a self-test: the pairs and the trials of its streams, in the order measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.selftest.trials import Trial, cut
from bench.stats.compared import paired_times
from bench.stats.paired import Procedure
from bench.store.reader import Run
from bench.store.records import StreamRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Recorded", "Records", "of_rows"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recorded:
    """The data of one stream.

    `parts` are times of A and of B: the pairs of each stretch, which share their volumes; of a stream for other tools,
    each complete trial. `blocks` is the number of pairs, or of units a side, that were begun. `failed` is the number of
    units without a time. `seconds` is the time of a unit with its preparation: the mean of pairs, the median of trials.
    """

    parts: tuple[tuple[Floats, Floats], ...] = ()
    blocks: int = 0
    failed: int = 0
    seconds: float = math.nan

    def cut(self, procedure: Procedure, most: int | None = None) -> tuple[Trial, ...]:
        """Cut the pairs into comparisons, at most `most`; no comparison spans two stretches."""
        trials: list[Trial] = []
        begin = 0
        for a, b in self.parts:
            limit = None if most is None else most - len(trials)
            trials += [trial.after(begin) for trial in cut(a, b, procedure, limit)]
            begin += len(a)
        return tuple(trials)

    @property
    def pairs(self) -> tuple[Floats, Floats]:
        """All times of A and of B."""
        if not self.parts:
            return np.empty(0), np.empty(0)
        return tuple(map(np.concatenate, zip(*self.parts, strict=True)))  # type: ignore[return-value]


@dataclass(frozen=True)
class Records:
    """The data of all streams of a run, by number; `warnings` are those from reading its rows."""

    streams: Mapping[int, Recorded]
    units: int
    failed: int
    stretches: int
    warnings: tuple[str, ...]


def of_rows(run: Run) -> Records:
    """Return the data of the streams of `run` from its rows."""
    units = run.units.assign(seconds=_seconds(run.units))
    streams = {record.number: _recorded(run.times, units, record) for record in run.provenance.streams or ()}
    stretches = int(units["setup"].max()) if "setup" in units else 1
    return Records(streams, len(units), int((units["error"] != "").sum()), stretches, tuple(map(str, run.warnings)))


def _recorded(times: pd.DataFrame, units: pd.DataFrame, record: StreamRecord) -> Recorded:
    number, size = record.number, record.batch
    rows = _rows_of(units, number)
    if rows.empty:
        return Recorded()
    times = _rows_of(times, number)
    judged = times[times["metric"] == record.metric]
    parts = _trials(judged, size) if size else (paired_times(part, "a", "b") for _, part in judged.groupby("setup"))
    seconds = rows["seconds"].median() if size else rows["seconds"].mean()
    return Recorded(tuple(parts), int(rows["block"].max()) + 1, int((rows["error"] != "").sum()), float(seconds))


def _rows_of(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return the rows of a stream, without the units of set-up 0, which calibrate the delay."""
    if "comparison" not in frame:
        return frame.iloc[:0]
    return frame[(frame["comparison"] == number) & (frame["setup"] > 0)]


def _trials(times: pd.DataFrame, size: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield the times of A and of B of each complete trial of `size` units a side."""
    for _, trial in times.groupby(times["block"] // size):
        a, b = (trial.loc[trial["side"] == side, "value"].to_numpy(dtype=np.float64) for side in "ab")
        if len(a) == len(b) == size:
            yield a, b


def _seconds(units: pd.DataFrame) -> Any:
    """Return the time of each unit up to the start of the next one; NaN for the last unit of a stretch."""
    if "setup" not in units:
        return math.nan
    setup = units["setup"]
    following = setup.shift(-1)
    last = (setup > 0) & ((following == 0) | (following > setup))
    return (-units["started"].diff(-1)).mask(last)
