"""What a run that tests the suite recorded: the pairs and the trials of its streams, in the order measured."""

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
    """What a run has of one stream.

    `parts` are times of A and of B: the pairs of each stretch, that is on the same volumes; of a stream for other
    tools, each whole trial. `blocks` are how many were begun, of pairs or of units a side. `failed` units have no time.
    `seconds` is how long a unit took with all that it needs: the mean of pairs, the median of trials.
    """

    parts: tuple[tuple[Floats, Floats], ...] = ()
    blocks: int = 0
    failed: int = 0
    seconds: float = math.nan

    def cut(self, procedure: Procedure, most: int | None = None) -> tuple[Trial, ...]:
        """Return the comparisons that the pairs give, at most `most`; none spans two stretches."""
        trials: list[Trial] = []
        begin = 0
        for a, b in self.parts:
            left = None if most is None else most - len(trials)
            trials += [one.after(begin) for one in cut(a, b, procedure, left)]
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
    """What a run has of each of its streams, by number, and of all: what was odd about the rows is in `warnings`."""

    streams: Mapping[int, Recorded]
    units: int
    failed: int
    stretches: int
    warnings: tuple[str, ...]


def of_rows(run: Run) -> Records:
    """Return what the rows of `run` have of its streams."""
    units = run.units.assign(seconds=_seconds(run.units))
    streams = {facts.number: _recorded(run.times, units, facts) for facts in run.provenance.streams or ()}
    stretches = int(units["setup"].max()) if "setup" in units else 1
    return Records(streams, len(units), int((units["error"] != "").sum()), stretches, tuple(map(str, run.warnings)))


def _recorded(times: pd.DataFrame, units: pd.DataFrame, facts: StreamRecord) -> Recorded:
    number, size = facts.number, facts.batch
    mine = _rows_of(units, number)
    if mine.empty:
        return Recorded()
    times = _rows_of(times, number)
    judged = times[times["metric"] == facts.metric]
    parts = _trials(judged, size) if size else (paired_times(part, "a", "b") for _, part in judged.groupby("setup"))
    seconds = mine["seconds"].median() if size else mine["seconds"].mean()
    return Recorded(tuple(parts), int(mine["block"].max()) + 1, int((mine["error"] != "").sum()), float(seconds))


def _rows_of(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return a stream's rows but for those by which a delay is measured, whose set-up is 0."""
    if "comparison" not in frame:
        return frame.iloc[:0]
    return frame[(frame["comparison"] == number) & (frame["setup"] > 0)]


def _trials(times: pd.DataFrame, size: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield the times of A and of B of trials of `size` units a side, of whole ones only."""
    for _, trial in times.groupby(times["block"] // size):
        a, b = (trial.loc[trial["side"] == side, "value"].to_numpy(dtype=np.float64) for side in "ab")
        if len(a) == len(b) == size:
            yield a, b


def _seconds(units: pd.DataFrame) -> Any:
    """Return how long each unit took, by the start of the next one; of a stretch's last one that is not known."""
    if "setup" not in units:
        return math.nan
    setup = units["setup"]
    following = setup.shift(-1)
    last = (setup > 0) & ((following == 0) | (following > setup))
    return (-units["started"].diff(-1)).mask(last)
