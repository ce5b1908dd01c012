"""The cost of mounting a container by the number of layers, by hand and by Docker.

Docker uses absolute paths of layers until they exceed a page of mount options, and then re-executes itself in its home
directory to use shorter, relative ones (daemon/graphdriver/overlay2/overlay.go in moby, Get). This step is hidden in
the long time of a container's start, but Docker also mounts a stopped container for a stat of a file in it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable

from bench.drivers.base import Container, Driver, Stack
from bench.drivers.engine import EngineContainer, EngineDriver, EngineStack
from bench.engines.docker import Docker
from bench.kernel import mounts
from bench.layers.content import Directory, File, Layer
from bench.model import Cell, Temperature
from bench.scenario.clock import each
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.mounting.reading import READING, REPEATS

DOCKER = f"{Docker.name}/overlay2"
DEPTHS = (1, 16, 32, 64, 96, 125)
AROUND = (1, 32, 48, 72, 125)  # around Docker's step, whose depth depends on its home (default: 72); here after 32
CLOSER = (1, 32, 48, 56, 64, 72, 80, 96, 125)
SEEN = "/seen"  # the file of the bottom layer to stat
RELATIVE = "lowerdir=l/"  # in mount options with relative paths
MOST_OPTIONS = mmap.PAGESIZE - 1  # bytes, above which Docker uses relative paths


def grids(profile: str) -> Iterable[Grid]:
    """Depths; for Docker those around its step."""
    if profile != "quick":
        yield Grid(DEPTHS, (Temperature.HOT,))
        around = CLOSER if profile == "full" else AROUND
        yield Grid(around, (Temperature.HOT,), drivers=(DOCKER,), max_blocks=8)


def layer(index: int, params: Params) -> Layer:
    """A directory in every layer, and the file in the bottom layer."""
    return (Directory("every"), File(f"every/{index}", 0), *((File(SEEN[1:], 0),) if not index else ()))


def applies(cell: Cell, driver: Driver) -> str:
    """Drivers that mount layers, and the one engine that mounts a container for a stat."""
    if driver.daemon:
        return "" if driver.name == DOCKER else "it cannot be asked to mount a container and no more"
    return "" if driver.mounts_layers else "nothing is mounted, or not from layers"


def operate(unit: Unit) -> None:
    """Mount and unmount another container of the image repeatedly: Docker's, and one by hand on the same volume."""
    stack = unit.container.stack
    if not isinstance(unit.driver, EngineDriver):
        unit.record("cycle", _cycles(unit, unit.driver, stack))
        return
    assert isinstance(stack, EngineStack)
    assert stack.by_hand is not None
    assert isinstance(stack.engine, Docker)
    engine = stack.engine
    unit.record("by_hand", _cycles(unit, unit.driver.by_hand, stack.by_hand))
    container = unit.driver.create_read_write(stack, unit.depth)
    try:
        assert isinstance(container, EngineContainer)
        identity = container.identity
        engine.stat(identity, SEEN)
        unit.settle()
        unit.record("engine", each(lambda path: engine.stat(identity, path), [SEEN] * REPEATS))
    finally:
        unit.driver.remove(container)


def _cycles(unit: Unit, driver: Driver, stack: Stack) -> list[int]:
    """Return the nanoseconds of mounting and unmounting a new container, after one untimed cycle."""
    container = driver.create_read_write(stack, unit.depth)
    try:
        with driver.cycle(container) as cycle:
            cycle()
            unit.settle()
            return each(lambda _: cycle(), range(REPEATS))
    finally:
        driver.remove(container)


def prove(unit: Unit) -> None:
    """The mounted container shows the bottom layer; Docker's mount options have the paths that its source implies."""
    unit.require_proof((unit.merged / SEEN[1:]).exists(), "the bottom layer is seen")
    if isinstance(unit.driver, EngineDriver):
        length = _absolute_length(unit.container)
        relative = RELATIVE in mounts.mount_entry(unit.merged).options
        unit.counters["absolute_bytes"] = length
        unit.expect("relative", int(relative), int(length > MOST_OPTIONS), why=f"overlay.go, Get: {length} bytes")


def _absolute_length(container: Container) -> int:
    """Return the length of Docker's mount options with absolute paths."""
    home = container.path.parent
    lower = (container.path / "lower").read_text(encoding="ascii").split(":")
    names = ":".join(str(home / name) for name in lower)
    return len(f"index=off,lowerdir={names},upperdir={container.path / 'diff'},workdir={container.path / 'work'}")


SCENARIO = Scenario(
    reading=READING,
    weight=0.05,
    grids=grids,
    layer=layer,
    applies=applies,
    operate=operate,
    prove=prove,
    engines=True,
    gated=False,
)
