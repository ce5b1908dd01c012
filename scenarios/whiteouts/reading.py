"""The cost of a deletion in time, inodes and bytes, and the marks that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Param, format_size
from bench.reading.claims import Answer, Finding, Outcome
from bench.reading.contract import Reading
from bench.reading.headlines import Glance, Headline, Slope, Time, TimesNative
from bench.reading.laws import Law, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

DEPTH = 3
AT = {"depth": DEPTH}
# A listing grows faster than the deletions: for each of 5,000 it takes 1.23 times as long as for each of 1,000 on ext4,
# 1.33 times on xfs (a standard run, 54 units each), so that a line through all counts depends on the profile's largest.
UP_TO = 1000

SPOKEN_OF = ("overlay2", "fuse-overlayfs")  # drivers in the answers; the tables have all
MANY: dict[str, Param] = {"depth": DEPTH, "deletions": 1000}  # the cell of the headline figures


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the cost of a deleted file."""
    unit = analysis.time_unit
    depth = analysis.depth("whiteouts", DEPTH)
    for arm in analysis.arms("whiteouts"):
        if arm.driver not in SPOKEN_OF:
            continue
        inodes = analysis.counter("whiteouts", arm, "inodes", deletions=1000, depth=depth)
        size = analysis.counter("whiteouts", arm, "bytes", deletions=1000, depth=depth)
        unlink = analysis.cell("whiteouts", arm, "unlink", deletions=1000, depth=depth)
        law = analysis.law("whiteouts", "list", "deletions", arm)
        if inodes is None or size is None or unlink is None:
            continue
        listing = ""
        if law is not None and law.line.shape == "grows":
            listing = (
                f"; up to {UP_TO:,}, every later listing of the directory pays {law.line.slope.text(unit)} for each"
            )
        yield Answer(
            f"A deleted file costs {unlink.text(unit)} (its deletion) and frees nothing: 1,000 deletions add "
            f"{inodes['median']:,.0f} inodes and {format_size(size['median'])}{listing}.",
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
                str(arm),
                Outcome.CONFIRMED,
                f"1,000 deletions left 1,000 whiteouts in {inodes['median']:,.0f} inodes of upper; "
                "the image still holds every file",
            )


def judge_opaque(analysis: Analysis) -> Iterator[Finding]:
    """C8: the mark in upper after rmdir, and after the directory is made again."""
    depth = analysis.depth("whiteouts", DEPTH)
    for arm in analysis.arms("whiteouts"):
        removed = analysis.counter("whiteouts", arm, "rmdir_opaque", deletions=1000, depth=depth)
        whiteout = analysis.counter("whiteouts", arm, "rmdir_whiteout", deletions=1000, depth=depth)
        recreated = analysis.counter("whiteouts", arm, "recreated_opaque", deletions=1000, depth=depth)
        if removed is None or whiteout is None or recreated is None:
            continue
        confirmed = removed["minimum"] == 1
        yield Finding(
            str(arm),
            Outcome.CONFIRMED if confirmed else Outcome.REFUTED,
            f"after rmdir upper held {'an opaque directory' if confirmed else 'a whiteout'} in {whiteout['units']} of "
            f"{whiteout['units']} units; made again, the directory was opaque in {recreated['matching']}",
        )


READING = Reading(
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
    metrics=(
        Metric("unlink", "deleting a file"),
        Metric("unlink_first", "first deletion in a directory"),
        Metric("list", "listing the emptied directory"),
        Metric("list_restarted", "listing it first thing after a restart of the container"),
        Metric("rmdir", "removing a directory of the image"),
        Metric("recreate", "making it again"),
    ),
    judged_metric="list",
    headlines=(
        Headline("unlink", "deleting a file of the image", "ns", Time("unlink", MANY)),
        Headline("whiteout_listing", "a whiteout, per later listing", "ns", Slope("list", "deletions")),
    ),
    glance=Glance("listing a directory after deletions", "list", "deletions", "volume"),
    costs=(
        Headline("unlink", "deletion", "×", TimesNative("unlink", MANY)),
        Headline("list", "listing after 1,000 deletions", "×", TimesNative("list", MANY)),
    ),
    laws=(
        Law(
            "list",
            "deletions",
            "listing the emptied directory against deletions",
            AT,
            per_name="deleted file",
            up_to=UP_TO,
        ),
        Law(
            "list_restarted",
            "deletions",
            "the same, after a restart of the container",
            AT,
            per_name="deleted file",
            up_to=UP_TO,
        ),
    ),
    answers=answers,
    claims={"C7": judge_whiteout, "C8": judge_opaque},
)
