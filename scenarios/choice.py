"""Which storage driver Docker takes by itself on a file system, and which ones it refuses there.

The documentation has a matrix of drivers and backing file systems; here each cell of it is tried, by a dockerd that
is told to use the driver.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench.drivers.engine import EngineDriver
from bench.engines.docker import Docker
from bench.host.daemon import DaemonError
from bench.measure.clock import once
from bench.measure.scenario import Grid, Metric, Params, Scenario, Unit
from bench.model import Temperature
from bench.verdicts.claims import Finding, Outcome, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.drivers.base import Driver
    from bench.layers.content import Layer
    from bench.model import Cell
    from bench.stats.analysis import Analysis

ASKED = "docker/vfs"  # the driver that every file system takes: its arms stand for the volume
# In the order in which 20.10 tries them (daemon/graphdriver/driver_linux.go); it takes the first that it supports.
DRIVERS = ("btrfs", "zfs", "overlay2", "fuse-overlayfs", "aufs", "overlay", "devicemapper", "vfs")
DEPRECATED = ("aufs", "overlay", "devicemapper")  # daemon/graphdriver/driver.go, isDeprecated
# The documented matrix (Docker's "storage drivers", backing filesystems), of the file systems that can be made here.
DOCUMENTED = {
    "overlay2": ("ext4", "xfs"),
    "overlay": ("ext4", "xfs"),
    "fuse-overlayfs": ("ext4", "xfs", "btrfs"),
    "vfs": ("ext4", "xfs", "btrfs"),
    "btrfs": ("btrfs",),
}
NOTICE, FAILED = "the {} storage-driver is deprecated", "failed to start daemon"


def grids(profile: str) -> Iterable[Grid]:
    """One answer for each file system."""
    yield Grid((1,), (Temperature.NEW,), drivers=(ASKED,), blocks=1)


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
        deprecated = NOTICE.format(chosen) in engine.said()
    except DaemonError as error:
        line = next((line for line in error.said.splitlines() if FAILED in line), error.why)
        return f"refused: {line}{', deprecated' if NOTICE.format(engine.driver) in error.said else ''}"
    finally:
        engine.stop()
    return f"runs {chosen}{', deprecated' if deprecated else ''}"


def prove(unit: Unit) -> None:
    """Each driver either runs or says why not; what it said is a proof of the row."""
    told = unit.notes["told"]
    chosen = told[""].removeprefix("runs ").partition(",")[0]
    unit.proven(chosen in DRIVERS, f"dockerd by itself: {told['']}")
    unit.counters[f"chooses_{chosen}"] = 1
    for name in DRIVERS:
        runs = told[name].startswith("runs ")
        unit.proven(not runs or told[name].startswith(f"runs {name}"), f"{name}: {told[name]}")
        unit.counters[f"runs_{name}"] = int(runs)
        unit.counters[f"deprecates_{name}"] = int(told[name].endswith("deprecated"))


def _volumes(analysis: Analysis) -> Iterator[tuple[str, str, dict[str, bool], list[str]]]:
    """Yield each arm with its volume, which drivers ran there, and which were called deprecated."""
    depth = analysis.depth(SCENARIO.name, 1)
    for arm in analysis.arms(SCENARIO.name):
        if not arm.startswith(f"{ASKED}@"):
            continue
        rows = {name: analysis.counter(SCENARIO.name, arm, f"runs_{name}", depth=depth) for name in DRIVERS}
        ran = {name: row["maximum"] > 0 for name, row in rows.items() if row is not None}
        old = {name: analysis.counter(SCENARIO.name, arm, f"deprecates_{name}", depth=depth) for name in ran}
        if ran:
            yield arm, arm.partition("@")[2], ran, [name for name, row in old.items() if row and row["maximum"] > 0]


def _chosen(analysis: Analysis, arm: str) -> str:
    depth = analysis.depth(SCENARIO.name, 1)
    return next(name for name in DRIVERS if analysis.counter(SCENARIO.name, arm, f"chooses_{name}", depth=depth))


def judge_default(analysis: Analysis) -> Iterator[Finding]:
    """C1: what dockerd takes when nobody tells it, and what it calls deprecated."""
    for arm, volume, ran, old in _volumes(analysis):
        chosen = _chosen(analysis, arm)
        silent = [name for name in DEPRECATED if name not in old]
        yield Finding(
            arm,
            Outcome.CONFIRMED if chosen == "overlay2" and not silent else Outcome.QUALIFIED,
            f"on a fresh {volume} dockerd took {chosen} by itself; it called deprecated: {', '.join(old) or 'none'}; "
            f"not startable on this kernel: {', '.join(name for name in DEPRECATED if not ran.get(name)) or 'none'}",
        )


def judge_backing(analysis: Analysis) -> Iterator[Finding]:
    """C2: the documented matrix, each cell tried."""
    for arm, volume, ran, _ in _volumes(analysis):
        base = volume.partition("-")[0].partition(",")[0]
        documented = {name for name, places in DOCUMENTED.items() if base in places}
        runs = {name for name, yes in ran.items() if yes}
        more, fewer = runs - documented, documented - runs
        parts = [f"dockerd started with {', '.join(name for name in DRIVERS if name in runs)}"]
        if more:
            parts.append(f"not documented for it: {', '.join(sorted(more))}")
        if fewer:
            parts.append(f"documented, and refused: {', '.join(sorted(fewer))}")
        outcome = Outcome.QUALIFIED if more or fewer else Outcome.CONFIRMED
        yield Finding(arm, outcome, f"on {volume} {'; '.join(parts)}")


def tables(analysis: Analysis) -> Iterator[Table]:
    """The matrix."""
    rows = []
    for arm, volume, ran, old in _volumes(analysis):
        words = [f"{'yes' if ran.get(name) else 'no'}{', deprecated' if name in old else ''}" for name in DRIVERS]
        rows.append((volume, _chosen(analysis, arm), *words))
    if rows:
        yield Table(
            "Drivers that dockerd starts with, by file system", ("file system", "by itself", *DRIVERS), (*rows,)
        )


SCENARIO = Scenario(
    name="choice",
    question="Which storage driver does Docker choose on a file system, and which does it accept?",
    method=(
        "On a fresh file system a private dockerd is started without being told a driver, then once with each driver "
        "that 20.10 knows; what it runs with is what `docker info` says, and a refusal is its own last words (in the "
        "rows' proofs). Timed is only the first start."
    ),
    order=8,
    weight=0.05,
    metrics=(Metric("start", "dockerd is started and answers"),),
    headline="start",
    grids=grids,
    layer=layer,
    applies=applies,
    operate=operate,
    prove=prove,
    mounts=False,
    engines=True,
    needs_engine=True,
    gated=False,
    claims={"C1": judge_default, "C2": judge_backing},
    tables=tables,
)
