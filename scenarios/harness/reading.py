"""The ratio of times measured from Python to times measured in C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Arm, Temperature
from bench.reading.claims import Answer, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.analysis import Analysis
    from bench.stats.estimate import Estimate

DEPTH = 8
METRIC_WORDS = {"lookup": "lookup", "first_write": "first write"}
AGREEMENT = 0.05  # the largest difference from C that counts as agreement


def differences(analysis: Analysis) -> Iterator[tuple[Arm, str, str, Estimate]]:
    """Yield arm, temperature, metric and the ratio Python / C, paired by block."""
    for keys, ratio in analysis.contrasts(READING.name, "clock", "python", "c"):
        yield analysis.run.arms[keys["arm"]], keys["temperature"], keys["metric"], ratio


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the table of Python and C side by side, with the cost of the timer."""
    unit = analysis.time_unit
    rows = []
    for arm, temperature, metric, ratio in differences(analysis):
        python, c = (
            analysis.cell(READING.name, arm, metric, depth=DEPTH, temperature=temperature, clock=clock)
            for clock in ("python", "c")
        )
        if python is None or c is None:
            continue
        title = READING.metric(metric).title
        agrees = "within" if ratio.low >= 1 - AGREEMENT and ratio.high <= 1 + AGREEMENT else "not shown to be within"
        verdict = f"{agrees} {AGREEMENT:.0%}"
        rows.append(
            (
                title,
                str(arm),
                temperature,
                python.text(unit),
                c.text(unit),
                ratio.text("×"),
                str(ratio.n),
                verdict,
            )
        )
    columns = ("what", "arm", "temperature", "Python", "C", "Python ÷ C", "n pairs", "agreement")
    if rows:
        yield Table("What the harness adds: Python against C", columns, tuple(rows))


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the ratio of times from Python to times from C, by arm."""
    by_arm: dict[Arm, list[str]] = {}
    for arm, temperature, metric, ratio in differences(analysis):
        if metric in METRIC_WORDS:
            state = "hot" if temperature == Temperature.HOT.value else "in a new container"
            by_arm.setdefault(arm, []).append(f"{ratio.text('×')} for a {METRIC_WORDS[metric]} {state}")
    for arm, texts in by_arm.items():
        yield Answer(f"Timed from Python instead of C, a figure is {' and '.join(texts)}.", arm, READING.name)


READING = Reading(
    name="harness",
    question="What does the harness itself cost?",
    method=(
        "The same calls on the same kind of container from Python and from a C program that times itself, each in a "
        "fresh container, in random order in one block; the ratio is Python to C. `timer` is the median of 2,001 pairs "
        "of readings of the clock with nothing between."
    ),
    order=7,
    metrics=(
        Metric("lookup", "lookup of a name in the bottom of 8 layers"),
        Metric("first_write", "first write to a 4 KiB file"),
        Metric("net", "the lookup less the refused call: what the kernel does to look a name up"),
        Metric("refused", "the same call, refused by the kernel at once: harness and system call entry"),
        Metric("timer", "two readings of the clock"),
    ),
    judged_metric="lookup",
    answers=answers,
    tables=tables,
)
