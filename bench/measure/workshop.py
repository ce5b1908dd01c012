"""Resources of a run inside its private namespace, and the ordinary work done with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench import discovery
from bench.measure.arms import recipe_name
from bench.measure.plan import Plan
from bench.measure.runner import Listener, Runner
from bench.measure.schedule import LEAST_BLOCKS
from bench.measure.steering import Steering
from bench.model import Cell, Temperature
from bench.store.writer import RunWriter, Writer
from bench.volumes.base import LoopVolume, Volume, keeps_nanoseconds

__all__ = ["Block", "RunContext", "Survey", "Workload", "Workshop", "place_of"]


@dataclass(frozen=True)
class RunContext:
    """Directories, command and listener of a run."""

    workdir: Path
    results: Path
    command: Sequence[str]
    listener: Callable[[], Any]  # makes a context manager whose value is a Listener, in the run's process
    started: float  # time.monotonic() at the start of the command, from which the budget counts
    writer: Callable[[Path, Mapping[str, Any]], Writer] = RunWriter  # opens a run's directory


@dataclass
class Workshop:
    """Resources of a run inside the private namespace."""

    plan: Plan
    session: RunContext
    writer: Writer
    work: Path
    listener: Listener
    stage: Path
    tools: Mapping[str, str]
    runners: list[Runner] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        """The end of the run, on the clock of time.monotonic()."""
        return self.session.started + self.plan.request.seconds

    @contextmanager
    def runner(self, plan: Plan | None = None) -> Iterator[Runner]:
        """Make the volumes of `plan` (default: the run's plan) and yield a runner on them.

        Its units continue the numbering of the previous runner.
        """
        plan = plan or self.plan
        with ExitStack() as undo:
            volumes = {name: undo.enter_context(self._volume(name, plan)) for name in plan.volumes}
            self.writer.save(
                volumes={
                    **self.writer.provenance.get("volumes", {}),
                    **{name: _describe(volume) for name, volume in volumes.items()},
                }
            )
            runner = Runner(
                plan=plan,
                volumes=volumes,
                add=self.writer.add,
                listener=self.listener,
                deadline=self.deadline,
                tools=self.tools,
                sequence=self.runners[-1].sequence if self.runners else 0,
            )
            self.runners.append(runner)
            undo.callback(runner.close)
            yield runner

    @contextmanager
    def _volume(self, name: str, plan: Plan) -> Iterator[Volume]:
        size = plan.volumes[name]
        self.listener.phase(f"making {name}, {size.bytes >> 20} MiB")
        path = self.stage / place_of(name, list(plan.volumes))
        volume = discovery.volume(recipe_name(name)).make(path, self.work, size=size.bytes, inodes=size.inodes)
        try:
            if any(discovery.scenario(scenario).foreign for scenario in plan.cells):
                volume.forbid_devices()
            yield volume
        finally:
            volume.close()


def place_of(name: str, names: Sequence[str]) -> str:
    """Return the directory name of the volume `name` of `names`.

    It has only letters, digits, `-` and `.`: `,`, `:` and `=` in a path are special to overlayfs and FUSE programs, and
    mkfs arguments are part of a volume's name.
    """
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", name)
    return plain if plain == name else f"{plain}-{names.index(name)}"


class Workload(Protocol):
    """The work of a run."""

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure; return the facts for the provenance."""


@dataclass(frozen=True)
class Survey:
    """Run blocks of all scenarios until the time is up; `rows` are those of an earlier part of the run."""

    rows: Sequence[Mapping[str, Any]]

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure; return the number of blocks of each scenario."""
        with shop.runner() as runner:
            _continue(runner, self.rows)
            runner.steering = Steering(shop.plan, shop.writer.directory)
            return {"blocks": runner.run()}


@dataclass(frozen=True)
class Block:
    """Run block `number` of all scenarios, however long it takes."""

    number: int

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure; there are no facts to add."""
        with shop.runner() as runner:
            runner.build()
            runner.block(self.number)
        return {}


def _continue(runner: Runner, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set the runner's finished blocks and cells from the rows of an earlier part of this run."""
    observed: dict[tuple[str, int], set[tuple[Any, ...]]] = {}
    for row in rows:
        key = (row["arm"], row["depth"], row["temperature"], tuple(sorted(row["params"].items())))
        observed.setdefault((row["scenario"], row["block"]), set()).add(key)
        runner.sequence = max(runner.sequence, row["sequence"] + 1)
    finished: dict[str, int] = {}
    partial: set[tuple[str, int, Cell]] = set()
    for name, cells in runner.plan.cells.items():
        blocks = sorted(block for scenario, block in observed if scenario == name)
        for block in blocks:
            selected = [cell for cell in cells if cell.max_blocks is None or block < cell.max_blocks]
            present = [cell for cell in selected if _key(cell) in observed[name, block]]
            # Of later blocks it was decided which cells they have; only the last one can have been cut short.
            whole = len(present) == len(selected) or LEAST_BLOCKS <= block < blocks[-1]
            if whole and finished.get(name, 0) == block:
                finished[name] = block + 1
            else:
                partial.update((name, block, cell) for cell in present)
    runner.finished, runner.partial = finished, frozenset(partial)


def _key(cell: Cell) -> tuple[Any, ...]:
    return (cell.arm.name, cell.depth, Temperature(cell.temperature).value, tuple(sorted(cell.params)))


def _describe(volume: Volume) -> dict[str, Any]:
    facts: dict[str, Any] = {"options": volume.options(), "nanoseconds": keeps_nanoseconds(volume.path)}
    if isinstance(volume, LoopVolume):
        facts |= {"bytes": volume.size, "mkfs": volume.command, "direct_io": volume.device.direct_io}
    return facts
