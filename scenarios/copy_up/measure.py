"""The first write to a file of the image: what copy_up costs, and whether it copies.

A file can be copied up once per container, so every timed file is a fresh one, and a unit is a fresh
container. open-for-write triggers the copy (fs/overlayfs/copy_up.c), so it is timed apart from the
writes that follow it.
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
from bench.scenario.contract import Grid, Params, Point, Scenario, Unit
from bench.scenario.temperature import read_in
from scenarios.copy_up.reading import COLD, FILES, GIB, HOT, KIB, MIB, READING, SWEEP_DEPTH

PAYLOAD = bytes(range(256)) * 16  # one page; the smallest change that a page cache writes
EVERY_LAYER_MAX = 64 * KIB  # larger files are in the bottom layer alone, or a stack would take gigabytes
SEVERAL_MAX = 2 * MIB  # of larger files a unit opens one
DIRECTORY = "data"  # that all files are in
OPENER = f"{DIRECTORY}/opener"  # opened first: its copy_up brings the directory up, once for all
WARMER = f"{DIRECTORY}/warmer"  # with a number: all is done with it, but nothing recorded
OPENER_BYTES = 4096
# Bytes beyond the file's own that one copy_up may bring to the device: journal or log blocks of one small
# transaction. In results/example: 7.3 blocks a file on ext4 (of a unit's median), 8 for one of 16 MiB.
METADATA_BYTES = 16 * BLOCK
# The same for an fsync that brings no data (fsync=strict): 22 blocks a file on btrfs, 8 on ext4, 1 on xfs.
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
    yield Grid((1, 8, 16, 32, 64, 96, 125), (HOT,), {"size": (4 * KIB,), "position": bottom})
    yield Grid((32,), (HOT,), {"size": (64 * KIB,), "position": ("top", "middle")})
    yield Grid(
        (SWEEP_DEPTH,), (HOT,), {"size": (128 * MIB,), "position": bottom}, max_blocks=12
    )  # decides what is flat
    yield Grid((SWEEP_DEPTH,), (COLD,), {"size": (16 * MIB,), "position": bottom}, max_blocks=10)
    if profile == "full":
        yield Grid((SWEEP_DEPTH,), (HOT,), {"size": (GIB,), "position": bottom}, max_blocks=5, drivers=subject)
        yield Grid((250, 500), (HOT,), {"size": (4 * KIB,), "position": bottom}, drivers=subject)


def count_of(size: int) -> int:
    """Return how many files of `size` a layer holds."""
    return FILES if size <= SEVERAL_MAX else 1


def warmers(size: int) -> list[File]:
    """Return a file for each of those that are timed, to do the same with before it."""
    return [File(f"{WARMER}-{number}", size if size <= SEVERAL_MAX else 4 * KIB) for number in range(count_of(size))]


def working_bytes(params: Params) -> int:
    """Return what all files of a unit take, the untimed ones too."""
    size = int(params["size"])
    return count_of(size) * size + sum(file.size for file in warmers(size)) + MIB


def layer(index: int, params: Params) -> Layer:
    """Small files in every layer, large ones in the bottom layer; there also those that are not timed."""
    size = int(params["size"])
    held = index == 0 or size <= EVERY_LAYER_MAX
    files = [File(f"{DIRECTORY}/{index}-{number}", size) for number in range(count_of(size))] if held else []
    others = [File(OPENER, OPENER_BYTES), *warmers(size)] if index == 0 else []
    return (Directory(DIRECTORY), *others, *files)


def index_of(cell: Cell) -> int:
    """Return the layer that this cell's position names."""
    return {"top": cell.depth - 1, "middle": cell.depth // 2, "bottom": 0}[str(cell.values["position"])]


def applies(cell: Cell, driver: object) -> str:
    """Every layer holds small files, only the bottom one large ones."""
    large = int(cell.values["size"]) > EVERY_LAYER_MAX and index_of(cell) > 0
    return f"files above {format_size(EVERY_LAYER_MAX)} are in the bottom layer alone" if large else ""


def held(unit: Unit) -> tuple[int, list[File]]:
    """Return the layer that this cell's position names, and its files."""
    index = index_of(unit.cell)
    files = [entry for entry in unit.layers[index] if isinstance(entry, File)]
    return index, [file for file in files if not file.path.startswith((OPENER, WARMER))]


def untimed(unit: Unit) -> list[File]:
    """Return the files that all is done with but nothing recorded: one before the first, in turns one before each.

    What a call leaves in the journal and in the processor's caches is paid for by the next one. Alone that is the
    unit's own; in turns it were the other unit's, and each would pay for what the other one costs: a first write of
    1 MiB on xfs then took `volatile`, which leaves its log to others' fsyncs, 1.25 times as long as without (24 pairs,
    no rows kept). In results/trust it takes 0.67 times as long in turns, 0.60 times with units one after the other.
    """
    files = warmers(int(unit.params["size"]))
    return files if unit.in_turns else files[:1]


def before(unit: Unit) -> None:
    """The container's layer is empty."""
    if unit.container.upper is not None:
        unit.require_proof(not any(unit.container.upper.iterdir()), "upper is empty before")


def touch(unit: Unit) -> None:
    """Read every file in, so that its pages and dentries are in memory."""
    for file in (*held(unit)[1], *untimed(unit)):
        read_in(unit.merged / file.path)
    os.stat(unit.merged / OPENER)


def operate(unit: Unit) -> Iterator[None]:
    """Open the first file; then, for each other: open, write a page, fsync, close, open and write again."""
    if isinstance(unit.driver, EngineDriver) and unit.container.upper is not None:  # known once the container runs
        unit.require_proof(DIRECTORY not in os.listdir(unit.container.upper), "upper has none of the files before")
    start = perf_counter_ns()
    os.close(os.open(unit.merged / OPENER, os.O_RDWR))
    unit.record("open_first", [perf_counter_ns() - start])
    unit.volume.sync()
    unit.settle()
    yield
    files = held(unit)[1]
    unit.random.shuffle(files)
    others = untimed(unit)
    times: dict[str, list[int]] = {}
    written = flushes = 0
    for number, file in enumerate(files):
        # All of it with another one before: sizes with one file a unit would else be told by the first calls after the
        # sync, and those with several, by their median, by later ones: a plain write took 18 us in one of 16 MiB on
        # xfs, 9 in one of 1 MiB; so it takes 10.5 and 9.5.
        for other in others[number : number + 1]:
            _first_write(unit, other)
        took, (more_written, more_flushes) = _first_write(unit, file)
        for name, value in took.items():
            times.setdefault(name, []).append(value)
        written += more_written
        flushes += more_flushes
        yield
    for name, values in times.items():
        unit.record(name, values)
    unit.notes["device"] = (written, flushes)


def _first_write(unit: Unit, file: File) -> tuple[dict[str, int], tuple[int, int]]:
    """Do all with one file; return each call's nanoseconds, and the bytes and flushes that the open brought."""
    path = os.fsencode(unit.merged / file.path)
    bytes_before, flushes_before = unit.written()
    start = perf_counter_ns()
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            _prove_nothing_left(unit, file)
        raise
    opened = perf_counter_ns() - start
    bytes_after, flushes_after = unit.written()
    start = perf_counter_ns()
    os.pwrite(descriptor, PAYLOAD, 0)
    wrote = perf_counter_ns() - start
    start = perf_counter_ns()
    os.fsync(descriptor)
    synced = perf_counter_ns() - start
    os.close(descriptor)
    start = perf_counter_ns()
    descriptor = os.open(path, os.O_RDWR)
    os.pwrite(descriptor, PAYLOAD, 0)
    again = perf_counter_ns() - start
    os.close(descriptor)
    times = {"open": opened, "write": wrote, "first_write": opened + wrote, "fsync": synced, "again": again}
    return times, (bytes_after - bytes_before, flushes_after - flushes_before)


def _prove_nothing_left(unit: Unit, file: File) -> None:
    """Show that a copy_up without room changed nothing: ovl_copy_up_tmpfile links only what is whole."""
    unit.require_proof(
        (unit.merged / file.path).stat().st_size == file.size, "without room the file has the image's size"
    )
    if unit.container.upper is not None:
        unit.require_proof(
            not (unit.container.upper / file.path).exists(), "without room upper has nothing of the file"
        )
        left = [path for path in (unit.container.path / "work").rglob("*") if not path.is_dir()]
        unit.require_proof(not left, "without room the work directory is empty")


def program(unit: Unit) -> tuple[str, ...]:
    """The first writes, as arguments of the C reference."""
    return ("first-write", str(len(PAYLOAD)), *(str(unit.merged / file.path) for file in held(unit)[1]))


def prove(unit: Unit) -> None:
    """The write landed, the rest of the file is as it was, the image did not change, and what open did."""
    index, files = held(unit)
    size = int(unit.params["size"])
    allocated = shared = 0
    for file in files:
        with open(unit.merged / file.path, "rb", buffering=0) as merged:
            same = read_equals(merged.fileno(), file, unit.seed, head=PAYLOAD)
        unit.require_proof(same, "content is the page written and, after it, the image's bytes")
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
        # xfs may keep blocks that it allocated ahead of the end of a growing file until it is reclaimed.
        unit.expect("allocated_bytes", allocated, whole, 2 * whole + count * 64 * KIB, why="every block has a place")
        unit.counters["shared_bytes"] = shared
    if unit.volume.written() is None:
        return
    written, flushes = unit.notes["device"]
    facts = unit.driver.copy_up(unit.volume.recipe, size)
    if facts.flushes is not None:
        expected = count * facts.flushes
        more = unit.volume.recipe.journal_flushes if expected else 0
        unit.expect("open_flushes", flushes, expected, expected + more, why=facts.source)
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
