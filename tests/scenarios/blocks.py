"""One block of a plan for real, on volumes of its own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import discovery
from bench.measure.arms import recipe_name
from bench.measure.plan import Plan
from bench.measure.planning import make
from bench.measure.request import Request
from bench.measure.runner import Runner
from bench.measure.schedule import block_order
from bench.model import Cell, parse_size
from bench.scenario import reference
from tests.measure.fakes import FOREVER, Quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.model import Sample

__all__ = ["Block", "one_block", "small", "thinned"]

DEPTHS, SIZES = (1, 4), (0, 4096, parse_size("1MiB"))


@dataclass
class Block:
    """What came of one block."""

    samples: list[Sample]
    problems: list[str]

    def check(self) -> None:
        for sample in self.samples:
            assert sample.error == "", sample
            assert sample.mismatches == (), sample
            assert sample.metrics, sample


def one_block(plan: Plan, place: Path, keep: Callable[[Cell], bool] = lambda cell: True) -> Block:
    """Make the volumes of a plan and run block 0 of its cells; only in namespaces of its own."""
    samples: list[Sample] = []
    listener = Quiet()
    with ExitStack() as undo:
        volumes = {}
        for name, size in plan.volumes.items():
            path = place / name.replace("/", "_")
            volume = discovery.volume(recipe_name(name)).make(path, place, size=size.bytes, inodes=size.inodes)
            undo.callback(volume.close)
            volumes[name] = volume
        program, compiled = reference.compile_reference(place)
        runner = Runner(
            plan=plan,
            volumes=volumes,
            add=samples.append,
            listener=listener,
            deadline=FOREVER,
            tools={reference.NAME: program} if compiled.ok else {},
        )
        runner.build()
        undo.callback(runner.close)
        for name, cells in plan.cells.items():
            for cell in block_order(cells, plan.request.seed, name, 0):
                if keep(cell) and (compiled.ok or cell.values.get("clock") != "c"):
                    runner.observe(discovery.scenario(name), cell, 0)
    return Block(samples, listener.problems)


def thinned(cell: Cell) -> bool:
    """Leave out what only takes longer: more deletions, or files, show nothing new."""
    return int(cell.values.get("deletions", 0)) <= 1000 and int(cell.values.get("files", 0)) <= 500


def small(scenario: str | Sequence[str], volume: str, *drivers: str, **rest: Any) -> Plan:
    scenarios = (scenario,) if isinstance(scenario, str) else tuple(scenario)
    values: dict[str, Any] = {"depths": DEPTHS, "sizes": SIZES, **rest}
    return make(Request(scenarios=scenarios, volumes=(volume,), drivers=drivers, seed=3, **values))
