"""What the streams of a run that tests the suite say of its verdicts: false alarms, power, coverage, time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.selftest import DIFFERENT, EQUAL
from bench.selftest.pairs import records
from bench.selftest.recorded import Recorded, Records
from bench.selftest.trials import Trial
from bench.selftest.ways import BothWays, Way, both_ways
from bench.stats.estimate import Estimate, ratio
from bench.stats.paired import Procedure, Word
from bench.store.reader import Run
from bench.store.records import StreamRecord

__all__ = [
    "Batched",
    "Gates",
    "Streamed",
    "Trusted",
    "trusted",
]

PIECE = 24  # pairs of a piece of which an ordinary 95 % interval is held against the long-run value
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Streamed:
    """One stream: its comparisons, and what all its pairs together say.

    `longest` are the comparisons of the same pairs by the run's longest procedure. `long_run` is B / A of all
    pairs. `covered` of `pieces` ordinary intervals hold it. `seconds` is how long one pair takes, both sides with
    all that they need.
    """

    label: str
    kind: str
    share: float
    procedure: Procedure
    trials: tuple[Trial, ...]
    longest: tuple[Trial, ...]
    pairs: int
    long_run: Estimate
    covered: int
    pieces: int
    seconds: float
    failed: int
    wanted: int

    @property
    def lacks(self) -> bool:
        """Whether it has fewer verdicts than were asked for."""
        return len(self.trials) < self.wanted

    def count(self, word: Word) -> int:
        """Return how many comparisons said `word`."""
        return sum(one.verdict.word is word for one in self.trials)

    @property
    def told(self) -> tuple[Trial, ...]:
        """The comparisons that stand beside others' verdicts: of equal arms those by the longest procedure."""
        return self.longest if self.kind == EQUAL else self.trials

    def per_verdict(self, share: float) -> float:
        """Return the seconds of a comparison at this quantile; NaN without one."""
        if not self.trials:
            return math.nan
        return self.seconds * float(np.quantile([one.end - one.begin for one in self.trials], share))


@dataclass(frozen=True)
class Batched:
    """A stream measured side after side: the times of A and of B of each trial, whole ones only.

    `size` is how many times a side has, `seconds` how long a trial takes, `tool` the one that timed it, if not
    the suite; `wanted` trials were asked for.
    """

    label: str
    kind: str
    share: float
    trials: tuple[tuple[Floats, Floats], ...]
    size: int
    seconds: float
    wanted: int
    tool: str = ""

    @property
    def lacks(self) -> bool:
        """Whether it has fewer trials than were asked for."""
        return len(self.trials) < self.wanted

    def shorter(self, size: int) -> Batched:
        """Return what runs of `size` units would have been: the end of A and the beginning of B."""
        trials = tuple((a[-size:], b[:size]) for a, b in self.trials)
        return replace(self, trials=trials, size=size, seconds=self.seconds * size / self.size)


@dataclass(frozen=True)
class Trusted:
    """All streams of a run, and the gates that those of equal arms make: the i-th comparison of each.

    `ways` are arms that differ, each measured by two streams. `longest` are the gates of the same streams by the run's
    longest procedure, of which they give fewer.
    `records` are what all this is said of.
    """

    streams: tuple[Streamed, ...]
    batches: tuple[Batched, ...]
    ways: tuple[BothWays, ...]
    gates: Gates
    longest: Gates
    alpha: float
    records: Records

    @property
    def every(self) -> tuple[Streamed | Batched | Way, ...]:
        """What each stream says by itself."""
        return (*self.streams, *self.batches, *(way for one in self.ways for way in (one.turns, one.apart)))

    @property
    def short(self) -> tuple[Streamed | Batched | Way, ...]:
        """What has fewer verdicts or pairs than were asked for."""
        return tuple(one for one in self.every if one.lacks)


@dataclass(frozen=True)
class Gates:
    """Gates over equal arms, the pairs that a comparison has at most, and how many gates failed."""

    count: int
    false_alarms: int
    pairs: int


def trusted(run: Run) -> Trusted:
    """Return what the streams of `run` say; raises BenchError where it has none."""
    told = run.provenance.streams
    if not told or run.provenance.alpha is None:
        raise BenchError(f"run {run.id} does not test the suite", fix="`python -m bench aa` makes one that does")
    try:
        longest = max((_procedure(facts) for facts in told), key=lambda one: one.cap)
        found = records(run)
        each = [(found.streams[facts.number], facts) for facts in told]
        pairs = [(one, facts) for one, facts in each if not facts.batch and facts.kind != DIFFERENT]
        streams = tuple(_streamed(one, facts, longest) for one, facts in pairs)
        batches = tuple(_batched(one, facts) for one, facts in each if facts.batch)
        ways = both_ways(each)
        alpha = run.provenance.alpha
    except ValueError as error:
        path = run.directory / "run.json"
        raise BenchError(f"{path} does not tell its streams", why=str(error), fix="restore the file") from error
    equal = [one for one in streams if one.kind == EQUAL]
    cap = max((one.procedure.cap for one in equal), default=0)
    gates = _gates([one.trials for one in equal], cap, alpha)
    longer = _gates([one.longest for one in equal], longest.cap, alpha)
    return Trusted(streams, batches, ways, gates, longer, alpha, found)


def _gates(comparisons: Sequence[Sequence[Trial]], cap: int, alpha: float) -> Gates:
    count = min(map(len, comparisons), default=0)
    return Gates(count, sum(_alarm([one[place] for one in comparisons], alpha) for place in range(count)), cap)


def _alarm(trials: Sequence[Trial], alpha: float) -> bool:
    """Tell whether a gate of these comparisons would fail."""
    return any(one.verdict.word is Word.SLOWER and one.verdict.p <= alpha / len(trials) for one in trials)


def _procedure(facts: StreamRecord) -> Procedure:
    return Procedure(facts.alpha, facts.delta, facts.looks)


def _streamed(stream: Recorded, facts: StreamRecord, longest: Procedure) -> Streamed:
    procedure = _procedure(facts)
    a, b = stream.pairs
    long_run = ratio(b, a) if len(a) else Estimate(math.nan, math.nan, math.nan, 0, "no pair")
    covered, pieces = _coverage(a, b, long_run.value)
    return Streamed(
        label=facts.label,
        kind=facts.kind,
        share=facts.share,
        procedure=procedure,
        trials=stream.cut(procedure, facts.trials),
        longest=stream.cut(longest),
        pairs=len(a),
        long_run=long_run,
        covered=covered,
        pieces=pieces,
        seconds=2 * stream.seconds,
        failed=stream.failed,
        wanted=facts.trials,
    )


def _batched(stream: Recorded, facts: StreamRecord) -> Batched:
    size = facts.batch
    return Batched(
        label=facts.label,
        kind=facts.kind,
        share=facts.share,
        trials=stream.parts,
        size=size,
        seconds=2 * size * stream.seconds,
        wanted=facts.trials,
        tool=facts.tool,
    )


def _coverage(a: Floats, b: Floats, value: float) -> tuple[int, int]:
    """Return how many of the pieces' ordinary intervals hold `value`, and how many pieces there are."""
    pieces = len(a) // PIECE
    told = [ratio(b[place : place + PIECE], a[place : place + PIECE]) for place in range(0, pieces * PIECE, PIECE)]
    return sum(one.low <= value <= one.high for one in told), pieces
