"""Turning what a container changed into a layer: what `docker build` and `docker commit` pay for each step.

Where the container's layer itself tells what changed, finding it takes as many steps as there are changes; else the
whole tree is compared with the image's (moby: overlay2's Diff against the naive differ).
"""

from __future__ import annotations

import io
import shutil
from typing import IO, TYPE_CHECKING

from bench.drivers.engine import EngineDriver
from bench.engines.images import PROGRAM
from bench.layers.archive import export
from bench.layers.changes import naive
from bench.layers.content import BLOCK, Directory, File, Layer, materialise
from bench.layers.tree import flatten
from bench.layers.unpack import apply
from bench.measure.clock import once
from bench.measure.scenario import Grid, Law, Metric, Params, Scenario, Unit
from bench.model import Temperature
from bench.oracle.replay import tree
from bench.verdicts.claims import Answer, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.layers.changes import Change
    from bench.stats.analysis import Analysis

DEPTH = 8
CHANGES = 16  # files written to; as many are deleted and made, and one directory is removed and made again
FILE_BYTES = 4096
TYPICAL = 2000  # files of the sentence at the head of the page
BY_HAND = ("overlay2", "fuse-overlayfs", "vfs", "overlay", "btrfs", "unionfs-fuse", "zfs")
OWN, COMPARED = "from the container's own layer", "by comparing trees"  # in a row's `how`, under `changes`
APPLIED = "the exported layer, applied to the image, gives the container's tree"
APPLIED_OWN = "the layer that the engine made, applied to the image, gives the container's tree"
# What an engine's container has at its root that is not of the image: the program, and places for its own mounts.
RUNTIME = (PROGRAM, ".dockerenv", "dev", "etc", "proc", "run", "sys")


def grids(profile: str) -> Iterable[Grid]:
    """Files of the image; the changes stay the same."""
    if profile == "quick":
        yield Grid((DEPTH,), (Temperature.NEW,), {"files": (TYPICAL,)}, drivers=("overlay2", "vfs"), blocks=6)
        return
    counts = (500, TYPICAL, 8000) if profile == "standard" else (500, TYPICAL, 8000, 32_000)
    # A block of all drivers and engines took six minutes: a standard run has the laws of overlay2 and no engine.
    wide = profile == "full"
    yield Grid((DEPTH,), (Temperature.NEW,), {"files": counts}, drivers=BY_HAND if wide else BY_HAND[:1], blocks=12)
    yield Grid((DEPTH,), (Temperature.NEW,), {"files": (TYPICAL,)}, drivers=BY_HAND, engines=wide, blocks=4)


def layer(index: int, params: Params) -> Layer:
    """An eighth of the files, in directories of a hundred."""
    count = int(params["files"]) // DEPTH
    directories = [Directory(f"{index}-{number}") for number in range(-(-count // 100))]
    files = [File(f"{index}-{number // 100}/{number}", FILE_BYTES) for number in range(count)]
    return (*directories, *files)


def change(unit: Unit) -> None:
    """Write to files of the bottom layer, delete others, make new ones, and remove a directory and make it again."""
    where = unit.merged / "0-0"
    for number in range(CHANGES):
        with (where / str(number)).open("ab") as file:
            file.write(b"more")
        (where / str(CHANGES + number)).unlink()
        (where / f"new-{number}").write_bytes(b"new")
    again = unit.merged / f"{unit.depth - 1}-0"
    shutil.rmtree(again)
    again.mkdir()
    (again / "only").write_bytes(b"only")


class _Sink(io.RawIOBase):
    """Takes what an archive has and keeps nothing, so that no disk is measured."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return len(memoryview(data))  # type: ignore[arg-type]


def found(unit: Unit, before: Path) -> list[Change]:
    """What the driver's own way to find the changes finds."""
    own = unit.driver.changes(unit.container)
    return list(naive(before, unit.merged) if own is None else own)


def operate(unit: Unit) -> None:
    """Find the changes in the driver's way and export them; then find them by comparing all."""
    change(unit)
    unit.volume.sync()
    if isinstance(unit.driver, EngineDriver):
        target = unit.volume.path / "committed.tar"
        took, _ = once(unit.driver.commit, unit.container, target)
        unit.record("engine", [took])
        unit.notes["committed"] = target
        return
    spare = unit.driver.create_read_write(unit.container.stack, unit.depth)
    try:
        with unit.driver.get(spare) as before:
            unit.settle()
            took, changes = once(found, unit, before)
            unit.record("find", [took])
            took, holes = once(export, changes, unit.merged, _Sink())
            unit.record("export", [took])
            took, compared = once(lambda: list(naive(before, unit.merged)))
            unit.record("naive", [took])
            unit.notes["changes"] = changes, compared
            unit.container.how["changes"] = COMPARED if unit.driver.changes(unit.container) is None else OWN
            unit.counters["archive_hole_bytes"] = holes
    finally:
        unit.driver.remove(spare)
    unit.metrics["layer"] = unit.metrics["find"] + unit.metrics["export"]


def prove(unit: Unit) -> None:
    """Either way the layer, applied to a plain copy of the image, gives what the container shows."""
    if "committed" in unit.notes:
        with unit.notes["committed"].open("rb") as own:
            _prove(unit, own, APPLIED_OWN)
        unit.counters["archive_bytes"] = unit.notes["committed"].stat().st_size
        unit.notes["committed"].unlink()
        return
    for changes in unit.notes["changes"]:
        archive = io.BytesIO()
        export(changes, unit.merged, archive)
        archive.seek(0)
        _prove(unit, archive, APPLIED)
    unit.counters["changes"] = len(unit.notes["changes"][0])
    unit.counters["archive_bytes"] = archive.tell()


def _prove(unit: Unit, archive: IO[bytes], what: str) -> None:
    """Apply a layer to a plain copy of the image and hold it against the container."""
    plain = unit.volume.path / "applied"
    shutil.rmtree(plain, ignore_errors=True)
    plain.mkdir()
    materialise(flatten(unit.layers), plain, unit.seed)
    apply(archive, plain)
    one, other = (
        {name: told for name, told in tree(path, links=False).items() if name.partition("/")[0] not in RUNTIME}
        for path in (plain, unit.merged)
    )
    unit.proven(one == other, what)
    shutil.rmtree(plain)


def answers(analysis: Analysis) -> Iterator[Answer]:
    """What a step of a build pays to find what changed."""
    where = {"files": TYPICAL, "depth": analysis.depth(SCENARIO.name, DEPTH)}
    for arm in analysis.arms(SCENARIO.name):
        own, all_of_it = (analysis.cell(SCENARIO.name, arm, metric, **where) for metric in ("find", "naive"))
        if own is None or all_of_it is None or not arm.startswith("overlay2"):
            continue
        units = analysis.units(SCENARIO.name)
        if units.loc[units["arm"] == arm, "how"].str.contains(COMPARED, regex=False).any():
            continue  # an option of this arm lets the layer leave out what changed: both figures are of comparing
        yield Answer(
            f"Finding what a container changed of {TYPICAL:,} files takes {own.text('ns')} from its own layer, "
            f"{all_of_it.text('ns')} by comparing everything.",
            arm,
            SCENARIO.name,
        )


def judge_build(analysis: Analysis) -> Iterator[Finding]:
    """C3: whether building and committing is faster with the changes in a layer of their own."""
    where = {"files": TYPICAL, "depth": analysis.depth(SCENARIO.name, DEPTH)}
    for arm in analysis.arms(SCENARIO.name):
        mine = analysis.cell(SCENARIO.name, arm, "layer", **where)
        vfs = analysis.cell(SCENARIO.name, arm.replace("overlay2@", "vfs@"), "layer", **where)
        if arm.startswith("overlay2@") and mine is not None and vfs is not None and mine.has_interval:
            faster = mine.high < vfs.low
            yield Finding(
                arm,
                Outcome.CONFIRMED if faster else Outcome.QUALIFIED,
                f"making a layer of {3 * CHANGES} changes in {TYPICAL:,} files took {mine.text('ns')}, where the whole "
                f"tree has to be compared (vfs) {vfs.text('ns')}",
            )


SCENARIO = Scenario(
    name="commit",
    question="What does turning a container's changes into a layer cost?",
    method=(
        f"In a fresh container on an image of 8 layers, {CHANGES} files are written to, {CHANGES} deleted and "
        f"{CHANGES} made, and a directory is removed and made again. Then the changes are found in the driver's way "
        "(`find`: from the container's layer where that tells, else by comparing the tree with that of a second, "
        "unchanged container) and written as a tar archive to nowhere (`export`); `layer` is both. `naive` finds them "
        "by comparing on every driver. Proven: the archive, applied to a plain copy of the image, gives the "
        "container's tree."
    ),
    order=5,
    weight=0.04,
    metrics=(
        Metric("layer", "finding the changes and writing the layer"),
        Metric("find", "finding the changes in the driver's way"),
        Metric("export", "writing them as an archive"),
        Metric("naive", "finding them by comparing whole trees"),
        Metric("engine", "the engine's own commit and export of the layer"),
    ),
    headline="layer",
    grids=grids,
    content=("files",),
    layer=layer,
    operate=operate,
    prove=prove,
    changes=True,
    engines=True,
    gated=False,  # it counts nothing that has an expectation
    working_bytes=lambda params: 2 * int(params["files"]) * FILE_BYTES + 100 * BLOCK,
    laws=(
        Law("find", "files", "finding the changes against files of the image", {}, per_name="file"),
        Law("naive", "files", "comparing everything against files of the image", {}, per_name="file"),
    ),
    answers=answers,
    claims={"C3": judge_build},
)
