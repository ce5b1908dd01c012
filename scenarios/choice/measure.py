"""Which storage driver Docker takes by itself on a file system, and which ones it refuses there.

The documentation has a matrix of drivers and backing file systems; here each cell of it is tried, by a dockerd that
is told to use the driver.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from bench.drivers.base import Driver
from bench.drivers.engine import EngineDriver
from bench.engines.docker import Docker
from bench.host.daemon import DaemonError
from bench.layers.content import Layer
from bench.model import Cell, Temperature
from bench.scenario.clock import once
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.choice.reading import ASKED, DRIVERS, READING

NOTICE, FAILED = "the {} storage-driver is deprecated", "failed to start daemon"


def grids(profile: str) -> Iterable[Grid]:
    """One answer for each file system."""
    yield Grid((1,), (Temperature.NEW,), drivers=(ASKED,), max_blocks=1)


def layer(index: int, params: Params) -> Layer:
    """Nothing: no image is loaded."""
    return ()


def applies(cell: Cell, driver: Driver) -> str:
    """One arm for each volume."""
    return "" if driver.name == ASKED else "only an engine chooses a driver"


def operate(unit: Unit) -> None:
    """Start a dockerd that may choose, then one for each driver that it knows."""
    assert isinstance(unit.driver, EngineDriver)
    home = unit.container.stack.home
    home.mkdir()
    told: dict[str, str] = {}
    for name in ("", *DRIVERS):
        place = home / (name or "default")
        place.mkdir()
        engine = Docker(place, name)
        took, told[name] = once(_tried, engine)
        if not name:
            unit.record("start", [took])
        shutil.rmtree(place, ignore_errors=unit.volume.recipe.filesystem == "btrfs")  # subvolumes
    unit.notes["told"] = told


def _tried(engine: Docker) -> str:
    """Return the driver that dockerd runs with and what it says of it, or why it does not start."""
    try:
        engine.start()
        chosen = engine.storage()
        deprecated = NOTICE.format(chosen) in engine.daemon_output()
    except DaemonError as error:
        line = next((line for line in error.output.splitlines() if FAILED in line), error.why)
        return f"refused: {line}{', deprecated' if NOTICE.format(engine.driver) in error.output else ''}"
    finally:
        engine.stop()
    return f"runs {chosen}{', deprecated' if deprecated else ''}"


def prove(unit: Unit) -> None:
    """Each driver either runs or says why not; what it said is a proof of the row."""
    told = unit.notes["told"]
    chosen = told[""].removeprefix("runs ").partition(",")[0]
    unit.require_proof(chosen in DRIVERS, f"dockerd by itself: {told['']}")
    unit.counters[f"chooses_{chosen}"] = 1
    for name in DRIVERS:
        runs = told[name].startswith("runs ")
        unit.require_proof(not runs or told[name].startswith(f"runs {name}"), f"{name}: {told[name]}")
        unit.counters[f"runs_{name}"] = int(runs)
        unit.counters[f"deprecates_{name}"] = int(told[name].endswith("deprecated"))


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
