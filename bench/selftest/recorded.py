"""What a run that tests the suite recorded: the pairs and the trials of its streams, in the order measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.selftest.trials import Trial, cut
from bench.stats.compared import paired_times

if TYPE_CHECKING:
    import pandas as pd

    from bench.stats.paired import Procedure
    from bench.store.reader import Run

__all__ = ["Recorded", "last_stretch", "recorded", "rows_of", "seconds_of", "whole"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recorded:
    """The pairs of one stream in the order measured, apart for each stretch, that is on the same volumes.

    `blocks` are how many were begun.
    """

    stretches: tuple[tuple[Floats, Floats], ...]
    blocks: int

    def cut(self, procedure: Procedure, most: int | None = None) -> tuple[Trial, ...]:
        """Return the comparisons that the pairs give, at most `most`; none spans two stretches."""
        trials: list[Trial] = []
        begin = 0
        for a, b in self.stretches:
            left = None if most is None else most - len(trials)
            trials += [one.after(begin) for one in cut(a, b, procedure, left)]
            begin += len(a)
        return tuple(trials)

    @property
    def pairs(self) -> tuple[Floats, Floats]:
        """All times of A and of B."""
        if not self.stretches:
            return np.empty(0), np.empty(0)
        return tuple(map(np.concatenate, zip(*self.stretches, strict=True)))  # type: ignore[return-value]


def recorded(run: Run, number: int, metric: str) -> Recorded:
    """Return what `run` has of the stream `number`, whose comparisons judge `metric`."""
    times = rows_of(run.times, number)
    mine = times[times["metric"] == metric]
    if mine.empty:  # there may be no column `setup`
        return Recorded((), 0)
    stretches = (mine[mine["setup"] == setup] for setup in sorted(mine["setup"].unique()))
    begun = int(rows_of(run.units, number)["block"].max()) + 1
    return Recorded(tuple(paired_times(stretch, "a", "b") for stretch in stretches), begun)


def rows_of(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return a stream's rows but for those by which a delay is measured, whose set-up is 0."""
    if "comparison" not in frame:
        return frame.iloc[:0]
    return frame[(frame["comparison"] == number) & (frame["setup"] > 0)]


def last_stretch(run: Run) -> int:
    """Return the number of the run's last stretch, counted from 1."""
    return int(run.units["setup"].max()) if "setup" in run.units else 1


def whole(run: Run, number: int, metric: str, size: int) -> tuple[tuple[Floats, Floats], ...]:
    """Return the times of A and of B of the stream's trials of `size` units a side, of whole ones only."""
    times = rows_of(run.times, number)
    mine = times[times["metric"] == metric]
    trials = []
    for _, trial in mine.groupby(mine["block"] // size):
        a, b = (trial.loc[trial["side"] == side, "value"].to_numpy(dtype=np.float64) for side in "ab")
        if len(a) == len(b) == size:
            trials.append((a, b))
    return tuple(trials)


def seconds_of(run: Run) -> Any:
    """Return how long each unit took, by the start of the next one; of a stretch's last one that is not known."""
    setup = run.units["setup"]
    following = setup.shift(-1)
    last = (setup > 0) & ((following == 0) | (following > setup))
    return (-run.units["started"].diff(-1)).mask(last)
