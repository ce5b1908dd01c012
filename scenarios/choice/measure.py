"""Docker's default storage driver on a file system, and the drivers that it refuses there.

The documentation has a matrix of drivers and backing file systems; this tries each of its cells with a dockerd
configured for the driver: on the file system as the volume is made, and made without types in listings (d_type).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from bench import discovery
from bench.drivers.base import Driver
from bench.drivers.engine import EngineDriver
from bench.engines.docker import Docker
from bench.errors import RefusedVolumeError
from bench.host.daemon import DaemonError
from bench.layers.content import Layer
from bench.model import WITH_TYPES, WITHOUT_TYPES, Cell, Temperature
from bench.scenario.clock import once
from bench.scenario.contract import Grid, Params, Scenario, Unit
from bench.scenario.variant import file_system
from scenarios.choice.reading import ASKED, DRIVERS, READING

BYTES = 512 << 20  # of a file system without types: dockerd makes itself a thin pool there
NOTICE, FAILED = "the {} storage-driver is deprecated", "failed to start daemon"


def grids(profile: str) -> Iterable[Grid]:
    """One unit for each file system."""
    yield Grid((1,), (Temperature.NEW,), {"types": (WITH_TYPES, WITHOUT_TYPES)}, drivers=(ASKED,), max_blocks=1)


def layer(index: int, params: Params) -> Layer:
    """Empty: no image is loaded."""
    return ()


def applies(cell: Cell, driver: Driver) -> str:
    """One arm per volume; without types only where the file system can be made so."""
    if driver.name != ASKED:
        return "only an engine chooses a driver"
    recipe = discovery.volume(cell.arm.volume)
    without = cell.values["types"] == WITHOUT_TYPES
    return f"listings of {recipe.title} always have types" if without and not recipe.typeless else ""


def operate(unit: Unit) -> None:
    """Try the drivers on the volume, or on a file system that is made for it."""
    assert isinstance(unit.driver, EngineDriver)
    if unit.params["types"] == WITH_TYPES:
        unit.container.stack.home.mkdir()
        unit.notes["outcomes"] = _try_drivers(unit, unit.container.stack.home)
        return
    try:
        with file_system(unit, WITHOUT_TYPES, BYTES) as home:
            unit.notes["outcomes"] = _try_drivers(unit, home)
    except RefusedVolumeError as error:
        unit.saw(f"this kernel does not mount it: {error.why}")


def _try_drivers(unit: Unit, home: Path) -> dict[str, str]:
    """Start a dockerd without a configured driver, then one for each driver that it knows; return what came of each."""
    outcomes: dict[str, str] = {}
    for name in ("", *DRIVERS):
        directory = home / (name or "default")
        directory.mkdir()
        engine = Docker(directory, name)
        nanoseconds, outcomes[name] = _try_driver(engine)
        if not name:
            unit.record("start", [nanoseconds])
        shutil.rmtree(directory, ignore_errors=unit.volume.recipe.filesystem == "btrfs")  # subvolumes
    return outcomes


def _try_driver(engine: Docker) -> tuple[int, str]:
    """Return the nanoseconds of a start, and the driver that dockerd has and if it is deprecated, or why it ends."""
    nanoseconds = 0
    try:
        nanoseconds, _ = once(engine.start)
        chosen = engine.storage()
        deprecated = NOTICE.format(chosen) in engine.daemon_output()
    except DaemonError as error:
        line = next((line for line in error.output.splitlines() if FAILED in line), error.why)
        return nanoseconds, f"refused: {line}{', deprecated' if NOTICE.format(engine.driver) in error.output else ''}"
    finally:
        engine.stop()
    return nanoseconds, f"runs {chosen}{', deprecated' if deprecated else ''}"


def prove(unit: Unit) -> None:
    """Each driver either runs or gives a reason; the outcome is a proof of the row."""
    outcomes = unit.notes.get("outcomes")
    if outcomes is None:
        return
    chosen = outcomes[""].removeprefix("runs ").partition(",")[0]
    unit.require_proof(chosen in DRIVERS, f"dockerd by itself: {outcomes['']}")
    unit.counters[f"chooses_{chosen}"] = 1
    for name in DRIVERS:
        runs = outcomes[name].startswith("runs ")
        unit.require_proof(not runs or outcomes[name].startswith(f"runs {name}"), f"{name}: {outcomes[name]}")
        unit.counters[f"runs_{name}"] = int(runs)
        unit.counters[f"deprecates_{name}"] = int(outcomes[name].endswith("deprecated"))


SCENARIO = Scenario(
    reading=READING,
    weight=0.05,
    grids=grids,
    layer=layer,
    applies=applies,
    operate=operate,
    prove=prove,
    needs_container=False,
    engines=True,
    needs_engine=True,
    gated=False,
)
