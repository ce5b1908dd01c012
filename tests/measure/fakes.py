"""A driver, a volume and scenarios that do nothing but record the order of calls."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench import discovery
from bench.drivers.base import Container, CopyUp, Driver, Footprint, Stack
from bench.layers.content import File
from bench.measure.plan import Plan, StackKey, StackPlan
from bench.measure.request import Request
from bench.measure.runner import Runner
from bench.model import NATIVE, Arm, Cell, Support, Temperature
from bench.scenario.contract import Scenario
from bench.volumes.base import Recipe, Usage
from tests.builders import make_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pytest

    from bench.layers.content import Layer
    from bench.model import Param, Sample
    from bench.scenario.contract import Unit

__all__ = [
    "FOREVER",
    "Log",
    "Quiet",
    "RecordingDriver",
    "RecordingNative",
    "RecordingVolume",
    "make_cell",
    "make_runner",
    "recording_scenario",
]

FOREVER = 1e12  # a deadline that never comes
Log = list[str]
RECIPE = Recipe("disk", "a disk", "none", "true", (), clones=False, directory_bytes=4096, order=1)


class RecordingDriver(Driver):
    """Numbers its containers: c0, c1, …; `log` and `fail` are of the class, as the runner makes the objects."""

    name = "recorded"
    title = "a driver that records"
    order = 1
    inode_law = "0"
    options: ClassVar = {"how": ("well", "badly")}
    log: ClassVar[Log] = []
    fail: ClassVar[dict[str, BaseException]] = {}
    made: ClassVar[list[Container]] = []

    def note(self, call: str) -> None:
        self.log.append(call)
        error = self.fail.get(call)
        if error is not None:
            raise error

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        self.note(f"build {self.name} {len(layers)}")
        return Stack(home, layers, seed, ["id"] * len(layers), tuple(depths))

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        container = Container(stack, depth, Path(f"c{len(self.made)}"), None, {"mount": "not at all"})
        self.note(f"create {container.path}")
        self.made.append(container)
        return container

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        self.note(f"mount {container.path}")
        try:
            yield container.path / "merged"
        finally:
            self.note(f"unmount {container.path}")

    def remove(self, container: Container) -> None:
        self.note(f"remove {container.path}")

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        return Footprint(0, 0)

    def layer_path(self, container: Container, layer: int) -> Path:
        return container.path

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        return CopyUp(0, "none", "nothing happens")


class RecordingNative(RecordingDriver):
    """The limit of the comparison, recorded as well."""

    name = NATIVE
    order = 0


class RecordingVolume:
    """A volume that records syncs and remounts."""

    def __init__(self, log: Log, *, path: Path = Path("volume"), cold: Support | None = None) -> None:
        self.recipe = RECIPE
        self.path = path
        self.log = log
        self.cold = cold or Support.yes()

    def options(self) -> str:
        return "none rw"

    def sync(self) -> None:
        self.log.append("sync")

    def remount(self) -> Support:
        self.log.append("remount")
        return self.cold

    def written(self) -> tuple[int, int] | None:
        return None

    def forbid_devices(self) -> None:
        self.log.append("no devices")

    def usage(self) -> Usage:
        return Usage(None, 0)


class Quiet:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.phases: list[str] = []
        self.units: list[tuple[Cell, int]] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def unit(self, cell: Cell, block: int, done: int, left: float) -> None:
        self.units.append((cell, block))

    def figures(self, text: str) -> None:
        self.precision = text

    def problem(self, text: str) -> None:
        self.problems.append(text)


def recording_scenario(log: Log, /, name: str = "recorded", **rest: Any) -> Scenario:
    """Return a scenario whose steps record themselves; `rest` replaces them."""

    def step(call: str) -> Callable[[Unit], None]:
        return lambda unit: log.append(f"{call} {unit.merged.parts[0]}" if call == "touch" else call)

    def operate(unit: Unit) -> None:
        log.append("operate")
        unit.record("time", [3.0, 1.0, 2.0])

    parts: dict[str, Any] = {
        "reading": make_reading(name),
        "weight": 1.0,
        "grids": lambda profile: (),
        "layer": lambda index, params: (File(f"file-{index}", 0),),
        "operate": operate,
        "prove": step("prove"),
        "before": step("before"),
        "touch": step("touch"),
        "after": step("after"),
    }
    return Scenario(**{**parts, **rest})


def make_cell(
    temperature: Temperature = Temperature.HOT,
    *,
    scenario: str = "recorded",
    driver: str = "recorded",
    depth: int = 2,
    max_blocks: int | None = None,
    params: Mapping[str, Param] | None = None,
) -> Cell:
    return Cell(scenario, Arm(driver, "disk"), depth, temperature, tuple((params or {}).items()), max_blocks)


def make_runner(
    monkeypatch: pytest.MonkeyPatch,
    log: Log,
    cells: Iterable[Cell],
    *scenarios: Scenario,
    volume: RecordingVolume | None = None,
    deadline: float = FOREVER,
    built: bool = True,
) -> tuple[Runner, list[Sample], Quiet]:
    """Return a runner of these cells on recording parts, the samples it will make, and what it will tell."""
    known = {scenario.name: scenario for scenario in scenarios or (recording_scenario(log),)}
    monkeypatch.setattr(discovery, "scenarios", lambda: known)
    drivers = {kind.name: kind for kind in (RecordingNative, RecordingDriver)}
    monkeypatch.setattr(discovery, "drivers", lambda: drivers)
    for name, value in (("log", log), ("fail", {}), ("made", [])):
        monkeypatch.setattr(RecordingDriver, name, value)
    plan = Plan(Request(seed=7))
    for cell in cells:
        plan.cells.setdefault(cell.scenario, []).append(cell)
        content = tuple((key, value) for key, value in cell.params if key in known[cell.scenario].content)
        key = StackKey(cell.scenario, cell.arm.driver, cell.arm.volume, content)
        layers = tuple(known[cell.scenario].layer(index, dict(content)) for index in range(cell.depth))
        plan.stacks[key] = StackPlan(layers, [cell.depth], Footprint(0, 0))
    samples: list[Sample] = []
    listener = Quiet()
    runner = Runner(
        plan=plan,
        volumes={"disk": volume or RecordingVolume(log)},
        add=samples.append,
        listener=listener,
        deadline=deadline,
    )
    if built:
        runner.build()
        log.clear()
    return runner, samples, listener
