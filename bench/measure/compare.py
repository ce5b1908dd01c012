"""Comparison of two arms: pairs of fresh units are measured until a decision.

Each block has one unit of each side and, as a control, two units of a plain directory. The units of a pair run in
turns (bench.measure.turns) unless one is cold. The order within a pair is random, such that in two successive pairs
each side is first once; the order of pair and control is random too. A finding is measured again on a fresh set-up:
new volumes with other content, new mounts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench import discovery
from bench.errors import BenchError, nearest
from bench.measure.arms import parse_arm
from bench.measure.plan import Plan
from bench.measure.planning import of_cells
from bench.measure.request import Request, parse_depth
from bench.measure.runner import Runner
from bench.measure.support import arm_support, cell_support, driver_of
from bench.measure.workshop import Workshop
from bench.model import Arm, Cell, Param, Sample, Temperature, parse_size
from bench.scenario.contract import Scenario
from bench.stats.paired import LOOKS, Decision, Procedure, Word, judge
from bench.store.records import Compares, Side

__all__ = ["SIDES", "Compare", "Comparison", "make", "observe_pair", "plan_of", "procedure_of"]

SIDES = ("a", "b", "control a", "control b")  # the parameter `side` of a row
CONFIRMING = 1.5  # times what a finding took is kept for confirming it: some need the next look, of twice the pairs
SETUPS = (1, 2)
MOST = 100_000  # maximum of a number such as `deletions`: a larger layer takes longer to build than to compare
ALPHA_LEAST = 1e-9  # for less, 1 - alpha rounds to 1; and no measurement is that certain
TEMPERATURES = {"hot": Temperature.HOT, "new": Temperature.NEW, "cold": Temperature.COLD}


@dataclass(frozen=True)
class Comparison:
    """B against A: one metric of one scenario in two cells, with a control.

    With `apart` the units of a pair run one after the other even if they could run in turns. `control`: the arm of
    both units of the control; None: a plain directory on A's volume. Every `control_every`th block has a control.
    """

    number: int
    scenario: str
    metric: str
    a: Cell
    b: Cell
    procedure: Procedure
    apart: bool = False
    control: Arm | None = None
    control_every: int = 1

    def cell(self, side: str, setup: int) -> Cell:
        """Return the cell of a side, with the parameters that identify its rows."""
        cell = self.b if side == "b" else self.a
        labels = (("comparison", self.number), ("side", side), ("setup", setup))
        arm = self.control_arm if side.startswith("control") else cell.arm
        return replace(cell, arm=arm, params=(*cell.params, *labels))

    def pairs(self, seed: int, setup: int, pair: int) -> list[tuple[str, str]]:
        """Return the sides of a pair (counted from 0) and of its control, if any, in the order of measurement."""
        sides: list[tuple[str, str]] = []
        kinds = (SIDES[:2], SIDES[2:]) if pair % self.control_every == 0 else (SIDES[:2],)
        for kind, (first, second) in enumerate(kinds):
            draw = random.Random(f"{seed}:{self.number}:{setup}:{pair // 2}:{kind}")  # noqa: S311
            swapped = (draw.random() < 0.5) != bool(pair % 2)
            sides.append((second, first) if swapped else (first, second))
        random.Random(f"{seed}:{self.number}:{setup}:{pair}").shuffle(sides)  # noqa: S311
        return sides

    @property
    def control_arm(self) -> Arm:
        """The arm that is compared with itself."""
        return self.control or self.a.arm.native

    @property
    def in_turns(self) -> bool:
        """Whether the units of a pair run at the same time: not if one is cold, because the other would warm it."""
        return not self.apart and Temperature.COLD not in {self.a.temperature, self.b.temperature}

    def described(self) -> Compares:
        """Return the record for run.json."""
        a, b = (Side(cell.arm.name, cell.depth, cell.temperature, dict(cell.params)) for cell in (self.a, self.b))
        procedure, control = self.procedure, self.control_arm.name
        return Compares(
            self.scenario, self.metric, a, b, procedure.alpha, procedure.delta, procedure.looks, control, self.apart
        )


def procedure_of(
    alpha: float, delta: float, pairs: int | None = None, *, looks: Sequence[int] = LOOKS, fix: str = ""
) -> Procedure:
    """Return the procedure with these numbers, of `looks` those below `pairs`; raises BenchError, with `fix`."""
    fix = fix or "see `python -m bench ab --help`"
    if 0 < alpha < ALPHA_LEAST:
        raise BenchError(f"alpha is {alpha:g}", why=f"it must be at least {ALPHA_LEAST:g}", fix=fix)
    looks = tuple(looks) if pairs is None else (*(look for look in looks if look < pairs), pairs)
    try:
        return Procedure(alpha, delta, looks)
    except ValueError as error:
        raise BenchError(str(error), fix=fix) from error


def make(
    a: str,
    b: str,
    *,
    scenarios: Iterable[str] = (),
    where: Mapping[str, str | int] | None = None,
    metric: str | None = None,
    procedure: Procedure | None = None,
    first: int = 0,
    apart: bool = False,
    rootless: bool = False,
) -> list[Comparison]:
    """Return the comparisons of two arms in the syntax of `parse_arm`, numbered from `first`.

    One per scenario (empty: every scenario whose times are compared), at the scenario's own point unless `where` or an
    arm's parameters give another depth, temperature or parameter. Raises BenchError for unknown names and for what
    cannot run on this machine.
    """
    known = discovery.scenarios()
    chosen = [discovery.scenario(name) for name in scenarios] or [entry for entry in known.values() if entry.compared]
    comparisons: list[Comparison] = []
    for scenario in chosen:
        point = scenario.compared
        if point is None:
            comparable = ", ".join(entry.name for entry in known.values() if entry.compared)
            raise BenchError(f"the times of scenario {scenario.name} are not compared", fix=f"choose of: {comparable}")
        name = metric or point.metric
        if name not in (known_metrics := [metric.name for metric in scenario.reading.metrics]):
            raise nearest(f"metric of {scenario.name}", name, known_metrics)
        cell_a, cell_b = (_cell(scenario, text, where or {}, rootless=rootless) for text in (a, b))
        number = first + len(comparisons)
        comparisons.append(Comparison(number, scenario.name, name, cell_a, cell_b, procedure or Procedure(), apart))
    return comparisons


def _cell(scenario: Scenario, text: str, where: Mapping[str, str | int], *, rootless: bool) -> Cell:
    """Return the cell of an arm's text and `where`; the arm's own values take precedence."""
    point = scenario.compared
    assert point is not None
    arm, own_parameters = parse_arm(text)
    values: dict[str, Param] = {"depth": point.depth, "temperature": point.temperature.value, **point.params}
    for key, value in {**where, **own_parameters}.items():
        if key not in values:
            raise nearest(f"parameter of {scenario.name}", key, values)
        values[key] = _value(scenario, key, str(value))
    depth, temperature = int(values.pop("depth")), Temperature(str(values.pop("temperature")))
    for support in (arm_support(arm, rootless=rootless), cell_support(arm, depth, temperature)):
        if not support.ok:
            raise BenchError(f"arm {arm.name} cannot run here", why=support.reason, fix=support.fix)
    cell = Cell(scenario.name, arm, depth, temperature, tuple((key, values[key]) for key in point.params))
    reason = scenario.excludes(cell, driver_of(arm, rootless=rootless))
    if reason:
        raise BenchError(f"{scenario.name} does not apply to {text}", why=reason)
    return cell


def _value(scenario: Scenario, key: str, text: str) -> Param:
    """Parse a parameter's value; a text must be one of the scenario's."""
    if key == "depth":
        return parse_depth(text)
    if key == "temperature":
        temperatures = {**TEMPERATURES, **{temperature.value: temperature for temperature in Temperature}}
        if text not in temperatures:
            raise nearest("temperature", text, TEMPERATURES)
        return temperatures[text].value
    known = {value for grid in scenario.grids("full") for value in grid.params.get(key, ())}
    texts = sorted(value for value in known if isinstance(value, str))
    if texts:
        if text not in texts:
            raise nearest(key, text, texts)
        return text
    if key == "size":
        return parse_size(text)
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise BenchError(f"{key}={text!r} is not a whole number from 1 to {MOST:,}")
    return int(text)


def plan_of(comparisons: Sequence[Comparison], *, seed: int, budget: float, rootless: bool = False) -> Plan:
    """Return the plan with the cells of all sides; raises BenchError if it cannot be laid out."""
    cells = (comparison.cell(side, SETUPS[0]) for comparison in comparisons for side in SIDES)
    return of_cells(Request("comparison", seed, budget, rootless=rootless), cells)


@dataclass
class _State:
    """State of a comparison in one set-up: its pairs of times, by kind."""

    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"a": [], "control a": []})
    blocks: int = 0
    seconds: float = 0.0
    decision: Decision | None = None

    def ended(self, procedure: Procedure) -> bool:
        """Whether it is decided, or has had its maximum number of blocks (some pairs may have failed)."""
        return (self.decision is not None and self.decision.word is not None) or self.blocks >= procedure.cap


@dataclass(frozen=True)
class Compare:
    """The work of a comparing run: all comparisons in turn, then the findings once more."""

    comparisons: Sequence[Comparison]
    plan: Plan

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure until all comparisons are decided or the time is up."""
        undecided, seconds = list(self.comparisons), []
        for setup in SETUPS:
            if not undecided:
                break
            began = time.monotonic()
            states = self._measured(shop, undecided, setup)
            seconds.append(round(time.monotonic() - began, 3))
            undecided = [comparison for comparison in undecided if _has_finding(states[comparison.number])]
        return {"setup_seconds": seconds}

    def _measured(self, shop: Workshop, comparisons: Sequence[Comparison], setup: int) -> Mapping[int, _State]:
        """Measure on new volumes; return what was measured."""
        states = {comparison.number: _State() for comparison in comparisons}
        request = replace(self.plan.request, seed=self.plan.request.seed + setup - 1)  # other content, other orders
        began = time.monotonic()
        with shop.runner(replace(self.plan, request=request)) as runner:
            runner.build()
            building = time.monotonic() - began
            if setup == SETUPS[0]:
                _measure(runner, comparisons, setup, states, lambda: shop.deadline - _reserve(states, building))
            else:  # one after the other, so that some are confirmed if not all can be
                for comparison in comparisons:
                    _measure(runner, [comparison], setup, states, lambda: shop.deadline)
        return states


def _has_finding(state: _State) -> bool:
    return state.decision is not None and state.decision.word in {Word.SLOWER, Word.FASTER}


def _reserve(states: Mapping[int, _State], building: float) -> float:
    """Return the seconds that confirming the findings may take: none if nothing was found."""
    found = [state.seconds for state in states.values() if _has_finding(state)]
    return building + CONFIRMING * sum(found) if found else 0.0


def _measure(
    runner: Runner,
    comparisons: Sequence[Comparison],
    setup: int,
    states: Mapping[int, _State],
    end: Callable[[], float],
) -> None:
    """Run blocks of the comparisons in turn until each has ended, or until the moment `end`, which may move.

    That they take turns means that they find what they find at one time, so the moment is looked at once in a round.
    """
    running = list(comparisons)
    while running and time.monotonic() <= (until := end()):
        for comparison in running:
            state = states[comparison.number]
            began = time.monotonic()
            if began > until:
                return
            _block(runner, comparison, setup, state)
            pairs = state.pairs["a"]
            if len(pairs) in comparison.procedure.looks:
                a, b = zip(*pairs, strict=True)
                state.decision = judge(a, b, comparison.procedure)
            state.seconds += time.monotonic() - began
        running = [entry for entry in running if not states[entry.number].ended(entry.procedure)]


def _block(runner: Runner, comparison: Comparison, setup: int, state: _State) -> None:
    """Measure one pair and one pair of the control."""
    times: dict[str, float] = {}
    scenario = discovery.scenario(comparison.scenario)
    for sides in comparison.pairs(runner.plan.request.seed, setup, state.blocks):
        cells = [comparison.cell(side, setup) for side in sides]
        samples = observe_pair(runner, comparison, scenario, cells, state.blocks)
        for side, sample in zip(sides, samples, strict=True):
            if not sample.error and sample.metrics.get(comparison.metric, 0.0) > 0:
                times[side] = sample.metrics[comparison.metric]
    state.blocks += 1
    for first, second in (SIDES[:2], SIDES[2:]):
        if first in times and second in times:
            state.pairs[first].append((times[first], times[second]))


def observe_pair(
    runner: Runner, comparison: Comparison, scenario: Scenario, cells: Sequence[Cell], block: int
) -> Sequence[Sample]:
    """Measure the units of a pair in this order: in turns if possible, else one after the other."""
    runner.listener.unit(cells[0], block, runner.sequence, runner.deadline - time.monotonic())
    if comparison.in_turns:
        return runner.observe_together(scenario, cells, block, comparison.metric)
    return [runner.observe(scenario, cell, block, comparison.metric) for cell in cells]
