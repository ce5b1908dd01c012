"""Inodes and bytes that a stack uses: the exact check of each driver's formula.

Nothing is mounted: the timed operation is the build itself, and the numbers are from statfs after a
sync. The formulas are the drivers' (`inode_law`, `footprint`, `space`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from bench.layers.content import Directory, File, Layer
from bench.model import Temperature
from bench.scenario.clock import once
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.inodes.reading import READING

FILE_BYTES = 4096


def grids(profile: str) -> Iterable[Grid]:
    """Numbers of layers and files per layer; exact, so few units suffice."""
    depths, blocks = {"quick": ((1, 4, 8), 2), "standard": ((1, 8, 16), 2)}.get(profile, ((1, 8, 32, 125), 6))
    files = {"quick": (100,), "standard": (10, 100)}.get(profile, (10, 100, 1000))
    yield Grid(depths, (Temperature.NEW,), {"files": files}, max_blocks=blocks)


def layer(index: int, params: Params) -> Layer:
    """One directory with files of its own."""
    files = [File(f"tree/{index}-{number}", FILE_BYTES) for number in range(int(params["files"]))]
    return (Directory("tree"), *files)


def operate(unit: Unit) -> None:
    """Build the stack."""
    before = unit.volume.usage()
    stack = unit.container.stack
    elapsed, built = once(unit.driver.build, stack.home, unit.layers, (unit.depth,), unit.seed)
    after = unit.volume.usage()
    unit.record("build", [elapsed])
    unit.notes["added"] = (before, after)
    unit.notes["stack"] = built


def prove(unit: Unit) -> None:
    """The inodes match the formula, the bytes are at least those of the data; then remove the stack."""
    before, after = unit.notes["added"]
    home = unit.container.stack.home
    unit.require_proof(home.is_dir(), "the stack is on disk")
    unit.driver.close(unit.notes["stack"])
    shutil.rmtree(home)
    unit.volume.sync()
    if unit.volume.written() is None:  # the volume has other users
        return
    if before.inodes is not None and after.inodes is not None:
        wanted = unit.driver.footprint(unit.layers, (unit.depth,), unit.volume.recipe)
        unit.expect("inodes", after.inodes - before.inodes, wanted.inodes, why=unit.driver.inode_law)
    used, bounds = after.bytes - before.bytes, unit.driver.space(unit.layers, unit.volume.recipe)
    if bounds is None:
        unit.counters["bytes"] = used
    else:
        unit.expect("bytes", used, *bounds, why="blocks of the data and of metadata")


SCENARIO = Scenario(
    reading=READING,
    weight=0.06,
    grids=grids,
    content=("files",),
    layer=layer,
    operate=operate,
    prove=prove,
    needs_container=False,
    working_bytes=lambda params: 0,
)
