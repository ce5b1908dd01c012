"""Long streams of pairs, of equal arms and of arms with a known difference: the suite tests its own verdicts.

A stream is measured as a comparison is, but goes on after a verdict, until it has given as many as were asked
for; bench.stats.trials cuts it. There is no control beside it: equal arms are what a control is.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bench import discovery
from bench.measure import hyperfine
from bench.measure.compare import SIDES, Comparison
from bench.measure.delay import delayed
from bench.measure.plan import Skip
from bench.stats.trials import cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from bench.measure.runner import Runner
    from bench.measure.scenario import Scenario
    from bench.measure.workshop import Workshop
    from bench.model import Cell, Param
    from bench.stats.paired import Procedure

__all__ = ["Stream", "Streams"]

CALIBRATION = 24  # units from which a delay's length is taken, after as many that warm up: right after the build,
# while the device still writes, first writes took four times as long
CUT_EVERY = 24  # pairs after which it is asked whether a stream has enough verdicts


@dataclass(frozen=True)
class Stream:
    """A comparison whose B is slower by a known share: of A's time as a delay (`share`), or in real work.

    `label` names the operation, `kind` is `equal`, `delay` or `work`, and `trials` how many verdicts are wanted.
    With `batch`, A is measured so many times and then B, as other tools do it, `trials` times; with `program`
    hyperfine times a program that does the operation.
    """

    comparison: Comparison
    label: str
    kind: str
    trials: int
    share: float = 0.0
    batch: int = 0
    program: bool = False

    def described(self) -> dict[str, Any]:
        """Return what a reader of the rows has to know, as JSON."""
        told: dict[str, Any] = {
            "number": self.comparison.number,
            "label": self.label,
            "kind": self.kind,
            "share": self.share,
            "trials": self.trials,
        }
        if self.batch:
            told["batch"] = self.batch
        if self.program:
            told.update(metric=hyperfine.METRIC.name, tool=hyperfine.NAME)
        return {**self.comparison.described(), **told}

    @property
    def observed(self) -> tuple[Scenario, str]:
        """What is measured, and the metric that is judged."""
        scenario = discovery.scenario(self.comparison.scenario)
        if self.program:
            return hyperfine.timed(scenario), hyperfine.METRIC.name
        return scenario, self.comparison.metric


@dataclass
class _State:
    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    blocks: int = 0
    delay: int = 0
    done: bool = False
    checked: int = 0


@dataclass(frozen=True)
class Streams:
    """The work of a run that tests the suite: all streams side by side."""

    streams: Sequence[Stream]

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure until every stream has its verdicts or the time is up; return the delays in nanoseconds."""
        able = hyperfine.probe(shop.tools)
        left = [stream for stream in self.streams if able.ok or not stream.program]
        if len(left) < len(self.streams):
            skip = Skip("what hyperfine says", able.reason, able.mend)
            shop.writer.save(skips=[*shop.writer.provenance["skips"], asdict(skip)])
        with shop.runner() as runner:
            runner.around = _around
            runner.build()
            states = {stream.comparison.number: _State() for stream in left}
            self._calibrate(runner, states)
            rounds = 0
            while left and time.monotonic() < shop.deadline:
                for stream in left:
                    state = states[stream.comparison.number]
                    if not stream.batch:
                        _pair(runner, stream, state)
                    elif rounds % stream.batch == 0:  # as many units as streams of pairs had since the last one
                        _batches(runner, stream, state)
                left = [one for one in left if not _enough(one, states[one.comparison.number])]
                rounds += 1
        return {"delays": {str(number): state.delay for number, state in states.items()}}

    def _calibrate(self, runner: Runner, states: Mapping[int, _State]) -> None:
        """Find how long A takes, in rows of their own set-up (0), and from it how long each delay is."""
        slowed = [stream for stream in self.streams if stream.kind == "delay" and stream.comparison.number in states]
        times: dict[int, list[float]] = {stream.comparison.number: [] for stream in slowed}
        for block in range(2 * CALIBRATION):
            for stream in slowed:
                value = _observed(runner, replace(stream, program=False), "a", 0, block, 0)
                if value is not None and block >= CALIBRATION:
                    times[stream.comparison.number].append(value)
        for stream in slowed:
            seen = sorted(times[stream.comparison.number])
            if seen:
                states[stream.comparison.number].delay = round(stream.share * seen[len(seen) // 2])


def _around(cell: Cell) -> AbstractContextManager[None]:
    return delayed(int(cell.values.get("delay", 0)))


def _pair(runner: Runner, stream: Stream, state: _State) -> None:
    """Measure one pair, in the order that a comparison would draw."""
    sides = [side for side in stream.comparison.order(runner.plan.request.seed, 1, state.blocks) if side in SIDES[:2]]
    times = {
        side: _observed(runner, stream, side, 1, state.blocks, state.delay if side == "b" else 0) for side in sides
    }
    state.blocks += 1
    a, b = times["a"], times["b"]
    if a is not None and b is not None:
        state.a.append(a)
        state.b.append(b)


def _batches(runner: Runner, stream: Stream, state: _State) -> None:
    """Measure A and then B, as a tool does that compares two runs."""
    for side in SIDES[:2]:
        for block in range(state.blocks * stream.batch, (state.blocks + 1) * stream.batch):
            _observed(runner, stream, side, 1, block, state.delay if side == "b" else 0)
    state.blocks += 1


def _observed(runner: Runner, stream: Stream, side: str, setup: int, block: int, delay: int) -> float | None:
    """Measure one unit; return the metric, None where the unit failed."""
    told: tuple[tuple[str, Param], ...] = (("delay", delay),)
    cell = stream.comparison.cell(side, setup)
    cell = replace(cell, params=(*cell.params, *told))
    runner.listener.unit(cell, block, runner.sequence, runner.deadline - time.monotonic())
    scenario, metric = stream.observed
    sample = runner.observe(scenario, cell, block, metric)
    value = sample.metrics.get(metric, 0.0)
    return None if sample.error or value <= 0 else value


def _enough(stream: Stream, state: _State) -> bool:
    """Tell whether the stream has given its verdicts; asked now and then, because cutting takes time too."""
    if stream.batch:
        return state.blocks >= stream.trials
    procedure: Procedure = stream.comparison.procedure
    if len(state.a) - state.checked < CUT_EVERY and state.blocks < stream.trials * 2 * procedure.cap:
        return False
    state.checked = len(state.a)
    return (
        len(cut(state.a, state.b, procedure, stream.trials)) >= stream.trials
        or state.blocks >= stream.trials * 2 * procedure.cap
    )
