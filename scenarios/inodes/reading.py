"""The inodes and bytes that a typical image takes with each driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import NATIVE, Arm, format_size
from bench.reading.claims import Answer, Finding, Outcome
from bench.reading.contract import Reading
from bench.reading.headlines import Count, Headline
from bench.reading.laws import Law, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

DIRECTORIES = 1000  # of a small distribution's image, for the finding on the legacy driver
TYPICAL = (8, 100)  # layers and files per layer of the image in the answers
TYPICAL_CELL = {"depth": TYPICAL[0], "files": TYPICAL[1]}


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the inodes and bytes of a typical image."""
    depth, files = TYPICAL
    conditions = {"depth": depth, "files": files}
    for arm in analysis.arms("inodes"):
        inodes = analysis.counter("inodes", arm, "inodes", **conditions)
        size = analysis.counter("inodes", arm, "bytes", **conditions)
        if inodes is None or size is None or arm.driver == NATIVE:
            continue
        exact = "as its formula says" if inodes["matching"] == inodes["units"] else "not as its formula says"
        yield Answer(
            f"{depth} layers of {files} files take {inodes['median']:,.0f} inodes ({exact}) and "
            f"{format_size(size['median'])}.",
            arm,
            "inodes",
        )


def judge_inodes(analysis: Analysis) -> Iterator[Finding]:
    """C3: inodes and time to write the layers, of overlay2 against the legacy overlay driver."""
    unit = analysis.time_unit
    depth, files = TYPICAL
    conditions = {"depth": depth, "files": files}
    for arm in analysis.arms("inodes"):
        own = analysis.counter("inodes", arm, "inodes", **conditions)
        if arm.stack != "overlay2" or own is None:
            continue
        legacy, vfs = (
            analysis.counter("inodes", Arm(driver, arm.volume), "inodes", **conditions) for driver in ("overlay", "vfs")
        )
        text = f"{own['median']:,.0f} inodes for {depth} layers of {files} files"
        extra = f", vfs {vfs['median']:,.0f}" if vfs is not None else ""
        if legacy is None:
            if extra:
                yield Finding(str(arm), Outcome.QUALIFIED, f"{text}{extra}; the legacy overlay driver was not measured")
            continue
        a, b = (analysis.cell("inodes", name, "build", **conditions) for name in (arm, Arm("overlay", arm.volume)))
        times = f"; writing them took {a.text(unit)} and {b.text(unit)}" if a and b else ""
        yield Finding(
            str(arm),
            Outcome.CONFIRMED if own["median"] < legacy["median"] else Outcome.QUALIFIED,
            f"{text}, the legacy overlay driver {legacy['median']:,.0f}{extra}{times}. Of a directory of the image "
            "the legacy driver has one in every layer, overlay2 only where a layer holds it: with "
            f"{DIRECTORIES:,} directories in the bottom layer their formulas give {own['median'] + DIRECTORIES:,.0f} "
            f"and {legacy['median'] + DIRECTORIES * depth:,.0f}",
        )


READING = Reading(
    name="inodes",
    question="How many inodes and bytes do N layers of M files take?",
    method=(
        "Each unit builds a whole stack in a fresh directory: layers of one directory and M files of 4 KiB, no two "
        "layers sharing a name. Inodes and bytes are the difference of statfs before and after, each after a sync, "
        "on a volume where nothing else happens. `build` is the time to write it, without the sync."
    ),
    order=3,
    metrics=(Metric("build", "writing all layers"),),
    judged_metric="build",
    headlines=(
        Headline("inodes_layer", "inodes, a layer of 100 files", "1", Count("inodes", TYPICAL_CELL, TYPICAL[0])),
    ),
    laws=(Law("build", "depth", "writing N layers of 100 files", {"files": 100}, per_name="layer"),),
    answers=answers,
    claims={"C3": judge_inodes},
)
