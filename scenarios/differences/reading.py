"""How each driver differed from a plain directory, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.reading.claims import Finding, Outcome, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

SOURCE = "; from "  # between a declared difference and its source, in the name of its counter


def tables(analysis: Analysis) -> Iterator[Table]:
    """How each driver differs, and how often that was seen."""
    rows = []
    for arm in analysis.arms(READING.name):
        counters = analysis.run.counters
        mine = counters[(counters["scenario"] == READING.name) & (counters["arm"] == str(arm))]
        sums = {str(name): float(values.sum()) for name, values in mine.groupby("counter", observed=True)["value"]}
        done = f"{sums.get('operations', 0):,.0f}"
        found = {name: count for name, count in sums.items() if SOURCE in name}
        for name, count in sorted(found.items()):
            words, _, source = name.partition(SOURCE)
            rows.append((str(arm), words, source, f"{count:,.0f}", done))
        if (off := sums.get("undeclared", 0)) or not found:
            rows.append((str(arm), f"undeclared, in {off:,.0f} units" if off else "none", "", f"{off:,.0f}", done))
    if rows:
        columns = ("arm", "it differs from a plain directory", "source", "times", "operations")
        yield Table("How does this driver differ from a file system?", columns, tuple(rows))


def judge_image(analysis: Analysis) -> Iterator[Finding]:
    """C9: image layers are as they were after everything that could be done to a container."""
    for arm in analysis.arms(READING.name):
        same = analysis.tally(READING.name, arm, "image_unchanged")
        if same is not None:
            yield Finding(
                str(arm),
                Outcome.CONFIRMED if same[0] == same[1] else Outcome.REFUTED,
                f"the lower trees were the same after random operations in {same[0]:,} of {same[1]:,} units",
            )


READING = Reading(
    name="differences",
    question="How does this driver differ from a file system?",
    method=(
        "A stream of random operations (create, write, append, truncate, unlink, mkdir, rmdir, rename, link, symlink, "
        "chmod, chown, utimes, extended attributes, mknod, mkfifo, mmap, reading what is being written, listing what "
        "is being changed) on few names, and once what few programs do (a write to a file of the image that has two "
        "names, long names, names, devices and attributes that are marks to some driver), done in a fresh container "
        "and in a plain directory with the same content. What each said is compared, errors included, and "
        "every 250 operations all that is there; the image's trees are compared with themselves before and after. "
        "`operation` is the time of one in both, with the comparison."
    ),
    order=8,
    metrics=(Metric("operation", "one operation in both places, with the comparison"),),
    judged_metric="operation",
    claims={"C9": judge_image},
    tables=tables,
)
