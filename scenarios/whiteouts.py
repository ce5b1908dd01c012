"""Deleting what the image holds: whiteouts, opaque directories, and what they cost afterwards."""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import TYPE_CHECKING

from bench.kernel.directory import working_directory
from bench.layers.content import Directory, File, Layer
from bench.measure.clock import each
from bench.measure.scenario import Grid, Law, Metric, Params, Point, Scenario, Unit
from bench.model import Param, Temperature, format_size
from bench.verdicts.claims import Answer, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.stats.analysis import Analysis

LISTINGS = 5  # of the emptied directory, each an open, a full read and a close
DEPTH = 3
AT = {"depth": DEPTH}
# The overlay's own directories that appear in upper: `victims` and, re-created, `gone`.
UPPER_DIRECTORIES = 2
COPIED_DIRECTORIES = 1  # of them, those that were copied up: `victims`
# Bytes that `deletions` may add: directory blocks of upper hold one entry each, 64 bytes at most with
# the names used here; ext4 and xfs allocate them in blocks, xfs inodes in chunks of 64.
ENTRY_BYTES, CHUNK_BYTES = 64, 128 * 1024


def grids(profile: str) -> Iterable[Grid]:
    """Numbers of deleted files."""
    counts: tuple[Param, ...] = {"standard": (1, 100, 1000, 5000)}.get(profile, (1, 10, 100, 1000, 5000, 10000))
    if profile == "quick":
        yield Grid((DEPTH,), (Temperature.NEW,), {"deletions": (1, 100)}, drivers=("overlay2",))
        counts = (1000,)
    yield Grid((DEPTH,), (Temperature.NEW,), {"deletions": counts})


def layer(index: int, params: Params) -> Layer:
    """Files to delete and a directory to remove in the bottom layer; the others hold something else."""
    if index:
        return (File(f"other-{index}", 0),)
    files = [File(f"victims/{number}", 0) for number in range(int(params["deletions"]))]
    return (Directory("victims"), *files, Directory("gone"), File("gone/inside", 0))


def touch(unit: Unit) -> None:
    """List both directories."""
    for name in ("victims", "gone"):
        os.listdir(unit.merged / name)


def operate(unit: Unit) -> Iterator[None]:
    """Delete every file, list what is left, remove a directory and make it again."""
    before = None if unit.judged else unit.volume.usage()  # two units in turns may share the volume
    victims = [f"victims/{number}" for number in range(int(unit.params["deletions"]))]
    unit.random.shuffle(victims)
    times: list[int] = []
    for part in unit.parts(victims):
        with working_directory(unit.merged):
            times += each(os.unlink, part)
        yield
    # The first deletion copies the directory up; it belongs to the directory, not to a file.
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
        unit.record("rmdir", [perf_counter_ns() - start])
        unit.notes["removed"] = mark(unit, "gone")
        start = perf_counter_ns()
        os.mkdir("gone")
        unit.record("recreate", [perf_counter_ns() - start])
    if before is not None:
        unit.notes["usage"] = (before, unit.volume.usage())


def mark(unit: Unit, name: str) -> str:
    """Say what the container's layer has of `name`."""
    return unit.driver.mark(unit.container, name)


def prove(unit: Unit) -> None:
    """Everything is gone from the container, nothing from the image; marks and counts are as expected."""
    deletions = int(unit.params["deletions"])
    unit.proven(not os.listdir(unit.merged / "victims"), "the directory is empty in the container")
    unit.proven(not os.listdir(unit.merged / "gone"), "the directory made again is empty")
    image = unit.driver.layer_path(unit.container, 0)
    unit.proven(len(os.listdir(image / "victims")) == deletions, "the image still holds every deleted file")
    recipe = unit.volume.recipe
    whiteouts = unit.driver.whiteout_inodes(deletions)
    upper = unit.container.upper
    if upper is not None and whiteouts is not None:
        marks = [mark(unit, f"victims/{number}") for number in range(deletions)]
        unit.proven(all(text.startswith("whiteout") for text in marks), "upper holds a whiteout for each deleted file")
        unit.counters["rmdir_whiteout"] = int(unit.notes["removed"].startswith("whiteout"))
        unit.counters["rmdir_opaque"] = int(unit.notes["removed"] == "opaque directory")
        unit.expect(
            "recreated_opaque", int(mark(unit, "gone") == "opaque directory"), 1, why="it must hide the image's"
        )
        paths = [unit.driver.whiteout(unit.container, f"victims/{number}") for number in range(deletions)]
        distinct = len({path.lstat().st_ino for path in paths})
        unit.expect("whiteout_inodes", distinct, whiteouts, why="the driver shares whiteouts, or not")
        expected = (
            whiteouts + UPPER_DIRECTORIES + unit.driver.opaque_inodes + unit.driver.index_inodes(COPIED_DIRECTORIES)
        )
    else:
        expected = -deletions - 1  # in place: the files of this container's own copy
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
    """List the emptied directory once more, first thing after the container was started again."""
    if not unit.wants("list_restarted"):
        return
    if not unit.driver.mounts_again:
        return
    with unit.driver.get(unit.container) as merged:
        unit.record("list_restarted", each(os.listdir, [str(merged / "victims")]))


def answers(analysis: Analysis) -> Iterator[Answer]:
    """What a deleted file costs."""
    depth = analysis.depth("whiteouts", DEPTH)
    for arm in analysis.arms("whiteouts"):
        if not arm.startswith(("overlay2", "fuse")):
            continue
        inodes = analysis.counter("whiteouts", arm, "inodes", deletions=1000, depth=depth)
        size = analysis.counter("whiteouts", arm, "bytes", deletions=1000, depth=depth)
        unlink = analysis.cell("whiteouts", arm, "unlink", deletions=1000, depth=depth)
        law = analysis.law("whiteouts", "list", "deletions", arm)
        if inodes is None or size is None or unlink is None:
            continue
        later = ""
        if law is not None and law.line.shape == "grows":
            later = f"; every later listing of the directory pays {law.line.slope.text('ns')} for it"
        yield Answer(
            f"A deleted file costs {unlink.text('ns')} (its deletion) and frees nothing: 1,000 deletions add "
            f"{inodes['median']:,.0f} inodes and {format_size(size['median'])}{later}.",
            arm,
            "whiteouts",
        )


def judge_whiteout(analysis: Analysis) -> Iterator[Finding]:
    """C7: each deleted file has a whiteout in upper (a proof of every unit)."""
    depth = analysis.depth("whiteouts", DEPTH)
    for arm in analysis.arms("whiteouts"):
        inodes = analysis.counter("whiteouts", arm, "whiteout_inodes", deletions=1000, depth=depth)
        if inodes is not None:
            yield Finding(
                arm,
                Outcome.CONFIRMED,
                f"1,000 deletions left 1,000 whiteouts in {inodes['median']:,.0f} inodes of upper; "
                "the image still holds every file",
            )


def judge_opaque(analysis: Analysis) -> Iterator[Finding]:
    """C8: what upper holds after rmdir, and after the directory is made again."""
    depth = analysis.depth("whiteouts", DEPTH)
    for arm in analysis.arms("whiteouts"):
        removed = analysis.counter("whiteouts", arm, "rmdir_opaque", deletions=1000, depth=depth)
        whiteout = analysis.counter("whiteouts", arm, "rmdir_whiteout", deletions=1000, depth=depth)
        again = analysis.counter("whiteouts", arm, "recreated_opaque", deletions=1000, depth=depth)
        if removed is None or whiteout is None or again is None:
            continue
        confirmed = removed["minimum"] == 1
        yield Finding(
            arm,
            Outcome.CONFIRMED if confirmed else Outcome.REFUTED,
            f"after rmdir upper held {'an opaque directory' if confirmed else 'a whiteout'} in {whiteout['units']} of "
            f"{whiteout['units']} units; made again, the directory was opaque in {again['matching']}",
        )


SCENARIO = Scenario(
    name="whiteouts",
    question="What does deleting a file of the image cost, then and later?",
    method=(
        "Each unit is a fresh container on an image with that many empty files in one directory; all are deleted in "
        "random order, the emptied directory is listed five times (and once more after the container was unmounted and "
        "mounted again), another directory of the image is removed and made "
        "again. Upper is inspected between the steps, outside the clock. Inodes and bytes are differences of statfs "
        "after a sync. Native and vfs delete in place: their counts are negative."
    ),
    order=4,
    weight=0.12,
    metrics=(
        Metric("unlink", "deleting a file"),
        Metric("unlink_first", "first deletion in a directory"),
        Metric("list", "listing the emptied directory"),
        Metric("list_restarted", "listing it first thing after a restart of the container"),
        Metric("rmdir", "removing a directory of the image"),
        Metric("recreate", "making it again"),
    ),
    headline="list",
    grids=grids,
    content=("deletions",),
    changes=True,
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    after=after,
    laws=(
        Law("list", "deletions", "listing the emptied directory against deletions", AT, per_name="deleted file"),
        Law("list_restarted", "deletions", "the same, after a restart of the container", AT, per_name="deleted file"),
    ),
    engines=True,
    compared=Point("unlink", DEPTH, Temperature.NEW, {"deletions": 100}),
    answers=answers,
    claims={"C7": judge_whiteout, "C8": judge_opaque},
)
