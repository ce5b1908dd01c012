"""Claim C2 on file systems without types of names in listings: whether overlayfs mounts there, and what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import WITH_TYPES, WITHOUT_TYPES
from bench.reading.claims import Finding, Outcome, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Arm
    from bench.reading.analysis import Analysis

FILES = 3  # of a directory
COUNTERS = ("volume_mounts", "told", "overlay_mounts", "left_in_listings", "rmdir_fails")


def _states(analysis: Analysis) -> Iterator[tuple[Arm, str, dict[str, bool]]]:
    """Yield the counters of each file system, with types and without."""
    depth = analysis.depth(READING.name, 1)
    for arm in analysis.arms(READING.name):
        for types in (WITH_TYPES, WITHOUT_TYPES):
            rows = {name: analysis.counter(READING.name, arm, name, depth=depth, types=types) for name in COUNTERS}
            counted = {name: row["maximum"] > 0 for name, row in rows.items() if row is not None}
            if counted:
                yield arm, types, counted


def judge_backing(analysis: Analysis) -> Iterator[Finding]:
    """C2: whether overlayfs needs types in listings."""
    for arm, types, counted in _states(analysis):
        if types == WITH_TYPES:
            continue
        name = f"{arm.volume} made without types in listings"
        wrong = _wrong(counted)
        if not counted["volume_mounts"]:
            yield Finding(str(arm), Outcome.QUALIFIED, f"this kernel does not mount {name} at all")
        elif not counted["overlay_mounts"]:
            yield Finding(str(arm), Outcome.CONFIRMED, f"overlayfs refuses {name}")
        elif wrong:
            yield Finding(str(arm), Outcome.CONFIRMED, f"overlayfs mounts on {name}, but {' and '.join(wrong)}")
        else:
            yield Finding(str(arm), Outcome.REFUTED, f"overlayfs mounts on {name}, and deletions work")


def _wrong(counted: dict[str, bool]) -> list[str]:
    texts = {
        "left_in_listings": "a deleted name stays in listings",
        "rmdir_fails": "a directory whose files were deleted cannot be removed",
    }
    return [text for name, text in texts.items() if counted.get(name)]


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield what happens on each file system."""

    def word(counted: dict[str, bool], name: str) -> str:
        return {True: "yes", False: "no", None: ""}[counted.get(name)]

    rows = [
        (arm.volume, types, *(word(counted, name) for name in COUNTERS)) for arm, types, counted in _states(analysis)
    ]
    columns = (
        *("file system", "types, as made", "the kernel mounts it", "listings have types", "overlayfs mounts on it"),
        *("a deleted name stays listed", "an emptied directory cannot be removed"),
    )
    if rows:
        yield Table("Overlayfs where listings have types, and where not", columns, tuple(rows))


READING = Reading(
    name="types",
    question="Does overlayfs work where listings do not tell the types of names, and what goes wrong?",
    method=(
        "The volume's file system is made in memory twice, as the volume is, and without types in listings (ext4 "
        "without the feature filetype; xfs in format V4 with ftype=0). An overlay is mounted on it; a file of the "
        "lower layer is deleted and its directory listed; all files of another directory are deleted and it is "
        "removed. Counted is whether the kernel mounts each, whether a listing still has a name that cannot be "
        "found, and whether the removal fails; the kernel's words are in the rows' proofs."
    ),
    order=8,
    metrics=(Metric("make", "making and mounting the file system, or its refusal"),),
    judged_metric="make",
    claims={"C2": judge_backing},
    tables=tables,
)
