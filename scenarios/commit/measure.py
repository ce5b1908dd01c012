"""Making a layer of a container's changes: the cost of each step of `docker build` and of `docker commit`.

If the container's layer contains the changes, finding them takes time linear in their number; else the whole tree is
compared with the image's (moby: overlay2's Diff and the naive differ).
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from bench.drivers.engine import EngineDriver
from bench.engines.images import PROGRAM
from bench.kernel import mounts
from bench.layers.archive import export
from bench.layers.changes import Change, naive
from bench.layers.content import BLOCK, Directory, File, Layer
from bench.layers.materialise import materialise
from bench.layers.tree import flatten
from bench.layers.unpack import apply
from bench.model import Temperature
from bench.oracle.replay import tree
from bench.scenario.clock import once
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.commit.reading import CHANGES, COMPARED, DEPTH, OWN, READING, TYPICAL

FILE_BYTES = 4096
APPLIED = "the exported layer, applied to the image, gives the container's tree"
APPLIED_OWN = "the layer that the engine made, applied to the image, gives the container's tree"
# Names at the root of an engine's container that are not of the image: the program, and mount points.
RUNTIME = (PROGRAM, ".dockerenv", "dev", "etc", "proc", "run", "sys")


def grids(profile: str) -> Iterable[Grid]:
    """Numbers of files in the image; the changes are the same."""
    if profile == "quick":  # a unit takes a second and is timed for a twentieth of it
        return
    counts = (500, TYPICAL, 4000) if profile == "standard" else (500, TYPICAL, 8000, 32_000)
    # A block of all drivers and engines took six minutes, so a standard run has the laws of overlay2 and no engine.
    wide = profile == "full"
    yield Grid(
        (DEPTH,),
        (Temperature.NEW,),
        {"files": counts},
        drivers=None if wide else ("overlay2",),
        costly=wide,
        max_blocks=12 if wide else None,
    )
    yield Grid((DEPTH,), (Temperature.NEW,), {"files": (TYPICAL,)}, costly=True, engines=wide, max_blocks=4)


def layer(index: int, params: Params) -> Layer:
    """An eighth of the files, in directories of a hundred."""
    count = int(params["files"]) // DEPTH
    directories = [Directory(f"{index}-{number}") for number in range(-(-count // 100))]
    files = [File(f"{index}-{number // 100}/{number}", FILE_BYTES) for number in range(count)]
    return (*directories, *files)


def change(unit: Unit) -> None:
    """Write to files of the bottom layer, delete others, create new ones, and remove and re-create a directory."""
    directory = unit.merged / "0-0"
    for number in range(CHANGES):
        with (directory / str(number)).open("ab") as file:
            file.write(b"more")
        (directory / str(CHANGES + number)).unlink()
        (directory / f"new-{number}").write_bytes(b"new")
    recreated = unit.merged / f"{unit.depth - 1}-0"
    shutil.rmtree(recreated)
    recreated.mkdir()
    (recreated / "only").write_bytes(b"only")


class _Sink(io.RawIOBase):
    """A file object that discards the archive, so that no disk is measured."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return len(memoryview(data))  # type: ignore[arg-type]


def find_changes(unit: Unit, before: Path) -> list[Change]:
    """Find the changes by the driver's own method."""
    changes = unit.driver.changes(unit.container)
    return list(naive(before, unit.merged) if changes is None else changes)


def operate(unit: Unit) -> None:
    """Find the changes by the driver's own method and export them; then find them by comparing the trees."""
    change(unit)
    unit.volume.sync()
    if isinstance(unit.driver, EngineDriver):
        target = unit.volume.path / "committed.tar"
        nanoseconds, _ = once(unit.driver.commit, unit.container, target)
        unit.record("engine", [nanoseconds])
        unit.notes["committed"] = target
        return
    spare = unit.driver.create_read_write(unit.container.stack, unit.depth)
    try:
        with unit.driver.mount(spare) as before:
            unit.settle()
            nanoseconds, changes = once(find_changes, unit, before)
            unit.record("find", [nanoseconds])
            nanoseconds, holes = once(export, changes, unit.merged, _Sink())
            unit.record("export", [nanoseconds])
            nanoseconds, compared = once(lambda: list(naive(before, unit.merged)))
            unit.record("naive", [nanoseconds])
            unit.notes["changes"] = tuple(changes), tuple(compared)
            unit.container.how["changes"] = COMPARED if unit.driver.changes(unit.container) is None else OWN
            unit.counters["archive_hole_bytes"] = holes
    finally:
        unit.driver.remove(spare)
    unit.metrics["layer"] = unit.metrics["find"] + unit.metrics["export"]


def prove(unit: Unit) -> None:
    """With both methods the layer, applied to a plain copy of the image, gives the container's tree.

    Where both found the same changes in the same order, they make one layer, which is applied once.
    """
    shown = _tree(unit.merged)
    if "committed" in unit.notes:
        with unit.notes["committed"].open("rb") as own:
            _prove(unit, shown, own, APPLIED_OWN)
        unit.counters["archive_bytes"] = unit.notes["committed"].stat().st_size
        unit.notes["committed"].unlink()
        return
    for changes in dict.fromkeys(unit.notes["changes"]):
        archive = io.BytesIO()
        export(changes, unit.merged, archive)
        archive.seek(0)
        _prove(unit, shown, archive, APPLIED)
    unit.counters["changes"] = len(unit.notes["changes"][0])
    unit.counters["archive_bytes"] = archive.tell()


def _prove(unit: Unit, shown: Mapping[str, object], archive: IO[bytes], proof: str) -> None:
    """Apply a layer to a plain copy of the image, in memory, and compare it with what the container shows."""
    plain = unit.volume.path / "applied"
    plain.mkdir(exist_ok=True)
    mounts.mount("tmpfs", plain, "tmpfs", options="mode=0755")
    try:
        materialise(flatten(unit.layers), plain, unit.seed)
        apply(archive, plain)
        unit.require_proof(_tree(plain) == shown, proof)
    finally:
        mounts.unmount(plain)
    plain.rmdir()


def _tree(path: Path) -> dict[str, object]:
    """Return the tree below a path without what an engine puts into a container's root."""
    return {name: entry for name, entry in tree(path, links=False).items() if name.partition("/")[0] not in RUNTIME}


SCENARIO = Scenario(
    reading=READING,
    weight=0.04,
    grids=grids,
    content=("files",),
    layer=layer,
    operate=operate,
    prove=prove,
    changes=True,
    engines=True,
    gated=False,  # no counter has an expectation
    working_bytes=lambda params: 2 * int(params["files"]) * FILE_BYTES + 100 * BLOCK,
)
