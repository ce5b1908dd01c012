"""Long streams of pairs, of equal arms and of arms with a known difference: the suite tests its own verdicts.

A stream is measured as a comparison is, but goes on after a verdict, until it has given as many as were asked
for; `trials` cuts it. There is no control beside it: equal arms are what a control is. Streams of arms whose
difference is not known have a number of pairs; two of them, in turns and one after the other, should say the same.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec

from bench import discovery
from bench.measure.compare import SIDES, Comparison, observe_pair
from bench.measure.runner import Runner
from bench.measure.workshop import Workshop
from bench.model import Cell, Param, Sample, Skip
from bench.scenario.contract import Scenario
from bench.selftest import DELAY, hyperfine
from bench.selftest.delay import delayed
from bench.selftest.pairs import records
from bench.selftest.recorded import Records
from bench.selftest.trials import cut
from bench.store.reader import Run
from bench.store.records import StreamRecord

__all__ = ["Stream", "Streams"]

CALIBRATION = 24  # units of A before the first pair, after as many that warm up: right after the build, while the
# device still writes, first writes took four times as long
RECENT = 96  # units of A of whose median a delay is a share. Of the first units alone, 5 % were soon 4 %: A got slower.
CUT_EVERY = 24  # pairs after which it is asked whether a stream has enough verdicts


@dataclass(frozen=True)
class Stream:
    """A comparison whose B is slower by a known share: of A's time as a delay (`share`), or in real work.

    `label` names the operation, `kind` is `equal`, `delay` or `work`, and `trials` how many verdicts are wanted; or
    `kind` is `different` and `pairs` are wanted, whatever they say.
    With `batch`, A is measured so many times and then B, as other tools do it, `trials` times; with `program`
    hyperfine times a program that does the operation.
    """

    comparison: Comparison
    label: str
    kind: str
    trials: int = 0
    share: float = 0.0
    pairs: int = 0
    batch: int = 0
    program: bool = False

    def described(self) -> StreamRecord:
        """Return what a reader of the rows has to know."""
        compared = msgspec.structs.asdict(self.comparison.described())
        if self.program:
            compared["metric"] = hyperfine.METRIC.name
        return StreamRecord(
            **compared,
            number=self.comparison.number,
            label=self.label,
            kind=self.kind,
            share=self.share,
            trials=self.trials,
            pairs=self.pairs,
            batch=self.batch,
            tool=hyperfine.NAME if self.program else "",
        )

    @property
    def observed(self) -> tuple[Scenario, str]:
        """What is measured, and the metric that is judged."""
        scenario = discovery.scenario(self.comparison.scenario)
        if self.program:
            return hyperfine.timed(scenario), hyperfine.METRIC.name
        return scenario, self.comparison.metric


@dataclass
class _State:
    """What a stream has: earlier, verdicts, pairs or whole trials of a batch; and now."""

    had: int = 0
    first: int = 0  # block of this stretch; of a batch, the first trial
    blocks: int = 0  # begun in it
    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    checked: int = 0


@dataclass(frozen=True)
class Streams:
    """The work of a run that tests the suite: all streams side by side, going on after those of `earlier`."""

    streams: Sequence[Stream]
    earlier: Run | None = None

    @cached_property
    def _recorded(self) -> Records | None:
        return None if self.earlier is None else records(self.earlier)

    @cached_property
    def _states(self) -> dict[int, _State]:
        """Where each stream stands, by its number."""
        return {stream.comparison.number: self._state(stream) for stream in self.streams}

    @property
    def open(self) -> list[Stream]:
        """The streams that have not given their verdicts."""
        return [stream for stream in self.streams if not _enough(stream, self._states[stream.comparison.number])]

    def _state(self, stream: Stream) -> _State:
        """Return where a stream stands at the beginning."""
        if self._recorded is None:
            return _State()
        begun = self._recorded.streams[stream.comparison.number]
        if stream.batch:
            return _State(len(begun.parts), -(-begun.blocks // stream.batch))
        had = begun.blocks if stream.pairs else len(begun.cut(stream.comparison.procedure, stream.trials))
        return _State(had, begun.blocks)

    @property
    def _stretch(self) -> int:
        """The set-up of the pairs, from 1: no comparison spans two."""
        return 1 if self._recorded is None else self._recorded.stretches + 1

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure until every stream has its verdicts or the time is up."""
        able = hyperfine.probe(shop.tools)
        left = [stream for stream in self.open if able.ok or not stream.program]
        if not able.ok and any(stream.program for stream in self.streams):
            skip = Skip("what hyperfine says", able.reason, able.fix)
            shop.writer.save(skips=[*shop.writer.provenance["skips"], skip])
        with shop.runner() as runner:
            runner.around = _around
            runner.build()
            runner.sequence = 0 if self.earlier is None else self.earlier.following
            recorder = _Recorder(runner, self._stretch)
            for _ in range(2 * CALIBRATION):
                for stream in {_apart(stream): stream for stream in left if stream.kind == DELAY}.values():
                    recorder.calibrate(stream)
            rounds = 0
            while left and time.monotonic() < shop.deadline:
                for stream in left:
                    state = self._states[stream.comparison.number]
                    if not stream.batch:
                        recorder.pair(stream, state)
                    elif rounds % stream.batch == 0:  # as many units as streams of pairs had since the last one
                        recorder.batches(stream, state)
                left = [one for one in left if not _enough(one, self._states[one.comparison.number])]
                rounds += 1
        return {}


@dataclass
class _Recorder:
    """Measures the units of streams, and knows how long A takes just now, in turns with B and alone."""

    runner: Runner
    setup: int
    recent: dict[tuple[str, bool], deque[float]] = field(default_factory=dict)
    calibrated: int = 0

    def calibrate(self, stream: Stream) -> None:
        """Measure A once, in a row of its own set-up (0)."""
        self._observed(replace(stream, program=False), "a", 0, self.calibrated)
        self.calibrated += 1

    def pair(self, stream: Stream, state: _State) -> None:
        """Measure one pair, as a comparison does."""
        block = state.first + state.blocks
        pairs = stream.comparison.pairs(self.runner.plan.request.seed, self.setup, block)
        sides = next(sides for sides in pairs if set(sides) == set(SIDES[:2]))
        scenario, _ = stream.observed
        cells = [self._cell(stream, side, self.setup) for side in sides]
        samples = observe_pair(self.runner, stream.comparison, scenario, cells, block)
        times = {side: self._told(stream, side, sample) for side, sample in zip(sides, samples, strict=True)}
        state.blocks += 1
        a, b = times["a"], times["b"]
        if a is not None and b is not None:
            state.a.append(a)
            state.b.append(b)

    def batches(self, stream: Stream, state: _State) -> None:
        """Measure A and then B, as a tool does that compares two runs."""
        for side in SIDES[:2]:
            first = (state.first + state.blocks) * stream.batch
            for block in range(first, first + stream.batch):
                self._observed(stream, side, self.setup, block)
        state.blocks += 1

    def _observed(self, stream: Stream, side: str, setup: int, block: int) -> None:
        """Measure one unit."""
        cell = self._cell(stream, side, setup)
        self.runner.listener.unit(cell, block, self.runner.sequence, self.runner.deadline - time.monotonic())
        scenario, _ = stream.observed
        self._told(stream, side, self.runner.observe(scenario, cell, block, stream.comparison.metric))

    def _cell(self, stream: Stream, side: str, setup: int) -> Cell:
        """Return the cell of a side, slowed if it is B."""
        told: tuple[tuple[str, Param], ...] = (("delay", self._delay(stream) if side == "b" else 0),)
        cell = stream.comparison.cell(side, setup)
        return replace(cell, params=(*cell.params, *told))

    def _told(self, stream: Stream, side: str, sample: Sample) -> float | None:
        """Return what is judged of a unit, None where it failed; what A takes is remembered."""
        value = sample.metrics.get(stream.observed[1], 0.0)
        if sample.error or value <= 0:
            return None
        if side == "a" and not stream.program:
            self.recent.setdefault(_apart(stream), deque(maxlen=RECENT)).append(value)
        return value

    def _delay(self, stream: Stream) -> int:
        """Return by how many nanoseconds B is slowed now: a share of what A took of late, in any of its streams."""
        recent = self.recent.get(_apart(stream))
        return round(stream.share * statistics.median(recent)) if recent and stream.kind == DELAY else 0


def _apart(stream: Stream) -> tuple[str, bool]:
    """Return what streams have in common whose A takes as long: in turns with B it may differ from A by itself."""
    return stream.label, stream.comparison.in_turns and not stream.batch


def _around(cell: Cell) -> AbstractContextManager[None]:
    return delayed(int(cell.values.get("delay", 0)))


def _enough(stream: Stream, state: _State) -> bool:
    """Tell whether the stream has given what is wanted; asked now and then, because cutting takes time too."""
    left = (stream.pairs or stream.trials) - state.had
    if stream.pairs or stream.batch:
        return state.blocks >= left
    procedure = stream.comparison.procedure
    if left <= 0 or state.blocks >= left * 2 * procedure.cap:
        return True
    if len(state.a) - state.checked < CUT_EVERY:
        return False
    state.checked = len(state.a)
    return len(cut(state.a, state.b, procedure, left)) >= left
