"""Differences between a driver and a plain file system: the same operations in a container and in a directory.

Each unit draws a random stream of operations on few names, runs each of them in a new container and in a plain
directory with the same content, and compares the results, and at intervals the whole trees. Known differences are
declared by the driver with their source (`Driver.differences`); any other is a mismatch of a counter.

All operations are below one directory of the image, because engines put files of their own in its root (`/dev`,
`/.dockerenv`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from time import perf_counter_ns

from bench.layers.content import Directory, File, HardLink, Layer, Link
from bench.layers.materialise import materialise
from bench.layers.tree import flatten
from bench.model import Difference, Temperature
from bench.oracle.contents import CreateLong, CreateMarked
from bench.oracle.entries import MakeWhiteout, Unlink, WriteLinked
from bench.oracle.operations import Look, Operation
from bench.oracle.replay import compare, tree
from bench.oracle.streams import stream
from bench.oracle.unusual import CreateHidden, SetMark
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.differences.reading import READING, SOURCE

DEPTH = 3
TREE = "tree"  # the directory
LINKED = (f"{TREE}/linked", f"{TREE}/other-name")  # one file, not used before the last operations
DIRECTORIES = ("", "top", "middle", "bottom", "all", "all/deep")
NAMES = ("a", "b", "c", "d", "e")
NAME_BYTES = (251, 252, 255)  # the maximum of fuse-overlayfs, one more, and the maximum of file systems
MARKED = "marked"  # a directory that is marked as opaque and unmarked
MARKS = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
OPERATIONS = {"quick": 500, "standard": 2000}
MOST = 10_000


def grids(profile: str) -> Iterable[Grid]:
    """One stream per unit, the same on all arms of a block, different in every block."""
    blocks = 1 if profile == "quick" else 3
    length = {"length": (OPERATIONS.get(profile, MOST),)}
    yield Grid((DEPTH,), (Temperature.NEW,), length, max_blocks=blocks)
    if profile == "full":
        yield Grid((DEPTH,), (Temperature.NEW,), length, costly=True, engines=True, max_blocks=1)


def layer(index: int, params: Params) -> Layer:
    """A directory of this layer only, one of all layers, files of several sizes and a link.

    The bottom layer also has the files of the operations in `once`: a file with two names, and a directory.
    """
    name = ("bottom", "middle", "top")[min(index, 2)]
    unusual: Layer = (
        File(LINKED[0], 100),
        HardLink(LINKED[1], LINKED[0]),
        Directory(f"{TREE}/{MARKED}"),
        File(f"{TREE}/{MARKED}/a", 10),
    )
    return (
        Directory(TREE),
        Directory(f"{TREE}/{name}"),
        File(f"{TREE}/{name}/a", 100, origin=index),
        File(f"{TREE}/{name}/b", 0),
        Link(f"{TREE}/{name}/c", "a"),
        Directory(f"{TREE}/all"),
        Directory(f"{TREE}/all/deep", 0o700),
        File(f"{TREE}/all/a", 5000 * (index + 1), origin=index),
        File(f"{TREE}/all/deep/{NAMES[index % len(NAMES)]}", 10, origin=index),
        File(f"{TREE}/d", 3, origin=index, mode=0o600),
        *(unusual if index == 0 else ()),
    )


def plain(unit: Unit) -> Path:
    """The plain directory of a unit, on the same volume as the stacks."""
    return unit.volume.path / "plain"


def declared(unit: Unit) -> tuple[Difference, ...]:
    """The known differences of the driver and of the file system."""
    return (*unit.driver.differences, *unit.volume.recipe.differences)


def before(unit: Unit) -> None:
    """Make the plain directory."""
    shutil.rmtree(plain(unit), ignore_errors=True)
    plain(unit).mkdir()
    materialise(flatten(unit.layers), plain(unit), unit.seed)
    unit.notes["image"] = image(unit)


def image(unit: Unit) -> list[object]:
    """The content of the image's layers on disk."""
    return [tree(unit.driver.layer_path(unit.container, index)) for index in range(unit.depth)]


def once() -> list[Operation]:
    """Return the operations that are run once, at the end: unusual ones, in which some drivers differ.

    They write to a file of the image with two names; create files with the longest names of a driver or a file system,
    with a name that fuse-overlayfs and aufs use as a whiteout, and with a name that FUSE uses; create a device node
    that is overlayfs's whiteout; and set the attributes of an opaque directory.
    """
    first_name, other_name = (path.removeprefix(f"{TREE}/") for path in LINKED)
    named: list[Operation] = [CreateLong("n" * length, 0o600) for length in NAME_BYTES]
    named += [CreateMarked(".wh.d", 0o600), CreateHidden(".fuse_hidden1", 0o600)]
    special: list[Operation] = [*named, Look("d"), MakeWhiteout("zero")]
    of_the_image: list[Operation] = [
        WriteLinked(first_name, other_name, b"more"),
        *(SetMark(MARKED, key, b"y") for key in MARKS),
    ]
    return [*of_the_image, *(step for operation in special for step in (operation, Unlink(operation.path)))]


def operate(unit: Unit) -> None:
    """Run the stream in both."""
    drawn = islice(stream(unit.random, MOST, DIRECTORIES, NAMES), int(unit.params["length"]))
    operations = [*drawn, *once()]
    start = perf_counter_ns()
    outcome = compare(operations, unit.merged / TREE, plain(unit) / TREE, declared(unit))
    unit.record("operation", [(perf_counter_ns() - start) / max(outcome.operations, 1)], calls=outcome.operations)
    unit.notes["outcome"] = outcome


def prove(unit: Unit) -> None:
    """There are only declared differences."""
    outcome = unit.notes["outcome"]
    unit.expect("undeclared", int(outcome.mismatch is not None), 0, why=str(outcome.mismatch))
    unit.counters["operations"] = outcome.operations
    for difference in declared(unit):
        unit.counters[f"{difference.name}{SOURCE}{difference.source}"] = outcome.declared[difference.name]
    shutil.rmtree(plain(unit))


def after(unit: Unit) -> None:
    """The image is unchanged."""
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
    gated=False,  # its counters depend on the random streams
)
