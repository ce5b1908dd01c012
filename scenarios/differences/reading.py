"""The differences of each driver from a plain directory, with their counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.reading.claims import Finding, Outcome, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

SOURCE = "; from "  # separates a declared difference from its source in the name of its counter


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the table of each driver's differences, with how often they occurred."""
    rows = []
    for arm in analysis.arms(READING.name):
        counters = analysis.run.counters
        selected = counters[(counters["scenario"] == READING.name) & (counters["arm"] == str(arm))]
        sums = {str(name): float(values.sum()) for name, values in selected.groupby("counter", observed=True)["value"]}
        operations = f"{sums.get('operations', 0):,.0f}"
        declared = {name: count for name, count in sums.items() if SOURCE in name}
        for name, count in sorted(declared.items()):
            words, _, source = name.partition(SOURCE)
            rows.append((str(arm), words, source, f"{count:,.0f}", operations))
        if (undeclared := sums.get("undeclared", 0)) or not declared:
            text = f"undeclared, in {undeclared:,.0f} units" if undeclared else "none"
            rows.append((str(arm), text, "", f"{undeclared:,.0f}", operations))
    if rows:
        columns = ("arm", "it differs from a plain directory", "source", "times", "operations")
        yield Table("How does this driver differ from a file system?", columns, tuple(rows))


def judge_image(analysis: Analysis) -> Iterator[Finding]:
    """C9: image layers are unchanged after all operations on a container."""
    for arm in analysis.arms(READING.name):
        tally = analysis.tally(READING.name, arm, "image_unchanged")
        if tally is not None:
            yield Finding(
                str(arm),
                Outcome.CONFIRMED if tally[0] == tally[1] else Outcome.REFUTED,
                f"the lower trees were the same after random operations in {tally[0]:,} of {tally[1]:,} units",
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
