"""Inodes and bytes that a stack takes: the formula of each driver, checked to the inode.

Nothing is mounted: the timed operation is the build itself, and the counts come from statfs after a
sync. The drivers state their formulas (`inode_law`, `footprint`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from bench.layers.content import BLOCK, Directory, File, Layer
from bench.model import Temperature
from bench.scenario.clock import once
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.inodes.reading import READING

FILE_BYTES = 4096
# Above the drivers' own count of bytes, per inode: directories that outgrow one block, link targets,
# and chunks of inodes (xfs: 64 at a time).
SLACK_PER_INODE = 2 * BLOCK


def grids(profile: str) -> Iterable[Grid]:
    """Layers by files per layer; exact, so few units tell."""
    depths, blocks = {"quick": ((1, 4, 8), 2), "standard": ((1, 8, 32), 4)}.get(profile, ((1, 8, 32, 125), 6))
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
    """The inodes are those of the formula, the bytes at least those of the data; then remove it all."""
    before, after = unit.notes["added"]
    want = unit.driver.footprint(unit.layers, (unit.depth,), unit.volume.recipe)
    home = unit.container.stack.home
    unit.require_proof(home.is_dir(), "the stack is on disk")
    unit.driver.close(unit.notes["stack"])
    shutil.rmtree(home)
    unit.volume.sync()
    if before.inodes is None:
        unit.counters["bytes"] = after.bytes - before.bytes  # of btrfs, in chunks of metadata: nothing to expect
    elif unit.volume.written() is not None:
        unit.expect("inodes", after.inodes - before.inodes, want.inodes, why=unit.driver.inode_law)
        high = want.bytes + want.inodes * SLACK_PER_INODE
        unit.expect("bytes", after.bytes - before.bytes, want.bytes, high, why="blocks of the data and directories")


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
