"""How a driver differs from a plain file system: the same operations on a container and on a directory.

Each unit draws a stream of operations on few names, does each of them in a fresh container and in a plain directory
with the same content, and compares what they said, and every so often all that is there. Known differences are
declared by the driver with their source (`Driver.differences`); any other is a counter off its expectation.

All happens below one directory of the image: in its root an engine has files of its own (`/dev`, `/.dockerenv`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from time import perf_counter_ns

from bench.layers.content import Directory, File, HardLink, Layer, Link, materialise
from bench.layers.tree import flatten
from bench.model import Difference, Temperature
from bench.oracle.contents import CreateLong, CreateMarked
from bench.oracle.entries import MakeWhiteout, Unlink, WriteLinked
from bench.oracle.operations import Look, Operation
from bench.oracle.replay import compared, tree
from bench.oracle.streams import stream
from bench.oracle.unusual import CreateHidden, SetMark
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.differences.reading import READING, SOURCE

DEPTH = 3
TREE = "tree"  # the directory
LINKED = (f"{TREE}/linked", f"{TREE}/other-name")  # one file, of which nothing is done before the last operation
DIRECTORIES = ("", "top", "middle", "bottom", "all", "all/deep")
NAMES = ("a", "b", "c", "d", "e")
NAME_BYTES = (251, 252, 255)  # the most of fuse-overlayfs, one more, and the most of file systems
MARKED = "marked"  # a directory that is marked as opaque, and unmarked
MARKS = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
OPERATIONS = {"quick": 500, "standard": 2000}
MOST = 10_000


def grids(profile: str) -> Iterable[Grid]:
    """One stream a unit, the same on all arms; another one in every block."""
    blocks = 1 if profile == "quick" else 3
    length = {"length": (OPERATIONS.get(profile, MOST),)}
    yield Grid((DEPTH,), (Temperature.NEW,), length, max_blocks=blocks)
    if profile == "full":
        yield Grid((DEPTH,), (Temperature.NEW,), length, costly=True, engines=True, max_blocks=1)


def layer(index: int, params: Params) -> Layer:
    """A directory that only this layer has, one that all have, files of all sizes and a link.

    The bottom layer also has what `once` is done with: a file of two names, and a directory.
    """
    own = ("bottom", "middle", "top")[min(index, 2)]
    unusual: Layer = (
        File(LINKED[0], 100),
        HardLink(LINKED[1], LINKED[0]),
        Directory(f"{TREE}/{MARKED}"),
        File(f"{TREE}/{MARKED}/a", 10),
    )
    return (
        Directory(TREE),
        Directory(f"{TREE}/{own}"),
        File(f"{TREE}/{own}/a", 100, origin=index),
        File(f"{TREE}/{own}/b", 0),
        Link(f"{TREE}/{own}/c", "a"),
        Directory(f"{TREE}/all"),
        Directory(f"{TREE}/all/deep", 0o700),
        File(f"{TREE}/all/a", 5000 * (index + 1), origin=index),
        File(f"{TREE}/all/deep/{NAMES[index % len(NAMES)]}", 10, origin=index),
        File(f"{TREE}/d", 3, origin=index, mode=0o600),
        *(unusual if index == 0 else ()),
    )


def plain(unit: Unit) -> Path:
    """The plain directory of a unit, beside the stacks of its volume."""
    return unit.volume.path / "plain"


def declared(unit: Unit) -> tuple[Difference, ...]:
    """What is known to differ, for the driver or for the file system."""
    return (*unit.driver.differences, *unit.volume.recipe.differences)


def before(unit: Unit) -> None:
    """Make the plain directory."""
    shutil.rmtree(plain(unit), ignore_errors=True)
    plain(unit).mkdir()
    materialise(flatten(unit.layers), plain(unit), unit.seed)
    unit.notes["image"] = image(unit)


def image(unit: Unit) -> list[object]:
    """All that the image's layers hold on disk."""
    return [tree(unit.driver.layer_path(unit.container, index)) for index in range(unit.depth)]


def once() -> list[Operation]:
    """Return what is done once, last: what few programs do, and some drivers do not do as a file system.

    A file of the image with two names is written to; files are made with the longest names that a driver or a file
    system takes, with the name of a mark of fuse-overlayfs and aufs, and with one that FUSE gives; a device node is
    made that is overlayfs's mark; and a directory gets the attributes that are marks.
    """
    one, other = (name.removeprefix(f"{TREE}/") for name in LINKED)
    named: list[Operation] = [CreateLong("n" * length, 0o600) for length in NAME_BYTES]
    named += [CreateMarked(".wh.d", 0o600), CreateHidden(".fuse_hidden1", 0o600)]
    special: list[Operation] = [*named, Look("d"), MakeWhiteout("zero")]
    of_the_image: list[Operation] = [
        WriteLinked(one, other, b"more"),
        *(SetMark(MARKED, key, b"y") for key in MARKS),
    ]
    return [*of_the_image, *(step for each in special for step in (each, Unlink(each.path)))]


def operate(unit: Unit) -> None:
    """Do the stream in both."""
    drawn = islice(stream(unit.random, MOST, DIRECTORIES, NAMES), int(unit.params["length"]))
    operations = [*drawn, *once()]
    start = perf_counter_ns()
    told = compared(operations, unit.merged / TREE, plain(unit) / TREE, declared(unit))
    unit.record("operation", [(perf_counter_ns() - start) / max(told.operations, 1)], calls=told.operations)
    unit.notes["told"] = told


def prove(unit: Unit) -> None:
    """No difference but those declared."""
    told = unit.notes["told"]
    unit.expect("undeclared", int(told.mismatch is not None), 0, why=str(told.mismatch))
    unit.counters["operations"] = told.operations
    for difference in declared(unit):
        unit.counters[f"{difference.name}{SOURCE}{difference.source}"] = told.declared[difference.name]
    shutil.rmtree(plain(unit))


def after(unit: Unit) -> None:
    """The image is as it was."""
    unit.expect(
        "image_unchanged", int(image(unit) == unit.notes["image"]), 1, why="a container writes to its own layer"
    )


SCENARIO = Scenario(
    reading=READING,
    weight=0.02,
    grids=grids,
    layer=layer,
    before=before,
    operate=operate,
    prove=prove,
    after=after,
    changes=True,
    engines=True,
    gated=False,  # its counters belong to streams that a seed draws,
)
