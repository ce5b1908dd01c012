"""Overlayfs on the volume's file system as it is made by default, and made without types of names in listings (d_type).

The file system of a unit is made for it in memory, with the recipe of the volume or its variant without types; nothing
but that differs. What the kernel mounts is counted, and what then goes wrong; what it says is in the row's proofs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns

from bench import discovery
from bench.drivers.base import Driver
from bench.errors import RefusedVolumeError
from bench.kernel import mounts
from bench.kernel.dtype import reports_types
from bench.kernel.log import kernel_log
from bench.layers.content import Layer
from bench.model import WITH_TYPES, WITHOUT_TYPES, Cell, Temperature
from bench.scenario.clock import NULL
from bench.scenario.contract import Grid, Params, Scenario, Unit
from bench.scenario.variant import file_system
from scenarios.types.reading import FILES, READING


def grids(profile: str) -> Iterable[Grid]:
    """One unit for each kind of file system: the result is exact."""
    if profile != "quick":
        yield Grid(
            (1,), (Temperature.NEW,), {"types": (WITH_TYPES, WITHOUT_TYPES)}, drivers=("overlay2",), max_blocks=1
        )


def layer(index: int, params: Params) -> Layer:
    """Empty: the operation makes its own directories."""
    return ()


def applies(cell: Cell, driver: Driver) -> str:
    """Only the kernel's overlayfs is asked for, on file systems that have such a variant."""
    if driver.name != "overlay2":
        return "it is about overlayfs, for which overlay2 stands"
    recipe = discovery.volume(cell.arm.volume)
    return "" if recipe.typeless else f"listings of {recipe.title} always have types"


def operate(unit: Unit) -> None:
    """Make the file system, mount an overlay on it, and delete in it."""
    unit.counters |= {"volume_mounts": 0, "overlay_mounts": 0, "told": 0}
    with ExitStack() as undo:
        start = perf_counter_ns()
        try:
            root = undo.enter_context(file_system(unit, str(unit.params["types"])))
        except RefusedVolumeError as error:
            unit.saw(f"the kernel does not mount it: {error.why}")
            return
        finally:
            unit.record("make", [perf_counter_ns() - start - NULL.clock])
        unit.counters |= {"volume_mounts": 1, "told": int(reports_types(root))}
        _overlay(unit, root)


def _overlay(unit: Unit, root: Path) -> None:
    for name in ("lower/some", "lower/all", "upper", "work", "merged"):
        (root / name).mkdir(parents=True)
    for number in range(FILES):
        for name in ("some", "all"):
            (root / "lower" / name / str(number)).touch()
    options = f"index=off,lowerdir={root / 'lower'},upperdir={root / 'upper'},workdir={root / 'work'}"
    with kernel_log() as logged:
        try:
            mounts.mount("overlay", root / "merged", "overlay", options=options)
        except OSError as error:
            said = "; ".join(line for line in logged() if "overlayfs" in line)
            unit.saw(f"overlayfs does not mount on it: {error.strerror}{said and f' ({said})'}")
            return
        said = "; ".join(line for line in logged() if "overlayfs" in line)
    unit.counters["overlay_mounts"] = 1
    unit.saw(f"overlayfs mounts on it; the kernel's log: {said or 'nothing'}")
    try:
        _delete(unit, root / "merged")
    finally:
        mounts.unmount(root / "merged")


def _delete(unit: Unit, merged: Path) -> None:
    """Delete a file and list its directory; delete all files of another one, and remove it."""
    (merged / "some" / "0").unlink()
    unit.notes["listed"] = sum(not os.path.lexists(merged / "some" / name) for name in os.listdir(merged / "some"))
    for number in range(FILES):
        (merged / "all" / str(number)).unlink()
    unit.notes["removed"] = _errno(lambda: os.rmdir(merged / "all"))
    unit.notes["again"] = _errno(lambda: os.mkdir(merged / "all"))


def _errno(call: Callable[[], None]) -> str:
    """Return the name of the call's error; empty if it has none."""
    try:
        call()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return ""


def prove(unit: Unit) -> None:
    """With types a deleted name is gone and an emptied directory can be removed; without them it is counted."""
    told = unit.params["types"] == WITH_TYPES
    if told:
        unit.expect("told", unit.counters["told"], 1, why="listings of this file system have types")
    if not unit.counters["overlay_mounts"]:
        return
    removed = unit.notes["removed"]
    unit.saw(f"rmdir of a directory whose files were deleted: {removed or 'done'}")
    counts = {"left_in_listings": unit.notes["listed"], "rmdir_fails": int(bool(removed))}
    for name, value in counts.items():
        if told:
            unit.expect(name, value, 0, why="a whiteout hides the name")
        else:
            unit.counters[name] = value


SCENARIO = Scenario(
    reading=READING,
    weight=0.01,
    grids=grids,
    layer=layer,
    applies=applies,
    operate=operate,
    prove=prove,
    needs_container=False,
    gated=False,
)
