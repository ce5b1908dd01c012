"""Two arms against each other: pairs of fresh units until it is known whether they differ.

Each block has one unit of each side and, as a control, two of a plain directory. The units of a pair run in turns
(bench.measure.turns) unless one is cold. The order within a pair is drawn so that of two successive pairs each side
goes first once, and which of the two pairs goes first is drawn too. A finding is measured again on a fresh set-up: new
volumes with other content, new mounts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench import discovery
from bench.errors import BenchError, nearest
from bench.measure.arms import parse_arm
from bench.measure.plan import Plan
from bench.measure.request import Request, parse_depth
from bench.measure.runner import Runner
from bench.measure.sizing import lay_out
from bench.measure.support import arm_support, cell_support, driver_of
from bench.measure.workshop import Workshop
from bench.model import Cell, Param, Sample, Temperature, parse_size
from bench.scenario.contract import Scenario
from bench.stats.paired import LOOKS, Decision, Procedure, Word, judge
from bench.store.records import Compares, Side

__all__ = ["FIRST_SHARE", "SIDES", "Compare", "Comparison", "make", "observe_pair", "plan_of", "procedure_of"]

SIDES = ("a", "b", "control a", "control b")  # the parameter `side` of a row
FIRST_SHARE = 0.6  # of the time, for the first set-up; a finding needs the rest to be confirmed
SETUPS = (1, 2)
MOST = 100_000  # of a number such as `deletions`: a layer of more files takes longer to make than to compare
ALPHA_LEAST = 1e-9  # beyond, 1 - alpha is 1 to a computer; and nothing measured is that certain
TEMPERATURES = {"hot": Temperature.HOT, "new": Temperature.NEW, "cold": Temperature.COLD}


@dataclass(frozen=True)
class Comparison:
    """B against A: one metric of one scenario in two cells, and a control beside them.

    With `apart` the units of a pair run one after the other even where they could be in turns.
    """

    number: int
    scenario: str
    metric: str
    a: Cell
    b: Cell
    procedure: Procedure
    apart: bool = False

    def cell(self, side: str, setup: int) -> Cell:
        """Return the cell of a side, with the parameters by which its rows are found again."""
        own = self.b if side == "b" else self.a
        told = (("comparison", self.number), ("side", side), ("setup", setup))
        arm = own.arm.native if side.startswith("control") else own.arm
        return replace(own, arm=arm, params=(*own.params, *told))

    def pairs(self, seed: int, setup: int, pair: int) -> list[tuple[str, str]]:
        """Return the sides of a pair (pairs from 0) and those of its control, in the order that they are measured."""
        sides: list[tuple[str, str]] = []
        for kind, (first, second) in enumerate((SIDES[:2], SIDES[2:])):
            draw = random.Random(f"{seed}:{self.number}:{setup}:{pair // 2}:{kind}")  # noqa: S311
            swapped = (draw.random() < 0.5) != bool(pair % 2)
            sides.append((second, first) if swapped else (first, second))
        random.Random(f"{seed}:{self.number}:{setup}:{pair}").shuffle(sides)  # noqa: S311
        return sides

    @property
    def in_turns(self) -> bool:
        """Whether the units of a pair run at the same time: not where one is cold, which the other would warm."""
        return not self.apart and Temperature.COLD not in {self.a.temperature, self.b.temperature}

    def described(self) -> Compares:
        """Return what a reader of the rows has to know."""
        a, b = (Side(cell.arm.name, cell.depth, cell.temperature, dict(cell.params)) for cell in (self.a, self.b))
        procedure, control = self.procedure, self.a.arm.native.name
        return Compares(
            self.scenario, self.metric, a, b, procedure.alpha, procedure.delta, procedure.looks, control, self.apart
        )


def procedure_of(alpha: float, delta: float, pairs: int | None = None, *, fix: str = "") -> Procedure:
    """Return the procedure with these numbers; raises BenchError, with `fix`, where they make no sense."""
    fix = fix or "see `python -m bench ab --help`"
    if 0 < alpha < ALPHA_LEAST:
        raise BenchError(f"alpha is {alpha:g}", why=f"it must be at least {ALPHA_LEAST:g}", fix=fix)
    looks = LOOKS if pairs is None else (*(look for look in LOOKS if look < pairs), pairs)
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
    """Return the comparisons of two arms, written as `parse_arm` takes them, numbered from `first`.

    One per scenario (empty: every one whose times are compared), at its own point unless `where` or an arm's
    parameters say another depth, temperature or parameter. Raises BenchError for what is not known or cannot
    run here.
    """
    known = discovery.scenarios()
    chosen = [discovery.scenario(name) for name in scenarios] or [one for one in known.values() if one.compared]
    found: list[Comparison] = []
    for scenario in chosen:
        point = scenario.compared
        if point is None:
            able = ", ".join(name for name, one in known.items() if one.compared)
            raise BenchError(f"the times of scenario {scenario.name} are not compared", fix=f"choose of: {able}")
        wanted = metric or point.metric
        if wanted not in (known_metrics := [metric.name for metric in scenario.reading.metrics]):
            raise nearest(f"metric of {scenario.name}", wanted, known_metrics)
        one, other = (_cell(scenario, text, where or {}, rootless=rootless) for text in (a, b))
        number = first + len(found)
        found.append(Comparison(number, scenario.name, wanted, one, other, procedure or Procedure(), apart))
    return found


def _cell(scenario: Scenario, text: str, where: Mapping[str, str | int], *, rootless: bool) -> Cell:
    """Return the cell that an arm's text and `where` (the arm's own values win) mean."""
    point = scenario.compared
    assert point is not None
    arm, own = parse_arm(text)
    values: dict[str, Param] = {"depth": point.depth, "temperature": point.temperature.value, **point.params}
    for key, value in {**where, **own}.items():
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
    """Return a parameter's value; texts must be ones that the scenario knows."""
    if key == "depth":
        return parse_depth(text)
    if key == "temperature":
        words = {**TEMPERATURES, **{one.value: one for one in Temperature}}
        if text not in words:
            raise nearest("temperature", text, TEMPERATURES)
        return words[text].value
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
    """Return the plan that holds what all sides need; raises BenchError where it cannot be laid out."""
    plan = Plan(Request("comparison", seed, budget, rootless=rootless))
    for comparison in comparisons:
        cells = plan.cells.setdefault(comparison.scenario, [])
        cells.extend(comparison.cell(side, SETUPS[0]) for side in SIDES)
    lay_out(plan)
    return plan


@dataclass
class _State:
    """Where a comparison stands in one set-up: its pairs of times, by kind."""

    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"a": [], "control a": []})
    blocks: int = 0
    decision: Decision | None = None

    def ended(self, procedure: Procedure) -> bool:
        """Whether it is decided, or has had as many blocks as it may have pairs (some may have failed)."""
        return (self.decision is not None and self.decision.word is not None) or self.blocks >= procedure.cap


@dataclass(frozen=True)
class Compare:
    """The work of a run that compares: all comparisons side by side, then the findings once more."""

    comparisons: Sequence[Comparison]
    plan: Plan

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure until each comparison is decided or the time is up."""
        start = time.monotonic()
        first = start + FIRST_SHARE * (shop.deadline - start)
        open_ones, seconds = list(self.comparisons), []
        for setup, deadline in zip(SETUPS, (first, shop.deadline), strict=True):
            if not open_ones:
                break
            begun = time.monotonic()
            request = replace(self.plan.request, seed=self.plan.request.seed + setup - 1)  # other content, other orders
            with shop.runner(replace(self.plan, request=request)) as runner:
                runner.build()
                states = _measure(runner, open_ones, setup, deadline)
            seconds.append(round(time.monotonic() - begun, 3))
            open_ones = [one for one in open_ones if _found(states[one.number])]
        return {"setup_seconds": seconds}


def _found(state: _State) -> bool:
    return state.decision is not None and state.decision.word in {Word.SLOWER, Word.FASTER}


def _measure(runner: Runner, comparisons: Sequence[Comparison], setup: int, deadline: float) -> Mapping[int, _State]:
    """Run blocks of the comparisons in turn until each is decided, or has had its pairs, or it is `deadline`."""
    states = {one.number: _State() for one in comparisons}
    for comparison in _turns(comparisons, states):
        if time.monotonic() > deadline:
            break
        state = states[comparison.number]
        _block(runner, comparison, setup, state)
        pairs = state.pairs["a"]
        if len(pairs) in comparison.procedure.looks:
            a, b = zip(*pairs, strict=True)
            state.decision = judge(a, b, comparison.procedure)
    return states


def _turns(comparisons: Sequence[Comparison], states: Mapping[int, _State]) -> Iterator[Comparison]:
    """Yield the comparisons in turn, as long as they have not ended."""
    left = list(comparisons)
    while left:
        yield from left
        left = [one for one in left if not states[one.number].ended(one.procedure)]


def _block(runner: Runner, comparison: Comparison, setup: int, state: _State) -> None:
    """Measure one pair and one of the control."""
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
    """Measure the units of a pair in this order: in turns if that can be, else one after the other."""
    runner.listener.unit(cells[0], block, runner.sequence, runner.deadline - time.monotonic())
    if comparison.in_turns:
        return runner.observe_together(scenario, cells, block, comparison.metric)
    return [runner.observe(scenario, cell, block, comparison.metric) for cell in cells]
