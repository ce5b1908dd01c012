"""Deletion of files of the image: whiteouts, opaque directories, and their cost afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from time import perf_counter_ns

from bench.kernel.directory import working_directory
from bench.layers.content import Directory, File, Layer
from bench.model import Param, Temperature
from bench.scenario.clock import NULL, each
from bench.scenario.contract import Grid, Params, Point, Scenario, Unit
from scenarios.whiteouts.reading import DEPTH, READING

LISTINGS = 5  # of the emptied directory, each an open, a full read and a close
# The directories in upper: `victims` and the re-created `gone`.
UPPER_DIRECTORIES = 2
COPIED_DIRECTORIES = 1  # those of them that were copied up: `victims`
# Maximum of bytes that a deletion may add: a directory entry in upper of at most 64 bytes with these names;
# ext4 and xfs allocate directories in blocks, xfs inodes in chunks of 64.
ENTRY_BYTES, CHUNK_BYTES = 64, 128 * 1024


def grids(profile: str) -> Iterable[Grid]:
    """Numbers of deleted files."""
    counts: tuple[Param, ...] = {"standard": (1, 100, 1000, 5000)}.get(profile, (1, 10, 100, 1000, 5000, 10000))
    if profile == "quick":
        yield Grid((DEPTH,), (Temperature.NEW,), {"deletions": (1, 100)}, drivers=("overlay2",))
        counts = (1000,)
    yield Grid((DEPTH,), (Temperature.NEW,), {"deletions": counts})


def layer(index: int, params: Params) -> Layer:
    """Files to delete and a directory to remove in the bottom layer; unrelated files in the others."""
    if index:
        return (File(f"other-{index}", 0),)
    files = [File(f"victims/{number}", 0) for number in range(int(params["deletions"]))]
    return (Directory("victims"), *files, Directory("gone"), File("gone/inside", 0))


def touch(unit: Unit) -> None:
    """List both directories."""
    for name in ("victims", "gone"):
        os.listdir(unit.merged / name)


def operate(unit: Unit) -> Iterator[None]:
    """Delete every file, list the directory, remove a directory and re-create it."""
    before = None if unit.judged else unit.volume.usage()  # two units in turns may share the volume
    victims = [f"victims/{number}" for number in range(int(unit.params["deletions"]))]
    unit.random.shuffle(victims)
    times: list[int] = []
    for part in unit.parts(victims):
        with working_directory(unit.merged):
            times += each(os.unlink, part)
        yield
    # The first deletion includes the copy_up of the directory, so it is recorded separately.
    unit.record("unlink_first", times[:1])
    if len(times) > 1:
        unit.record("unlink", times[1:])
    unit.settle()
    yield
    with working_directory(unit.merged):
        unit.record("list", each(os.listdir, ["victims"] * LISTINGS))
        os.unlink("gone/inside")
    yield
    unit.settle()
    yield
    with working_directory(unit.merged):
        start = perf_counter_ns()
        os.rmdir("gone")
        unit.record("rmdir", [perf_counter_ns() - start - NULL.clock])
        unit.notes["removed"] = mark(unit, "gone")
        start = perf_counter_ns()
        os.mkdir("gone")
        unit.record("recreate", [perf_counter_ns() - start - NULL.clock])
    if before is not None:
        unit.notes["usage"] = (before, unit.volume.usage())


def mark(unit: Unit, name: str) -> str:
    """Return what the container's layer has at `name`."""
    return unit.driver.mark(unit.container, name)


def prove(unit: Unit) -> None:
    """All files are deleted in the container and present in the image; marks and counts are as expected."""
    deletions = int(unit.params["deletions"])
    unit.require_proof(not os.listdir(unit.merged / "victims"), "the directory is empty in the container")
    unit.require_proof(not os.listdir(unit.merged / "gone"), "the directory made again is empty")
    image = unit.driver.layer_path(unit.container, 0)
    unit.require_proof(len(os.listdir(image / "victims")) == deletions, "the image still holds every deleted file")
    recipe = unit.volume.recipe
    whiteouts = unit.driver.whiteout_inodes(deletions)
    upper = unit.container.upper
    if upper is not None and whiteouts is not None:
        marks = [mark(unit, f"victims/{number}") for number in range(deletions)]
        unit.require_proof(
            all(text.startswith("whiteout") for text in marks), "upper holds a whiteout for each deleted file"
        )
        unit.counters["rmdir_whiteout"] = int(unit.notes["removed"].startswith("whiteout"))
        unit.counters["rmdir_opaque"] = int(unit.notes["removed"] == "opaque directory")
        unit.expect(
            "recreated_opaque", int(mark(unit, "gone") == "opaque directory"), 1, why="it must hide the image's"
        )
        paths = [unit.driver.whiteout(unit.container, f"victims/{number}") for number in range(deletions)]
        distinct = len({path.lstat().st_ino for path in paths})
        unit.expect("whiteout_inodes", distinct, whiteouts, why="the driver shares whiteouts, or not")
        expected = (
            whiteouts
            - unit.driver.mounted_inodes
            + UPPER_DIRECTORIES
            + unit.driver.opaque_inodes
            + unit.driver.index_inodes(COPIED_DIRECTORIES)
        )
    else:
        expected = -deletions - 1  # in place: the files are those of the container's own copy
    if "usage" not in unit.notes:
        return
    before, after = unit.notes["usage"]
    if before.inodes is None or unit.volume.written() is None:
        return
    unit.expect("inodes", after.inodes - before.inodes, expected, why="whiteouts and directories")
    if upper is not None:
        high = deletions * ENTRY_BYTES + UPPER_DIRECTORIES * max(recipe.directory_bytes, 4096) + CHUNK_BYTES
        high += (whiteouts or 0) * 512
        unit.expect("bytes", after.bytes - before.bytes, 0, high, why="directory blocks and inodes; nothing is freed")


def after(unit: Unit) -> None:
    """List the emptied directory again, directly after the container was restarted."""
    if not unit.wants("list_restarted"):
        return
    if not unit.driver.mounts_again:
        return
    with unit.driver.mount(unit.container) as merged:
        unit.record("list_restarted", each(os.listdir, [str(merged / "victims")]))


SCENARIO = Scenario(
    reading=READING,
    weight=0.12,
    grids=grids,
    content=("deletions",),
    changes=True,
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    after=after,
    engines=True,
    compared=Point("unlink", DEPTH, Temperature.NEW, {"deletions": 100}),
)
