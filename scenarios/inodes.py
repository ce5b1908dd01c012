"""Inodes and bytes that a stack takes: the formula of each driver, checked to the inode.

Nothing is mounted: the timed operation is the build itself, and the counts come from statfs after a
sync. The drivers state their formulas (`inode_law`, `footprint`).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench.drivers.overlay import Overlay
from bench.drivers.overlay2 import Overlay2
from bench.layers.content import BLOCK, Directory, File, Layer
from bench.measure.clock import once
from bench.measure.scenario import Grid, Law, Metric, Params, Scenario, Unit
from bench.model import NATIVE, Temperature, format_size
from bench.verdicts.claims import Answer, Finding, Outcome
from bench.volumes.ext4 import VOLUME as EXT4

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.drivers.base import Driver
    from bench.stats.analysis import Analysis

FILE_BYTES = 4096
DIRECTORIES = 1000  # of a small distribution's image, for the sentence on the legacy driver
TYPICAL = (8, 100)  # layers and files per layer of the sentence at the head of the page
# Above the drivers' own count of bytes, per inode: directories that outgrow one block, link targets,
# and chunks of inodes (xfs: 64 at a time).
SLACK_PER_INODE = 2 * BLOCK


def grids(profile: str) -> Iterable[Grid]:
    """Layers by files per layer; exact, so few units tell."""
    depths, blocks = {"quick": ((1, 4, 8), 2), "standard": ((1, 8, 32), 4)}.get(profile, ((1, 8, 32, 125), 6))
    files = {"quick": (100,), "standard": (10, 100)}.get(profile, (10, 100, 1000))
    yield Grid(depths, (Temperature.NEW,), {"files": files}, blocks=blocks)


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
    unit.proven(home.is_dir(), "the stack is on disk")
    unit.driver.close(unit.notes["stack"])
    shutil.rmtree(home)
    unit.volume.sync()
    if before.inodes is None:
        unit.counters["bytes"] = after.bytes - before.bytes  # of btrfs, in chunks of metadata: nothing to expect
    elif unit.volume.written() is not None:
        unit.expect("inodes", after.inodes - before.inodes, want.inodes, why=unit.driver.inode_law)
        high = want.bytes + want.inodes * SLACK_PER_INODE
        unit.expect("bytes", after.bytes - before.bytes, want.bytes, high, why="blocks of the data and directories")


def answers(analysis: Analysis) -> Iterator[Answer]:
    """What a typical image takes."""
    depth, files = TYPICAL
    where = {"depth": depth, "files": files}
    for arm in analysis.arms("inodes"):
        inodes = analysis.counter("inodes", arm, "inodes", **where)
        size = analysis.counter("inodes", arm, "bytes", **where)
        if inodes is None or size is None or arm.startswith(f"{NATIVE}@"):
            continue
        exact = "as its formula says" if inodes["matching"] == inodes["units"] else "not as its formula says"
        yield Answer(
            f"{depth} layers of {files} files take {inodes['median']:,.0f} inodes ({exact}) and "
            f"{format_size(size['median'])}.",
            arm,
            "inodes",
        )


def judge_inodes(analysis: Analysis) -> Iterator[Finding]:
    """C3: inodes, and the time to write the layers, of overlay2 against the legacy overlay driver."""
    depth, files = TYPICAL
    where = {"depth": depth, "files": files}
    for arm in analysis.arms("inodes"):
        mine = analysis.counter("inodes", arm, "inodes", **where)
        if not arm.startswith("overlay2@") or mine is None:
            continue
        legacy, vfs = (
            analysis.counter("inodes", arm.replace("overlay2@", other), "inodes", **where)
            for other in ("overlay@", "vfs@")
        )
        said = f"{mine['median']:,.0f} inodes for {depth} layers of {files} files"
        also = f", vfs {vfs['median']:,.0f}" if vfs is not None else ""
        if legacy is None:
            if also:
                yield Finding(arm, Outcome.QUALIFIED, f"{said}{also}; the legacy overlay driver was not measured")
            continue
        a, b = (analysis.cell("inodes", name, "build", **where) for name in (arm, arm.replace("overlay2@", "overlay@")))
        took = f"; writing them took {a.text('ns')} and {b.text('ns')}" if a and b else ""
        yield Finding(
            arm,
            Outcome.CONFIRMED if mine["median"] < legacy["median"] else Outcome.QUALIFIED,
            f"{said}, the legacy overlay driver {legacy['median']:,.0f}{also}{took}. Of a directory of the image the "
            "legacy driver has one in every layer, overlay2 only where a layer holds it: with "
            f"{DIRECTORIES:,} directories in the bottom layer their formulas give {_inodes(Overlay2()):,} and "
            f"{_inodes(Overlay()):,}",
        )


def _inodes(driver: Driver) -> int:
    """Return what a driver's formula, which the counters of this scenario check, gives for a tree of directories."""
    depth, files = TYPICAL
    layers = [layer(index, {"files": files}) for index in range(depth)]
    layers[0] = (*(Directory(f"directory-{number}") for number in range(DIRECTORIES)), *layers[0])
    return driver.footprint(layers, (depth,), EXT4).inodes


SCENARIO = Scenario(
    name="inodes",
    question="How many inodes and bytes do N layers of M files take?",
    method=(
        "Each unit builds a whole stack in a fresh directory: layers of one directory and M files of 4 KiB, no two "
        "layers sharing a name. Inodes and bytes are the difference of statfs before and after, each after a sync, "
        "on a volume where nothing else happens. `build` is the time to write it, without the sync."
    ),
    order=3,
    weight=0.06,
    metrics=(Metric("build", "writing all layers"),),
    headline="build",
    grids=grids,
    content=("files",),
    layer=layer,
    operate=operate,
    prove=prove,
    mounts=False,
    working_bytes=lambda params: 0,
    laws=(Law("build", "depth", "writing N layers of 100 files", {"files": 100}, per_name="layer"),),
    answers=answers,
    claims={"C3": judge_inodes},
)
