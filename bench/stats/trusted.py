"""What the streams of a run that tests the suite say of its verdicts: false alarms, power, coverage, time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.stats.compared import paired_times
from bench.stats.estimate import Estimate, ratio
from bench.stats.holm import holm
from bench.stats.paired import Procedure, Word
from bench.stats.trials import Trial, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.store.reader import Run

__all__ = ["EQUAL", "Batched", "Streamed", "Trusted", "trusted"]

EQUAL = "equal"  # the kind of a stream whose sides do not differ
PIECE = 24  # pairs of a piece of which an ordinary 95 % interval is held against the long-run value
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Streamed:
    """One stream: its comparisons, and what all its pairs together say.

    `long_run` is B / A of all pairs. `covered` of `pieces` ordinary intervals hold it. `seconds` is how long one
    pair takes, both sides with all that they need.
    """

    label: str
    kind: str
    share: float
    procedure: Procedure
    trials: tuple[Trial, ...]
    pairs: int
    long_run: Estimate
    covered: int
    pieces: int
    seconds: float
    failed: int

    def count(self, word: Word) -> int:
        """Return how many comparisons said `word`."""
        return sum(one.verdict.word is word for one in self.trials)

    def per_verdict(self, share: float) -> float:
        """Return the seconds of a comparison at this quantile; NaN without one."""
        if not self.trials:
            return math.nan
        return self.seconds * float(np.quantile([one.end - one.begin for one in self.trials], share))


@dataclass(frozen=True)
class Batched:
    """A stream measured side after side: the times of A and of B of each trial, whole ones only.

    `seconds` is how long a trial takes.
    """

    label: str
    kind: str
    share: float
    trials: tuple[tuple[Floats, Floats], ...]
    seconds: float


@dataclass(frozen=True)
class Trusted:
    """All streams of a run, and the gates that those of equal arms make: the i-th comparison of each."""

    streams: tuple[Streamed, ...]
    batches: tuple[Batched, ...]
    gates: int
    false_alarms: int
    alpha: float


def trusted(run: Run) -> Trusted:
    """Return what the streams of `run` say; raises BenchError where it has none."""
    told = run.provenance.get("streams")
    if not isinstance(told, list) or not told:
        raise BenchError(f"run {run.id} does not test the suite", mend="`python -m bench aa` makes one that does")
    try:
        streams = tuple(_streamed(run, facts) for facts in told if "batch" not in facts)
        batches = tuple(_batched(run, facts) for facts in told if "batch" in facts)
        alpha = float(run.provenance["alpha"])
    except (KeyError, TypeError, ValueError) as error:
        path = run.directory / "run.json"
        raise BenchError(f"{path} does not tell its streams", why=repr(error), mend="restore the file") from error
    equal = [one for one in streams if one.kind == EQUAL]
    gates = min((len(one.trials) for one in equal), default=0)
    alarms = sum(_alarm([one.trials[place] for one in equal], alpha) for place in range(gates))
    return Trusted(streams, batches, gates, alarms, alpha)


def _alarm(trials: Sequence[Trial], alpha: float) -> bool:
    """Tell whether a gate of these comparisons would fail."""
    stands = holm([one.verdict.p for one in trials], alpha)
    return any(stand and one.verdict.word is Word.SLOWER for one, stand in zip(trials, stands, strict=True))


def _streamed(run: Run, facts: Mapping[str, Any]) -> Streamed:
    number = int(facts["number"])
    procedure = Procedure(float(facts["alpha"]), float(facts["delta"]), tuple(map(int, facts["looks"])))
    times, units = run.times, run.units
    mine = times[(times["comparison"] == number) & (times["setup"] == 1) & (times["metric"] == str(facts["metric"]))]
    rows = units[(units["comparison"] == number) & (units["setup"] == 1)]
    a, b = paired_times(mine, "a", "b")
    long_run = ratio(b, a) if len(a) else Estimate(math.nan, math.nan, math.nan, 0, "no pair")
    covered, pieces = _coverage(a, b, long_run.value)
    return Streamed(
        label=str(facts["label"]),
        kind=str(facts["kind"]),
        share=float(facts["share"]),
        procedure=procedure,
        trials=tuple(cut(a, b, procedure, int(facts["trials"]))),
        pairs=len(a),
        long_run=long_run,
        covered=covered,
        pieces=pieces,
        seconds=2 * float(_seconds(run).loc[rows.index].mean()) if len(rows) else math.nan,
        failed=int((rows["error"] != "").sum()),
    )


def _batched(run: Run, facts: Mapping[str, Any]) -> Batched:
    number, size = int(facts["number"]), int(facts["batch"])
    times, units = run.times, run.units
    mine = times[(times["comparison"] == number) & (times["setup"] == 1) & (times["metric"] == str(facts["metric"]))]
    rows = units[(units["comparison"] == number) & (units["setup"] == 1)]
    trials = []
    for _, trial in mine.groupby(mine["block"] // size):
        a, b = (trial.loc[trial["side"] == side, "value"].to_numpy(dtype=np.float64) for side in "ab")
        if len(a) == len(b) == size:
            trials.append((a, b))
    seconds = 2 * size * float(_seconds(run).loc[rows.index].median()) if len(rows) else math.nan
    return Batched(str(facts["label"]), str(facts["kind"]), float(facts["share"]), tuple(trials), seconds)


def _seconds(run: Run) -> Any:
    """Return how long each unit took, by the start of the next one; a run's last one is not known."""
    return -run.units["started"].diff(-1)


def _coverage(a: Floats, b: Floats, value: float) -> tuple[int, int]:
    """Return how many of the pieces' ordinary intervals hold `value`, and how many pieces there are."""
    pieces = len(a) // PIECE
    told = [ratio(b[place : place + PIECE], a[place : place + PIECE]) for place in range(0, pieces * PIECE, PIECE)]
    return sum(one.low <= value <= one.high for one in told), pieces
