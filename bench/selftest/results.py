"""The results of a self-test: false alarms, power, coverage and time of the suite's verdicts."""

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

PIECE = 24  # pairs of a piece, whose 95 % interval is tested for whether it contains the long-run value
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Streamed:
    """The results of one stream of pairs: its comparisons, and the estimate from all pairs.

    `longest` are the comparisons of the same pairs by the run's longest procedure. `long_run` is B / A of all
    pairs; `covered` of the `pieces` intervals contain it. `seconds` is the time of one pair: both units with their
    preparation.
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
    def incomplete(self) -> bool:
        """Whether it has fewer verdicts than were requested."""
        return len(self.trials) < self.wanted

    def count(self, word: Word) -> int:
        """Count the comparisons with the outcome `word`."""
        return sum(trial.verdict.word is word for trial in self.trials)

    @property
    def comparable(self) -> tuple[Trial, ...]:
        """The comparisons to set beside those of other streams and tools: all by the longest procedure."""
        return self.longest if self.kind == EQUAL else self.trials

    def per_verdict(self, share: float) -> float:
        """Return the seconds of a comparison at the quantile `share`; NaN if there is none."""
        if not self.trials:
            return math.nan
        return self.seconds * float(np.quantile([trial.end - trial.begin for trial in self.trials], share))


@dataclass(frozen=True)
class Batched:
    """A stream whose sides are measured one after the other: the times of A and of B of each complete trial.

    `size` is the number of times a side, `seconds` the time of a trial, `tool` the tool that timed it, if not the
    suite; `wanted` trials were requested.
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
    def incomplete(self) -> bool:
        """Whether it has fewer trials than were requested."""
        return len(self.trials) < self.wanted

    def shorter(self, size: int) -> Batched:
        """Return the stream as if measured with `size` units a side: the end of A and the beginning of B."""
        trials = tuple((a[-size:], b[:size]) for a, b in self.trials)
        return replace(self, trials=trials, size=size, seconds=self.seconds * size / self.size)


@dataclass(frozen=True)
class Trusted:
    """The results of a self-test.

    Gate i consists of the i-th comparison of every stream of equal arms. `longest` are the gates of the same streams by
    the run's longest procedure, which gives fewer. `ways` are arms that differ, each measured by two streams. `records`
    is the data of all results.
    """

    streams: tuple[Streamed, ...]
    batches: tuple[Batched, ...]
    ways: tuple[BothWays, ...]
    gates: Gates
    longest: Gates
    alpha: float
    records: Records

    @property
    def all_streams(self) -> tuple[Streamed | Batched | Way, ...]:
        """The results of each stream."""
        return (*self.streams, *self.batches, *(way for both in self.ways for way in (both.turns, both.apart)))

    @property
    def incomplete(self) -> tuple[Streamed | Batched | Way, ...]:
        """The streams with fewer verdicts or pairs than were requested."""
        return tuple(stream for stream in self.all_streams if stream.incomplete)


@dataclass(frozen=True)
class Gates:
    """The number of gates over equal arms, how many failed, and the largest number of pairs of a comparison."""

    count: int
    false_alarms: int
    pairs: int


def trusted(run: Run) -> Trusted:
    """Analyse the streams of `run`; raises BenchError if it has none."""
    stream_records = run.provenance.streams
    if not stream_records or run.provenance.alpha is None:
        raise BenchError(f"run {run.id} does not test the suite", fix="`python -m bench aa` makes one that does")
    try:
        longest = max((_procedure(record) for record in stream_records), key=lambda procedure: procedure.cap)
        recorded = records(run)
        every = [(recorded.streams[record.number], record) for record in stream_records]
        pairs = [(stream, record) for stream, record in every if not record.batch and record.kind != DIFFERENT]
        streams = tuple(_streamed(stream, record, longest) for stream, record in pairs)
        batches = tuple(_batched(stream, record) for stream, record in every if record.batch)
        ways = both_ways(every)
        alpha = run.provenance.alpha
    except ValueError as error:
        path = run.directory / "run.json"
        raise BenchError(f"{path} does not tell its streams", why=str(error), fix="restore the file") from error
    equal = [stream for stream in streams if stream.kind == EQUAL]
    cap = max((stream.procedure.cap for stream in equal), default=0)
    gates = _gates([stream.trials for stream in equal], cap, alpha)
    longer = _gates([stream.longest for stream in equal], longest.cap, alpha)
    return Trusted(streams, batches, ways, gates, longer, alpha, recorded)


def _gates(comparisons: Sequence[Sequence[Trial]], cap: int, alpha: float) -> Gates:
    count = min(map(len, comparisons), default=0)
    return Gates(count, sum(_alarm([trials[index] for trials in comparisons], alpha) for index in range(count)), cap)


def _alarm(trials: Sequence[Trial], alpha: float) -> bool:
    """Tell whether a gate of these comparisons fails."""
    return any(trial.verdict.word is Word.SLOWER and trial.verdict.p <= alpha / len(trials) for trial in trials)


def _procedure(record: StreamRecord) -> Procedure:
    return Procedure(record.alpha, record.delta, record.looks)


def _streamed(stream: Recorded, record: StreamRecord, longest: Procedure) -> Streamed:
    procedure = _procedure(record)
    a, b = stream.pairs
    long_run = ratio(b, a) if len(a) else Estimate(math.nan, math.nan, math.nan, 0, "no pair")
    covered, pieces = _coverage(a, b, long_run.value)
    return Streamed(
        label=record.label,
        kind=record.kind,
        share=record.share,
        procedure=procedure,
        trials=stream.cut(procedure, record.trials),
        longest=stream.cut(longest),
        pairs=len(a),
        long_run=long_run,
        covered=covered,
        pieces=pieces,
        seconds=2 * stream.seconds,
        failed=stream.failed,
        wanted=record.trials,
    )


def _batched(stream: Recorded, record: StreamRecord) -> Batched:
    size = record.batch
    return Batched(
        label=record.label,
        kind=record.kind,
        share=record.share,
        trials=stream.parts,
        size=size,
        seconds=2 * size * stream.seconds,
        wanted=record.trials,
        tool=record.tool,
    )


def _coverage(a: Floats, b: Floats, value: float) -> tuple[int, int]:
    """Return how many intervals of pieces contain `value`, and the number of pieces."""
    pieces = len(a) // PIECE
    intervals = [ratio(b[start : start + PIECE], a[start : start + PIECE]) for start in range(0, pieces * PIECE, PIECE)]
    return sum(interval.low <= value <= interval.high for interval in intervals), pieces
