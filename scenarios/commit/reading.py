"""What finding and exporting a container's changes costs, from its own layer and by comparing trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Arm
from bench.reading.claims import Answer, Finding, Outcome
from bench.reading.contract import Reading
from bench.reading.laws import Law, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

DEPTH = 8
CHANGES = 16  # files written to; as many are deleted and made, and one directory is removed and made again
TYPICAL = 2000  # files of the sentence at the head of the page
OWN, COMPARED = "from the container's own layer", "by comparing trees"  # in a row's `how`, under `changes`


def answers(analysis: Analysis) -> Iterator[Answer]:
    """What a step of a build pays to find what changed."""
    where = {"files": TYPICAL, "depth": analysis.depth(READING.name, DEPTH)}
    for arm in analysis.arms(READING.name):
        own, all_of_it = (analysis.cell(READING.name, arm, metric, **where) for metric in ("find", "naive"))
        if own is None or all_of_it is None or arm.driver != "overlay2":
            continue
        units = analysis.units(READING.name)
        if any(how.get("changes") == COMPARED for how in units.loc[units["arm"] == str(arm), "how"].unique()):
            continue  # an option of this arm lets the layer leave out what changed: both figures are of comparing
        yield Answer(
            f"Finding what a container changed of {TYPICAL:,} files takes {own.text('ns')} from its own layer, "
            f"{all_of_it.text('ns')} by comparing everything.",
            arm,
            READING.name,
        )


def judge_build(analysis: Analysis) -> Iterator[Finding]:
    """C3: whether building and committing is faster with the changes in a layer of their own."""
    where = {"files": TYPICAL, "depth": analysis.depth(READING.name, DEPTH)}
    for arm in analysis.arms(READING.name):
        mine = analysis.cell(READING.name, arm, "layer", **where)
        vfs = analysis.cell(READING.name, Arm("vfs", arm.volume), "layer", **where)
        if arm.stack == "overlay2" and mine is not None and vfs is not None and mine.has_interval:
            faster = mine.high < vfs.low
            yield Finding(
                str(arm),
                Outcome.CONFIRMED if faster else Outcome.QUALIFIED,
                f"making a layer of {3 * CHANGES} changes in {TYPICAL:,} files took {mine.text('ns')}, where the whole "
                f"tree has to be compared (vfs) {vfs.text('ns')}",
            )


READING = Reading(
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
    metrics=(
        Metric("layer", "finding the changes and writing the layer"),
        Metric("find", "finding the changes in the driver's way"),
        Metric("export", "writing them as an archive"),
        Metric("naive", "finding them by comparing whole trees"),
        Metric("engine", "the engine's own commit and export of the layer"),
    ),
    judged_metric="layer",
    laws=(
        Law("find", "files", "finding the changes against files of the image", {}, per_name="file"),
        Law("naive", "files", "comparing everything against files of the image", {}, per_name="file"),
    ),
    answers=answers,
    claims={"C3": judge_build},
)
