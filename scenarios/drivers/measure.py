"""Overview of all drivers, including containers of engines: the same image, the same operations.

One container gives all metrics: creating and starting it, a lookup in the bottom layer, first writes, deletions. So an
engine, whose containers take up to a second each, has as many units as containers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

from bench.drivers.base import Container, Driver, Stack
from bench.drivers.engine import EngineDriver, EngineStack
from bench.kernel.directory import working_directory
from bench.layers.content import Directory, File, Layer, read_equals
from bench.model import Temperature
from bench.scenario.clock import NULL, accesses, each, once
from bench.scenario.contract import Grid, Params, Scenario, Unit
from bench.scenario.temperature import mounted, read_in
from scenarios.drivers.reading import ADDED, BY_HAND, CONTROL, DEPTH, NAMES, READING

STEP = (1, 64, 80, 125)  # around the depth at which Docker's mount options exceed a page
OTHERS = 8  # in every other layer
SMALL, LARGE = ("small", 4096, 8), ("large", 1 << 20, 2)  # files of the bottom layer: directory, bytes, how many
VICTIMS = 16
PAYLOAD = b"\xa5" * 4096


def grids(profile: str) -> Iterable[Grid]:
    """One depth; in a full run also depths around the step of Docker's start."""
    if profile == "quick":
        return
    yield Grid((DEPTH,), (Temperature.NEW,))
    yield Grid((DEPTH,), (Temperature.NEW,), costly=True, engines=True)
    if profile == "full":
        yield Grid(STEP, (Temperature.NEW,), drivers=("docker/overlay2", "overlay2"))


def layer(index: int, params: Params) -> Layer:
    """Names in a directory of every layer; the files to write to and to delete are in the bottom layer."""
    names = [File(f"every/{index}-{number}", 0) for number in range(OTHERS if index else NAMES)]
    if index:
        return (Directory("every"), *names)
    victims = [File(f"victims/{number}", 0) for number in range(VICTIMS)]
    written = [File(f"{name}/{number}", size) for name, size, count in (SMALL, LARGE) for number in range(count)]
    directories = [Directory(name) for name in ("every", SMALL[0], LARGE[0], "victims")]
    return (*directories, *names, *written, *victims)


def paths() -> list[bytes]:
    """Return the names to look up."""
    return [f"every/0-{number}".encode() for number in range(NAMES)]


def touch(unit: Unit) -> None:
    """Look the names up and read the files."""
    _touch(unit.merged)


def _touch(merged: Path) -> None:
    accesses([*paths(), *(f"victims/{number}".encode() for number in range(VICTIMS))], merged)
    for name, _, count in (SMALL, LARGE):
        for number in range(count):
            read_in(merged / name / str(number))


@dataclass(frozen=True)
class MountedSide:
    """A mounted container, and the prefix of its metrics."""

    driver: Driver
    container: Container
    merged: Path
    prefix: str = ""

    def layers(self) -> Iterator[Path]:
        """Return the directories of its image's layers, bottom first."""
        return (self.driver.layer_path(self.container, index) for index in range(self.container.depth))


def operate(unit: Unit) -> None:
    """Look up, write, delete; for an engine in its container and in two containers by hand on the same volume."""
    with ExitStack() as undo:
        sides = [MountedSide(unit.driver, unit.container, unit.merged)]
        if isinstance(unit.driver, EngineDriver):
            stack = unit.container.stack
            assert isinstance(stack, EngineStack)
            assert stack.by_hand is not None
            stacks = ((BY_HAND, stack.by_hand), (CONTROL, unit.driver.control(stack)))
            for prefix, by_hand_stack in unit.random.sample(stacks, len(stacks)):
                sides.append(undo.enter_context(_by_hand(unit, unit.driver.by_hand, by_hand_stack, prefix)))
        for side in sides:
            accesses([b"every/first", b"victims/first", b"small/first", b"large/first"], side.merged)
        names = paths()
        unit.random.shuffle(names)
        for side in _either_first(unit, sides):
            # Starting a container evicts the processor's caches, mounting one does not: without this, Docker's lookups
            # took 1.2 times as long. So the names are looked up in the layers directly before.
            for layer_path in side.layers():
                accesses(names, layer_path)
            unit.settle()
            unit.record(f"{side.prefix}lookup", accesses(names, side.merged))
        for name, _, count in (SMALL, LARGE):
            for side in _either_first(unit, sides):
                unit.record(f"{side.prefix}{name}", _write(unit, side.merged / name, count))
        for side in _either_first(unit, sides):
            unit.volume.sync()
            unit.settle()
            victims = [str(number).encode() for number in range(VICTIMS)]
            with working_directory(side.merged / "victims"):
                unit.record(f"{side.prefix}unlink", each(os.unlink, victims)[1:])
        for side in sides:
            for name in ADDED if side.prefix != CONTROL else ():
                unit.record(f"{side.prefix}{name}", [side.container.took[name]])
        for side in sides[1:]:
            _prove(unit, side)


@contextmanager
def _by_hand(unit: Unit, driver: Driver, stack: Stack, prefix: str) -> Iterator[MountedSide]:
    """Mount a new container by hand of the same image, in the same temperature as the engine's."""
    nanoseconds, container = once(driver.create_read_write, stack, unit.depth)
    container.took["create"] = nanoseconds
    try:
        with mounted(driver, container, unit.volume, Temperature.NEW, _touch) as merged:
            yield MountedSide(driver, container, merged, prefix)
    finally:
        driver.remove(container)


def _either_first(unit: Unit, sides: Sequence[MountedSide]) -> Sequence[MountedSide]:
    return unit.random.sample(sides, len(sides))


def _write(unit: Unit, directory: Path, count: int) -> list[int]:
    """Write a page to each of `count` files in `directory`; return the nanoseconds of each open and pwrite.

    Names are relative to the directory, because the paths of an engine and by hand have different lengths.
    """
    for number in range(count):
        read_in(directory / str(number))  # so that the page cache does not depend on who wrote them
    unit.volume.sync()
    unit.settle()
    times = []
    with working_directory(directory):
        for number in range(-1, count):  # the first also copies the directory up, and is not counted
            path = str(number).encode() if number >= 0 else b"first"
            start = perf_counter_ns()
            descriptor = os.open(path, os.O_RDWR | (0 if number >= 0 else os.O_CREAT))
            os.pwrite(descriptor, PAYLOAD, 0)
            times.append(perf_counter_ns() - start - NULL.clock)
            os.close(descriptor)
    return times[1:]


def prove(unit: Unit) -> None:
    """The names exist, the written files are otherwise those of the image, the victims are gone."""
    _prove(unit, MountedSide(unit.driver, unit.container, unit.merged))


def _prove(unit: Unit, side: MountedSide) -> None:
    unit.require_proof(all((side.merged / os.fsdecode(path)).exists() for path in paths()), "the names looked up exist")
    bottom = next(side.layers())
    for name, size, count in (SMALL, LARGE):
        for number in range(count):
            file = File(f"{name}/{number}", size)
            with open(side.merged / file.path, "rb", buffering=0) as merged:
                matches = read_equals(merged.fileno(), file, unit.seed, head=PAYLOAD)
            unit.require_proof(matches, "content is the page written and, after it, the image's bytes")
            with open(bottom / file.path, "rb", buffering=0) as lower:
                unit.require_proof(read_equals(lower.fileno(), file, unit.seed), "the image's file is unchanged")
    unit.require_proof(not any((side.merged / "victims").iterdir()), "the deleted files are gone")


SCENARIO = Scenario(
    reading=READING,
    weight=0.4,
    grids=grids,
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    changes=True,
    engines=True,
    gated=False,
    working_bytes=lambda params: 16 << 20,
)
