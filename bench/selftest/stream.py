"""Measure long streams of pairs, of equal arms and of arms with a known difference, for the self-test.

A stream is measured like a comparison but goes on after a verdict until it has as many as were requested; `trials`
cuts it. It has no control, because equal arms are one. Streams of arms whose difference is not known have a fixed
number of pairs; two of them, in turns and one after the other, should give the same ratio.
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

CALIBRATION = 24  # units of A before the first pair, after as many for warm-up: right after the build, while the
# device still writes, first writes took four times as long
RECENT = 96  # units of A: a delay is a share of their median. Of the first units only, 5 % soon were 4 %: A got slower
CUT_EVERY = 24  # pairs between checks of whether a stream has enough verdicts


@dataclass(frozen=True)
class Stream:
    """A comparison whose B is slower by a known share, by a delay (a `share` of A's time) or by real work.

    `label` names the operation. `kind` is `equal`, `delay` or `work`, for which `trials` verdicts are wanted, or
    `different`, for which `pairs` are wanted. With `batch`, A is measured that many times and then B, as other tools
    do, for `trials` trials. With `program`, hyperfine times a program that does the operation.
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
        """Return the record of the stream for run.json."""
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
        """The scenario that is measured, and the metric that is judged."""
        scenario = discovery.scenario(self.comparison.scenario)
        if self.program:
            return hyperfine.timed(scenario), hyperfine.METRIC.name
        return scenario, self.comparison.metric


@dataclass
class _State:
    """The progress of a stream: `earlier` verdicts, pairs or complete trials of a batch, and those of this stretch."""

    earlier: int = 0
    first: int = 0  # the first block, or trial of a batch, of this stretch
    blocks: int = 0  # begun in this stretch
    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    checked: int = 0


@dataclass(frozen=True)
class Streams:
    """The work of a self-test: measures all streams side by side, and continues those of the run `earlier`."""

    streams: Sequence[Stream]
    earlier: Run | None = None

    @cached_property
    def _recorded(self) -> Records | None:
        return None if self.earlier is None else records(self.earlier)

    @cached_property
    def _states(self) -> dict[int, _State]:
        """The progress of each stream, by its number."""
        return {stream.comparison.number: self._state(stream) for stream in self.streams}

    @property
    def open(self) -> list[Stream]:
        """The streams that do not have all their verdicts yet."""
        return [stream for stream in self.streams if not _enough(stream, self._states[stream.comparison.number])]

    def _state(self, stream: Stream) -> _State:
        """Return the progress of a stream at the start."""
        if self._recorded is None:
            return _State()
        recorded = self._recorded.streams[stream.comparison.number]
        if stream.batch:
            return _State(len(recorded.parts), -(-recorded.blocks // stream.batch))
        earlier = recorded.blocks if stream.pairs else len(recorded.cut(stream.comparison.procedure, stream.trials))
        return _State(earlier, recorded.blocks)

    @property
    def _stretch(self) -> int:
        """The number of this stretch's set-up, from 1; no comparison spans two."""
        return 1 if self._recorded is None else self._recorded.stretches + 1

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure until every stream has its verdicts or the time is up."""
        support = hyperfine.probe(shop.tools)
        active = [stream for stream in self.open if support.ok or not stream.program]
        if not support.ok and any(stream.program for stream in self.streams):
            skip = Skip("what hyperfine says", support.reason, support.fix)
            shop.writer.save(skips=[*shop.writer.provenance["skips"], skip])
        with shop.runner() as runner:
            runner.around = _around
            runner.build()
            runner.sequence = 0 if self.earlier is None else self.earlier.following
            recorder = _Recorder(runner, self._stretch)
            for _ in range(2 * CALIBRATION):
                for stream in {_timing_key(stream): stream for stream in active if stream.kind == DELAY}.values():
                    recorder.calibrate(stream)
            rounds = 0
            while active and time.monotonic() < shop.deadline:
                for stream in active:
                    state = self._states[stream.comparison.number]
                    if not stream.batch:
                        recorder.pair(stream, state)
                    elif rounds % stream.batch == 0:  # after as many units as a stream of pairs has per trial
                        recorder.batches(stream, state)
                active = [stream for stream in active if not _enough(stream, self._states[stream.comparison.number])]
                rounds += 1
        return {}


@dataclass
class _Recorder:
    """Measures the units of streams, and keeps the recent times of A, in turns with B and alone."""

    runner: Runner
    setup: int
    recent: dict[tuple[str, bool], deque[float]] = field(default_factory=dict)
    calibrated: int = 0

    def calibrate(self, stream: Stream) -> None:
        """Measure A once, in set-up 0."""
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
        times = {side: self._judged_value(stream, side, sample) for side, sample in zip(sides, samples, strict=True)}
        state.blocks += 1
        a, b = times["a"], times["b"]
        if a is not None and b is not None:
            state.a.append(a)
            state.b.append(b)

    def batches(self, stream: Stream, state: _State) -> None:
        """Measure all units of A and then of B, as for a tool that compares two runs."""
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
        self._judged_value(stream, side, self.runner.observe(scenario, cell, block, stream.comparison.metric))

    def _cell(self, stream: Stream, side: str, setup: int) -> Cell:
        """Return the cell of a side; B has the delay."""
        delay: tuple[tuple[str, Param], ...] = (("delay", self._delay(stream) if side == "b" else 0),)
        cell = stream.comparison.cell(side, setup)
        return replace(cell, params=(*cell.params, *delay))

    def _judged_value(self, stream: Stream, side: str, sample: Sample) -> float | None:
        """Return the judged value of a unit, None if it failed; values of A are kept in `recent`."""
        value = sample.metrics.get(stream.observed[1], 0.0)
        if sample.error or value <= 0:
            return None
        if side == "a" and not stream.program:
            self.recent.setdefault(_timing_key(stream), deque(maxlen=RECENT)).append(value)
        return value

    def _delay(self, stream: Stream) -> int:
        """Return B's delay in nanoseconds: a share of the recent median of A over all streams with the same key."""
        recent = self.recent.get(_timing_key(stream))
        return round(stream.share * statistics.median(recent)) if recent and stream.kind == DELAY else 0


def _timing_key(stream: Stream) -> tuple[str, bool]:
    """Return a key shared by streams whose A takes the same time: A in turns with B may differ from A alone."""
    return stream.label, stream.comparison.in_turns and not stream.batch


def _around(cell: Cell) -> AbstractContextManager[None]:
    return delayed(int(cell.values.get("delay", 0)))


def _enough(stream: Stream, state: _State) -> bool:
    """Tell whether the stream has all wanted pairs or verdicts; cuts it only every CUT_EVERY pairs, to save time."""
    wanted = (stream.pairs or stream.trials) - state.earlier
    if stream.pairs or stream.batch:
        return state.blocks >= wanted
    procedure = stream.comparison.procedure
    if wanted <= 0 or state.blocks >= wanted * 2 * procedure.cap:
        return True
    if len(state.a) - state.checked < CUT_EVERY:
        return False
    state.checked = len(state.a)
    return len(cut(state.a, state.b, procedure, wanted)) >= wanted
