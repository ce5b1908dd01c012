"""The cost of finding and exporting a container's changes, from its own layer and by comparing trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Arm
from bench.reading.claims import Answer, Finding, Outcome
from bench.reading.contract import Reading
from bench.reading.headlines import Headline, Time
from bench.reading.laws import Law, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

DEPTH = 8
CHANGES = 16  # files written to; as many are deleted and made, and one directory is removed and made again
TYPICAL = 2000  # files of the image in the answers
OWN, COMPARED = "from the container's own layer", "by comparing trees"  # values of `changes` in a row's `how`


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the cost of finding the changes in a step of a build."""
    unit = analysis.time_unit
    conditions = {"files": TYPICAL, "depth": analysis.depth(READING.name, DEPTH)}
    for arm in analysis.arms(READING.name):
        find, naive = (analysis.cell(READING.name, arm, metric, **conditions) for metric in ("find", "naive"))
        if find is None or naive is None or arm.driver != "overlay2":
            continue
        units = analysis.units(READING.name)
        if any(how.get("changes") == COMPARED for how in units.loc[units["arm"] == str(arm), "how"].unique()):
            continue  # with an option of this arm the layer does not tell the changes: both figures are of comparing
        yield Answer(
            f"Finding what a container changed of {TYPICAL:,} files takes {find.text(unit)} from its own layer, "
            f"{naive.text(unit)} by comparing everything.",
            arm,
            READING.name,
        )


def judge_build(analysis: Analysis) -> Iterator[Finding]:
    """C3: whether building and committing is faster if the changes are in a layer of their own."""
    unit = analysis.time_unit
    conditions = {"files": TYPICAL, "depth": analysis.depth(READING.name, DEPTH)}
    for arm in analysis.arms(READING.name):
        own = analysis.cell(READING.name, arm, "layer", **conditions)
        vfs = analysis.cell(READING.name, Arm("vfs", arm.volume), "layer", **conditions)
        if arm.stack == "overlay2" and own is not None and vfs is not None and own.has_interval:
            faster = own.high < vfs.low
            yield Finding(
                str(arm),
                Outcome.CONFIRMED if faster else Outcome.QUALIFIED,
                f"making a layer of {3 * CHANGES} changes in {TYPICAL:,} files took {own.text(unit)}, where the whole "
                f"tree has to be compared (vfs) {vfs.text(unit)}",
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
    headlines=(Headline("commit", "turning changes into a layer", "ns", Time("layer", {"files": TYPICAL})),),
    laws=(
        Law("find", "files", "finding the changes against files of the image", {}, per_name="file"),
        Law("naive", "files", "comparing everything against files of the image", {}, per_name="file"),
    ),
    answers=answers,
    claims={"C3": judge_build},
)
