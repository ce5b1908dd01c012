"""The runner: builds stacks, runs blocks of units, and hands on each sample.

It runs inside a private namespace (bench.kernel.namespaces), so its mounts disappear with it.
"""

from __future__ import annotations

import errno
import gc
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from bench import discovery
from bench.drivers.base import Container, Stack
from bench.errors import BenchError, Interrupted, LostVolumeError
from bench.measure import schedule
from bench.measure.arms import volume_key
from bench.measure.pace import PATIENCE, Pace
from bench.measure.plan import Plan, StackKey
from bench.measure.steering import Steering
from bench.measure.turns import Turns
from bench.model import SLACK, Cell, Sample
from bench.scenario.contract import ProofError, Scenario, Unit
from bench.volumes.base import Volume

__all__ = ["Listener", "Runner", "interruption"]

# The volume is broken or full (EIO: the file behind the loop device could not be written), so every later
# unit would fail as well.
FATAL = frozenset({errno.ENOSPC, errno.EIO, errno.EROFS})


class Listener(Protocol):
    """Receiver of a run's progress."""

    def phase(self, text: str) -> None:
        """A new phase starts."""

    def unit(self, cell: Cell, block: int, done: int, left: float) -> None:
        """A unit starts; `done` units are done, `left` seconds of the budget remain."""

    def figures(self, text: str) -> None:
        """How precise the headline figures are now."""

    def problem(self, text: str) -> None:
        """A unit failed."""


@dataclass
class Runner:
    """One run of a plan. `add` receives each sample; `deadline` is on time.monotonic()'s clock."""

    plan: Plan
    volumes: Mapping[str, Volume]
    add: Callable[[Sample], None]
    listener: Listener
    deadline: float
    tools: Mapping[str, str] = field(default_factory=dict)
    sequence: int = 0  # the run's number of the next unit
    units: int = 0  # measured here
    finished: Mapping[str, int] = field(default_factory=dict)  # complete blocks of an earlier part of the run
    partial: frozenset[tuple[str, int, Cell]] = frozenset()  # its cells in incomplete blocks
    stacks: dict[StackKey, Stack] = field(default_factory=dict)
    steering: Steering | None = None
    errors: int = 0
    disturbed: int = 0  # units whose clock started on a CPU slower than its best
    build_seconds: dict[str, float] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    around: Callable[[Cell], AbstractContextManager[None]] = lambda cell: nullcontext()  # active while the clock runs

    def run(self) -> dict[str, int]:
        """Build, then run blocks until the deadline; return the number of blocks per scenario."""
        self.build()
        scenarios = {name: discovery.scenario(name) for name in self.plan.cells}
        weights = {name: scenario.weight for name, scenario in scenarios.items()}
        scheduler = schedule.Schedule(self.plan.cells, weights)
        steering = self.steering
        for name, blocks in self.finished.items():
            for number in range(blocks):
                scheduler.ran(schedule.NextBlock(name, number, True), 0.0)
        while (
            chosen := scheduler.next(
                self.deadline - time.monotonic(), steering.gains(scheduler.begun) if steering else schedule.NO_GAINS
            )
        ) is not None:
            name, block = chosen.scenario, chosen.block
            start = time.monotonic()
            cells = steering.cells(chosen) if steering else self.plan.cells[name]
            for cell in schedule.block_order(cells, self.plan.request.seed, name, block):
                if (name, block, cell) in self.partial:
                    continue
                if time.monotonic() > self.deadline:
                    return scheduler.begun
                self.listener.unit(cell, block, self.sequence, self.deadline - time.monotonic())
                self.observe(scenarios[name], cell, block)
            scheduler.ran(chosen, time.monotonic() - start)
            if steering:
                steering.look(name, scheduler.begun[name])
                self.listener.figures(steering.words)
        return scheduler.begun

    def block(self, number: int) -> None:
        """Run one unit of each cell that has one in block `number`, scenario by scenario."""
        for name, cells in self.plan.cells.items():
            scenario = discovery.scenario(name)
            for cell in schedule.block_order(cells, self.plan.request.seed, name, number):
                self.listener.unit(cell, number, self.sequence, self.deadline - time.monotonic())
                self.observe(scenario, cell, number)

    def build(self) -> None:
        """Build every chain of the plan."""
        for number, (key, stack_plan) in enumerate(self.plan.stacks.items()):
            scenario = discovery.scenario(key.scenario)
            driver = discovery.driver(key.driver)(rootless=self.plan.request.rootless)
            volume = self.volumes[volume_key(key.driver, key.volume)]
            support = driver.admits(volume.path)
            if not support.ok:
                raise BenchError(f"{key.driver}@{key.volume} cannot be measured", why=support.reason, fix=support.fix)
            if not scenario.needs_container:
                continue
            if driver.daemon and time.monotonic() > self.deadline:  # an engine takes seconds for each
                raise BenchError(
                    f"the time was over after building {number} of {len(self.plan.stacks)} stacks",
                    fix="give a larger --budget, or fewer drivers, volumes or scenarios",
                )
            phase = f"building {key.scenario} for {key.driver}@{key.volume}, {len(stack_plan.layers)} layers"
            self.listener.phase(phase)
            start = time.monotonic()
            home = volume.path / f"{key.driver.replace('/', '-')}-{number}"
            try:
                self.stacks[key] = driver.build(home, stack_plan.layers, stack_plan.depths, self.plan.request.seed)
            except OSError as error:
                raise BenchError(
                    f"building {key.scenario} for {key.driver}@{key.volume} failed",
                    why=f"{error.strerror} ({error.filename})" if error.filename else error.strerror or str(error),
                    fix="leave out the largest sizes or depths, or give a --workdir with more room",
                ) from error
            name, took = f"{key.scenario} {key.driver}@{key.volume}", time.monotonic() - start
            self.build_seconds[name] = round(self.build_seconds.get(name, 0.0) + took, 3)  # of all its stacks
        for volume in self.volumes.values():
            volume.sync()

    def close(self) -> None:
        """Close the stacks, which stops engines."""
        for key, stack in self.stacks.items():
            discovery.driver(key.driver)(rootless=self.plan.request.rootless).close(stack)

    def observe(self, scenario: Scenario, cell: Cell, block: int, metric: str = "") -> Sample:
        """Run one unit and hand its sample on; a failure becomes an error row, not an exception.

        With `metric`, other metrics may be left out.
        """
        [sample] = self.observe_together(scenario, [cell], block, metric)
        return sample

    def observe_together(
        self, scenario: Scenario, cells: Sequence[Cell], block: int, metric: str = ""
    ) -> Sequence[Sample]:
        """Run one unit of each cell at the same time, with their operations in turns, and hand the samples on.

        All containers are mounted before the first operation (bench.measure.turns). If one fails, all of them become
        error rows. Not for cold cells: mounting one container would warm the caches for another.
        """
        started = time.time()
        units = [self._unit(scenario, cell, block) for cell in cells]
        for position, unit in enumerate(units):
            unit.judged, unit.place = metric, (position, len(units))
        turns = Turns(scenario, units, self.around, self._quiet)
        failure: Exception | None = None
        try:
            turns.run()
        except (OSError, ProofError, BenchError, subprocess.SubprocessError) as problem:
            if (stop := interruption(problem)) is not None:
                raise stop from None
            failure = problem
            self.errors += len(units)
            cell = turns.active.cell
            self.listener.problem(f"{scenario.name} {cell.arm.name} depth {cell.depth}: {problem}")
        samples = [self._sample(unit, block, started, turns.error_text(unit, failure)) for unit in units]
        for sample in samples:
            self.add(sample)
        if isinstance(failure, LostVolumeError):
            raise failure
        # A failed proof may be the consequence of an earlier error.
        cause = failure.__context__ if isinstance(failure, ProofError) else failure
        if isinstance(cause, OSError) and cause.errno in FATAL:
            arm = turns.active.cell.arm
            raise BenchError(
                f"volume {arm.volume} cannot be written any more",
                why=f"{cause.strerror} in {scenario.name} on {arm.name}",
                fix="give a --workdir with more room, or leave out the largest sizes or depths",
            ) from failure
        return samples

    def _sample(self, unit: Unit, block: int, started: float, error: str) -> Sample:
        """Return the row of a finished unit, with the next sequence number."""
        cell = unit.cell
        sample = Sample(
            sequence=self.sequence,
            block=block,
            scenario=cell.scenario,
            arm=cell.arm,
            depth=cell.depth,
            temperature=cell.temperature,
            params=cell.values,
            started=started,
            metrics={} if error else unit.metrics,
            operations={} if error else unit.operations,
            counters={} if error else unit.counters,
            expected={} if error else unit.expected,
            mismatches=tuple(unit.mismatches),
            proofs=tuple(unit.proofs),
            pace=unit.pace,
            how={**unit.container.how, "backing": unit.volume.options()},
            error=error,
        )
        self.sequence += 1
        self.units += 1
        return sample

    def _unit(self, scenario: Scenario, cell: Cell, block: int) -> Unit:
        volume = self.volumes[volume_key(cell.arm.driver, cell.arm.volume)]
        driver = discovery.driver(cell.arm.driver)(dict(cell.arm.options), rootless=self.plan.request.rootless)
        seed = self.plan.request.seed
        # The same seed for every cell of a block, so that all arms look up names in the same order.
        order = random.Random(f"{seed}:{scenario.name}:{block}")  # noqa: S311
        if scenario.needs_container:
            stack = self.stacks[StackKey.of(scenario, cell)]
        else:
            layers = self.plan.stacks[StackKey.of(scenario, cell)].layers
            stack = Stack(volume.path / f"unit-{self.sequence}", layers, seed, ())
        container = Container(stack, cell.depth, stack.home, None)
        return Unit(cell, driver, volume, container, seed, order, tools=self.tools)

    @contextmanager
    def _quiet(self, units: Sequence[Unit]) -> Iterator[None]:
        """While the clock runs: no garbage collection, and a single CPU, undisturbed if possible.

        Units in turns share the CPU, the wait for it and the recorded pace.
        """
        allowed = os.sched_getaffinity(0)
        cpus = sorted(allowed, reverse=True)
        pace: dict[str, float] = {}
        gc.collect(0)
        gc.disable()

        def settle() -> None:
            settled = self.pace.settle(cpus)
            pace["cpu"] = settled.cpu
            pace["slowness"] = max(pace.get("slowness", 0.0), round(settled.slowness, 4))
            pace["waited"] = pace.get("waited", 0) + settled.waited

        for unit in units:
            unit.pace, unit.settle = pace, settle
        self.pace.begin(PATIENCE)
        try:
            settle()
            yield
            pace["slowness_after"] = round(self.pace.slowness(), 4)
            self.disturbed += len(units) * (pace["slowness"] > SLACK)
        finally:
            os.sched_setaffinity(0, allowed)
            gc.enable()


def interruption(problem: BaseException) -> Interrupted | None:
    """Return the interruption during whose clean-up `problem` occurred, if any (an open file keeps a mount busy)."""
    cause: BaseException | None = problem
    while cause is not None and not isinstance(cause, Interrupted):
        cause = cause.__context__
    return cause
