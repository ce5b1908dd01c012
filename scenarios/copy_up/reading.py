"""The cost of a first write, by size and by depth, and whether it copies the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import NATIVE, Param, Temperature, format_size
from bench.reading.claims import Answer, Finding, Outcome
from bench.reading.contract import Reading
from bench.reading.headlines import Glance, Headline, Time, TimesNative
from bench.reading.laws import Law, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
COPIED = (4 * KIB, 64 * KIB, MIB, 16 * MIB, 128 * MIB, GIB)
FILES = 6  # files of one size in a layer; the unit's observation is their median
SWEEP_DEPTH = 8
HOT, COLD = Temperature.HOT, Temperature.COLD
SMALL_FILE: dict[str, Param] = {
    "temperature": HOT.value,
    "depth": SWEEP_DEPTH,
    "size": 4 * KIB,
    "position": "bottom",
}
# All profiles measure it. A slope would not do: where files are cloned it is nearly nothing, and had ±49 to 71 % of
# itself in five quick runs on xfs.
LARGE_FILE = SMALL_FILE | {"size": 16 * MIB}


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the cost of a first write on each file system."""
    unit = analysis.time_unit
    depth = analysis.depth("copy_up", SWEEP_DEPTH)
    for arm in analysis.arms("copy_up"):
        law = analysis.law("copy_up", "first_write", "size", arm, temperature=HOT.value)
        if law is None or arm.driver == NATIVE:
            continue
        conditions = {"depth": depth, "temperature": HOT.value, "size": 4 * KIB, "position": "bottom"}
        ratio = analysis.ratio("copy_up", arm, "first_write", **conditions)
        times = f", {ratio.text('×')} a plain write at 4 KiB" if ratio else ""
        if law.line.shape in {"flat", "undecided"}:
            cell = analysis.cell("copy_up", arm, "first_write", **conditions)
            cost = cell.text(unit) if cell else law.line.intercept.text(unit)
            largest = format_size(int(law.line.x_high))
            flat = law.line.shape == "flat"
            size_text = f"for a file of up to {largest}" if flat else "for 4 KiB; its growth is undecided"
            text = f"A first write costs {cost} {size_text}{times}."
        else:
            per_mib = law.line.slope.scaled(MIB)
            text = f"A first write costs {law.line.intercept.text(unit)} + {per_mib.text(unit)} per MiB{times}."
        yield Answer(text, arm, "copy_up")


def judge_whole_file(analysis: Analysis) -> Iterator[Finding]:
    """C6: the whole file is copied if no extent is shared; the claim is refuted if the file is cloned."""
    unit = analysis.time_unit
    depth = analysis.depth("copy_up", SWEEP_DEPTH)
    for arm in analysis.arms("copy_up"):
        if arm.driver != "overlay2":
            continue
        conditions = {"depth": depth, "temperature": HOT.value, "size": MIB, "position": "bottom"}
        written = analysis.counter("copy_up", arm, "open_bytes", **conditions)
        shared = analysis.counter("copy_up", arm, "shared_bytes", **conditions)
        opened = analysis.cell("copy_up", arm, "open", **conditions)
        write = analysis.cell("copy_up", arm, "write", **conditions)
        again = analysis.cell("copy_up", arm, "again", **conditions)
        if shared is None or opened is None or write is None or again is None:
            continue
        figures = (
            f"opening a 1 MiB file for writing took {opened.text(unit)}, the first 4 KiB write {write.text(unit)}, "
            f"opening and writing it again {again.text(unit)}"
        )
        device = f"{format_size(written['median'] / FILES)} reached the device per file" if written else ""
        if shared["median"] > 0:
            yield Finding(
                str(arm),
                Outcome.REFUTED,
                f"the file is cloned, not copied: {format_size(shared['median'] / FILES)} of its 1 MiB still share "
                f"the image's blocks after a 4 KiB write, {device} at open; {figures}",
            )
        else:
            yield Finding(
                str(arm), Outcome.CONFIRMED, f"no block is shared with the image, {device} at open; {figures}".strip()
            )


def judge_immutable(analysis: Analysis) -> Iterator[Finding]:
    """C9: the file of the image, read back after every unit, is unchanged."""
    units = analysis.units("copy_up")
    valid = units[units["error"] == ""]
    changed = units["error"].str.contains("image's file is unchanged", regex=False).sum()
    if len(valid):
        outcome = Outcome.REFUTED if changed else Outcome.CONFIRMED
        yield Finding("all arms", outcome, f"the image's file was unchanged after {len(valid)} of {len(units)} units")


READING = Reading(
    name="copy_up",
    question="What does the first write to a file of the image cost, and does it copy the whole file?",
    method=(
        "Each unit is a fresh container. One file is opened for writing first, timed apart, because it also brings its "
        "directory to upper, and the volume is synced. Then each file is opened for writing once (that is what "
        "triggers the copy), one page is written, fsynced, and the file is opened and written again; the same is done "
        "untimed with another file before the first one and, where two units take turns, before each. "
        f"{FILES} files of a size give one observation, their median (one file above 2 MiB). Bytes and "
        "flushes are read from the loop device before and after the open; blocks and shared extents from the copy in "
        "upper."
    ),
    order=2,
    metrics=(
        Metric("first_write", "open for writing + first write of 4 KiB"),
        Metric("open", "open for writing"),
        Metric("write", "first write of 4 KiB"),
        Metric("fsync", "fsync after it"),
        Metric("again", "second open + write"),
        Metric("open_first", "opening the first file of a directory, which copies the directory up too"),
    ),
    judged_metric="first_write",
    headlines=(
        Headline("first_write_4k", "first write, 4 KiB file", "ns", Time("first_write", SMALL_FILE)),
        Headline(
            "first_write_times_native", "first write, 4 KiB, times native", "×", TimesNative("first_write", SMALL_FILE)
        ),
        Headline("first_write_16m", "first write, 16 MiB file", "ns", Time("first_write", LARGE_FILE)),
    ),
    glance=Glance("a first write against the file's size", "first_write", "size", "volume"),
    costs=(
        Headline("first_write_4k", "first write, 4 KiB", "×", TimesNative("first_write", SMALL_FILE)),
        Headline("first_write_1m", "first write, 1 MiB", "×", TimesNative("first_write", SMALL_FILE | {"size": MIB})),
    ),
    laws=(
        Law(
            "first_write",
            "size",
            "first write against file size, pages in memory",
            # Without the empty file, which needs no copy and no fsync and so is not on this line.
            {"temperature": HOT.value, "depth": SWEEP_DEPTH, "position": "bottom", "size": COPIED},
            per=MIB,
            per_name="MiB",
            # The fsync of a copy of 128 MiB waits for the disk now and then: 60, 244 and 248 ms in one run on ext4.
            up_to=16 * MIB,
        ),
        Law(
            "first_write",
            "depth",
            "first write of a 4 KiB file against depth",
            {"temperature": HOT.value, "size": 4 * KIB, "position": "bottom"},
            per_name="layer",
        ),
    ),
    answers=answers,
    claims={"C6": judge_whole_file, "C9": judge_immutable},
)
