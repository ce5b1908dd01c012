"""The first write to a file of the image: the cost of copy_up, and whether it copies.

A file is copied up once per container, so every timed file is new, and a unit is a new container. Opening for
writing triggers the copy (fs/overlayfs/copy_up.c), so it is timed separately from the following writes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from time import perf_counter_ns

from bench.drivers.base import copied_bytes
from bench.drivers.engine import EngineDriver
from bench.kernel.extents import extents
from bench.layers.content import BLOCK, Directory, File, Layer, read_equals
from bench.model import Cell, Param, format_size
from bench.scenario.clock import NULL
from bench.scenario.contract import Grid, Params, Point, Scenario, Unit
from bench.scenario.temperature import read_in
from scenarios.copy_up.reading import COLD, FILES, GIB, HOT, KIB, MIB, READING, SWEEP_DEPTH

PAYLOAD = bytes(range(256)) * 16  # one page, the smallest unit that the page cache writes back
DEPTHS, FEW = (1, 8, 16, 32, 64, 96, 125), (1, 32, 125)
EVERY_LAYER_MAX = 64 * KIB  # larger files are only in the bottom layer, or a stack would take gigabytes
SEVERAL_MAX = 2 * MIB  # a unit opens only one file that is larger
DIRECTORY = "data"  # contains all files
OPENER = f"{DIRECTORY}/opener"  # opened first: its copy_up includes that of the directory
WARMER = f"{DIRECTORY}/warmer"  # prefix of files that undergo the same operations without being recorded
OPENER_BYTES = 4096
# Maximum of bytes besides the file's data that one copy_up writes to the device: journal or log blocks of one small
# transaction. In results/example: 7 blocks per file on ext4 (median of a unit), up to 8 for a file of 16 MiB.
METADATA_BYTES = 16 * BLOCK
# The same for an fsync without data (fsync=strict): 22 blocks per file on btrfs, 8 on ext4, 1 on xfs.
LOG_BYTES = 32 * BLOCK


def grids(profile: str) -> Iterable[Grid]:
    """Sizes at one depth; depths at one size; positions at one size and depth."""
    subject = ("overlay2",)
    bottom: tuple[Param, ...] = ("bottom",)
    small = (0, 4 * KIB, 64 * KIB, MIB)
    if profile == "quick":
        yield Grid((SWEEP_DEPTH,), (HOT,), {"size": (0, 64 * KIB), "position": bottom}, drivers=subject)
        yield Grid((SWEEP_DEPTH,), (HOT,), {"size": (4 * KIB, MIB, 16 * MIB), "position": bottom})
        yield Grid((SWEEP_DEPTH,), (COLD,), {"size": (4 * KIB, MIB), "position": bottom}, drivers=subject)
        yield Grid((1, 32, 125), (HOT,), {"size": (4 * KIB,), "position": bottom}, drivers=subject)
        yield Grid((SWEEP_DEPTH,), (HOT,), {"size": (64 * KIB,), "position": ("top", "middle")}, drivers=subject)
        return
    yield Grid((SWEEP_DEPTH,), (HOT, COLD), {"size": small, "position": bottom})
    yield Grid((SWEEP_DEPTH,), (HOT,), {"size": (16 * MIB,), "position": bottom})
    yield Grid(DEPTHS, (HOT,), {"size": (4 * KIB,), "position": bottom}, drivers=subject)
    yield Grid(DEPTHS if profile == "full" else FEW, (HOT,), {"size": (4 * KIB,), "position": bottom})
    yield Grid((32,), (HOT,), {"size": (64 * KIB,), "position": ("top", "middle")})
    # For the chart; a unit takes as long as ten others.
    yield Grid((SWEEP_DEPTH,), (HOT,), {"size": (128 * MIB,), "position": bottom}, max_blocks=30)
    yield Grid((SWEEP_DEPTH,), (COLD,), {"size": (16 * MIB,), "position": bottom}, max_blocks=10)
    if profile == "full":
        yield Grid((SWEEP_DEPTH,), (HOT,), {"size": (GIB,), "position": bottom}, max_blocks=5, drivers=subject)
        yield Grid((250, 500), (HOT,), {"size": (4 * KIB,), "position": bottom}, drivers=subject)


def count_of(size: int) -> int:
    """Return the number of files of `size` in a layer."""
    return FILES if size <= SEVERAL_MAX else 1


def warmers(size: int) -> list[File]:
    """Return an untimed file for each timed one."""
    return [File(f"{WARMER}-{number}", size if size <= SEVERAL_MAX else 4 * KIB) for number in range(count_of(size))]


def working_bytes(params: Params) -> int:
    """Return the bytes of all files of a unit, including untimed ones."""
    size = int(params["size"])
    return count_of(size) * size + sum(file.size for file in warmers(size)) + MIB


def layer(index: int, params: Params) -> Layer:
    """Small files in every layer; large files and untimed files in the bottom layer."""
    size = int(params["size"])
    has_files = index == 0 or size <= EVERY_LAYER_MAX
    files = [File(f"{DIRECTORY}/{index}-{number}", size) for number in range(count_of(size))] if has_files else []
    untimed_files = [File(OPENER, OPENER_BYTES), *warmers(size)] if index == 0 else []
    return (Directory(DIRECTORY), *untimed_files, *files)


def index_of(cell: Cell) -> int:
    """Return the layer index of this cell's position."""
    return {"top": cell.depth - 1, "middle": cell.depth // 2, "bottom": 0}[str(cell.values["position"])]


def applies(cell: Cell, driver: object) -> str:
    """Every layer has small files, only the bottom layer has large ones."""
    large = int(cell.values["size"]) > EVERY_LAYER_MAX and index_of(cell) > 0
    return f"files above {format_size(EVERY_LAYER_MAX)} are in the bottom layer alone" if large else ""


def timed_files(unit: Unit) -> tuple[int, list[File]]:
    """Return the layer index of this cell's position, and its timed files."""
    index = index_of(unit.cell)
    files = [entry for entry in unit.layers[index] if isinstance(entry, File)]
    return index, [file for file in files if not file.path.startswith((OPENER, WARMER))]


def untimed(unit: Unit) -> list[File]:
    """Return the untimed files: one before the first timed file, in turns one before each.

    The effects of a call on the journal and on the processor's caches add to the cost of the next call. In a single
    unit that is its own call; in turns it would be the other unit's, so each would bear the other's cost: a first write
    of 1 MiB on xfs with `volatile`, which leaves its log to the fsyncs of others, then took 1.25 times as long as
    without (24 pairs, rows not kept). In results/trust it takes 0.84 times as long in turns, 0.82 times with units one
    after the other.
    """
    files = warmers(int(unit.params["size"]))
    return files if unit.in_turns else files[:1]


def before(unit: Unit) -> None:
    """The container's layer is empty."""
    if unit.container.upper is not None:
        unit.require_proof(not any(unit.container.upper.iterdir()), "upper is empty before")


def touch(unit: Unit) -> None:
    """Read every file, so that its pages and dentries are cached."""
    for file in (*timed_files(unit)[1], *untimed(unit)):
        read_in(unit.merged / file.path)
    os.stat(unit.merged / OPENER)


def operate(unit: Unit) -> Iterator[None]:
    """Open the first file; then for each other file: open, write a page, fsync, close, open and write again."""
    if isinstance(unit.driver, EngineDriver) and unit.container.upper is not None:  # known once the container runs
        unit.require_proof(DIRECTORY not in os.listdir(unit.container.upper), "upper has none of the files before")
    start = perf_counter_ns()
    os.close(os.open(unit.merged / OPENER, os.O_RDWR))
    unit.record("open_first", [perf_counter_ns() - start - NULL.clock])
    by_itself = unit.volume.recipe.writebacks(unit.volume.path)
    unit.volume.sync()  # waits for what the file system has already begun to write by itself
    unit.settle()
    yield
    files = timed_files(unit)[1]
    unit.random.shuffle(files)
    warm = untimed(unit)
    times: dict[str, list[int]] = {}
    written = flushes = 0
    for number, file in enumerate(files):
        # An untimed file first: otherwise sizes with one file per unit would have the times of the first calls after
        # the sync, and sizes with several files, by the median, those of later calls: a plain write took 18 µs to a
        # file of 16 MiB on xfs and 9 µs to one of 1 MiB; with an untimed file first 10.5 and 9.5 µs.
        for warmer in warm[number : number + 1]:
            _first_write(unit, warmer)
        times_of_file, (bytes_of_open, flushes_of_open) = _first_write(unit, file)
        for name, value in times_of_file.items():
            times.setdefault(name, []).append(value)
        written += bytes_of_open
        flushes += flushes_of_open
        yield
    for name, values in times.items():
        unit.record(name, values)
    if unit.volume.recipe.writebacks(unit.volume.path) == by_itself:
        unit.notes["device"] = (written, flushes)
    else:
        unit.saw("the file system wrote by itself meanwhile, so that the opens' bytes and flushes are not known")


def _first_write(unit: Unit, file: File) -> tuple[dict[str, int], tuple[int, int]]:
    """Run all operations on one file; return the nanoseconds of each call, and the bytes and flushes of the open."""
    path = os.fsencode(unit.merged / file.path)
    bytes_before, flushes_before = unit.written()
    start = perf_counter_ns()
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            _prove_nothing_left(unit, file)
        raise
    opened = perf_counter_ns() - start - NULL.clock
    bytes_after, flushes_after = unit.written()
    start = perf_counter_ns()
    os.pwrite(descriptor, PAYLOAD, 0)
    wrote = perf_counter_ns() - start - NULL.clock
    start = perf_counter_ns()
    os.fsync(descriptor)
    synced = perf_counter_ns() - start - NULL.clock
    os.close(descriptor)
    start = perf_counter_ns()
    descriptor = os.open(path, os.O_RDWR)
    os.pwrite(descriptor, PAYLOAD, 0)
    again = perf_counter_ns() - start - NULL.clock
    os.close(descriptor)
    times = {"open": opened, "write": wrote, "first_write": opened + wrote, "fsync": synced, "again": again}
    return times, (bytes_after - bytes_before, flushes_after - flushes_before)


def _prove_nothing_left(unit: Unit, file: File) -> None:
    """Prove that a copy_up without space changed nothing: ovl_copy_up_tmpfile links only complete files."""
    unit.require_proof(
        (unit.merged / file.path).stat().st_size == file.size, "without room the file has the image's size"
    )
    if unit.container.upper is not None:
        unit.require_proof(
            not (unit.container.upper / file.path).exists(), "without room upper has nothing of the file"
        )
        remaining = [path for path in (unit.container.path / "work").rglob("*") if not path.is_dir()]
        unit.require_proof(not remaining, "without room the work directory is empty")


def program(unit: Unit) -> tuple[str, ...]:
    """The first writes, as arguments of the C reference."""
    return ("first-write", str(len(PAYLOAD)), *(str(unit.merged / file.path) for file in timed_files(unit)[1]))


def prove(unit: Unit) -> None:
    """The page is written, the rest of the file and the image are unchanged, and open did what is expected."""
    index, files = timed_files(unit)
    size = int(unit.params["size"])
    allocated = shared = 0
    for file in files:
        with open(unit.merged / file.path, "rb", buffering=0) as merged:
            matches = read_equals(merged.fileno(), file, unit.seed, head=PAYLOAD)
        unit.require_proof(matches, "content is the page written and, after it, the image's bytes")
        original = unit.driver.layer_path(unit.container, index) / file.path
        with open(original, "rb", buffering=0) as lower:
            unit.require_proof(read_equals(lower.fileno(), file, unit.seed), "the image's file is unchanged")
        if unit.container.upper is not None:
            upper = unit.container.upper / file.path
            unit.require_proof(upper.exists(), "upper holds the file after")
            allocated += upper.stat().st_blocks * 512
            shared += extents(upper).shared
    count = len(files)
    if unit.container.upper is not None:
        whole = sum(max(-(-copied_bytes(file) // BLOCK) * BLOCK, BLOCK) for file in files)
        # xfs may keep blocks preallocated beyond the end of a growing file until its inode is reclaimed.
        unit.expect("allocated_bytes", allocated, whole, 2 * whole + count * 64 * KIB, why="every block has a place")
        unit.counters["shared_bytes"] = shared
    if unit.volume.written() is None or "device" not in unit.notes:
        return
    written, flushes = unit.notes["device"]
    facts = unit.driver.copy_up(unit.volume.recipe, size)
    if facts.flushes is not None:
        expected = count * facts.flushes
        extra = unit.volume.recipe.journal_flushes if expected else 0
        unit.expect("open_flushes", flushes, expected, expected + extra, why=facts.source)
    low = sum(facts.bytes(file) for file in files)
    high = low + count * METADATA_BYTES if low else count * LOG_BYTES if facts.flushes else 0
    if facts.data == "deferred":
        high = count * (size + METADATA_BYTES)  # the kernel may start writing back a large copy at any time
    unit.expect("open_bytes", written, low, high, why=facts.source)


SCENARIO = Scenario(
    reading=READING,
    weight=0.27,
    grids=grids,
    content=("size",),
    layer=layer,
    applies=applies,
    changes=True,
    before=before,
    touch=touch,
    operate=operate,
    prove=prove,
    working_bytes=working_bytes,
    engines=True,
    compared=Point("first_write", SWEEP_DEPTH, HOT, {"size": 4 * KIB, "position": "bottom"}),
    program=program,
)
