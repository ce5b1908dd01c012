"""Ratios of reads and writes after the copy-up to those of a plain file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Param
from bench.reading.claims import Answer
from bench.reading.contract import Reading
from bench.reading.headlines import Headline, TimesNative
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis

DEPTH = 8

SPOKEN_OF = ("overlay2", "fuse-overlayfs")  # drivers in the answers; the tables have all
READ: dict[str, Param] = {"state": "lower", "pattern": "randread"}  # cells of the headline figures
WRITTEN: dict[str, Param] = {"state": "upper", "pattern": "randwrite"}


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the cost that remains once a file is in upper."""
    depth = analysis.depth("steady", DEPTH)
    for arm in analysis.arms("steady"):
        if arm.driver not in SPOKEN_OF:
            continue
        lower = analysis.ratio("steady", arm, "p50", depth=depth, state="lower", pattern="randread")
        upper = analysis.ratio("steady", arm, "p50", depth=depth, state="upper", pattern="randwrite")
        if lower is not None and upper is not None:
            yield Answer(
                f"Reading 4 KiB of a file still in the image takes {lower.text('×')} a plain read; writing 4 KiB to "
                f"a file already copied up takes {upper.text('×')} a plain write (medians, page cache).",
                arm,
                "steady",
            )


READING = Reading(
    name="steady",
    question="What remains of the cost after the first write?",
    method=(
        "fio (psync, one thread, page cache, no fsync) for a fifth of a second on an 8 MiB file in memory: 4 KiB "
        "random and 128 KiB sequential reads and writes, on a file still in the image (lower; a write copies it up "
        "when fio opens it, before its clock), on one already copied up (upper), and on a plain file. One fio run is "
        "one observation; its percentiles are over its own operations."
    ),
    order=6,
    metrics=(
        Metric("p50", "median latency of one operation"),
        Metric("p99", "99th percentile of latency"),
        Metric("mean", "mean latency"),
        Metric("throughput", "throughput", "bytes/s"),
    ),
    judged_metric="p50",
    headlines=(
        Headline("read_times_native", "read of the image, times native", "×", TimesNative("p50", READ)),
        Headline("write_times_native", "write after copy-up, times native", "×", TimesNative("p50", WRITTEN)),
    ),
    answers=answers,
)
