"""The cost of mounting by depth, and the depths between which Docker's cost takes a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.reading.claims import Answer, Finding, Outcome, Table
from bench.reading.contract import Reading
from bench.reading.headlines import Headline, Slope
from bench.reading.laws import Law, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Arm
    from bench.reading.analysis import Analysis
    from bench.stats.estimate import Estimate

REPEATS = 5  # mounts of one container


def step(analysis: Analysis, arm: Arm) -> tuple[int, int] | None:
    """Return the depths between which Docker switches to relative paths; None if it was not measured on both sides."""
    relative_by_depth = {
        depth: row["maximum"]
        for depth in sorted({int(depth) for depth in analysis.units(READING.name)["depth"]})
        if (row := analysis.counter(READING.name, arm, "relative", depth=depth)) is not None
    }
    last = max((depth for depth, relative in relative_by_depth.items() if not relative), default=0)
    first = min((depth for depth, relative in relative_by_depth.items() if relative), default=0)
    return (last, first) if last and first else None


def _grown(analysis: Analysis, arm: Arm, metric: str, depths: tuple[int, int]) -> Estimate | None:
    """Return the ratio of a metric at the larger depth to that at the smaller, paired by block."""
    cell, base = ({"arm": arm, "metric": metric, "depth": depth} for depth in reversed(depths))
    return analysis.paired(READING.name, cell, base)


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the table of Docker's mount and one by hand, by depth."""
    unit = analysis.time_unit
    rows = []
    for arm in analysis.arms(READING.name):
        for depth in sorted({int(depth) for depth in analysis.units(READING.name)["depth"]}):
            relative = analysis.counter(READING.name, arm, "relative", depth=depth)
            length = analysis.counter(READING.name, arm, "absolute_bytes", depth=depth)
            engine = analysis.cell(READING.name, arm, "engine", depth=depth)
            by_hand = analysis.cell(READING.name, arm, "by_hand", depth=depth)
            if relative and length and engine and by_hand:
                paths = "relative" if relative["maximum"] else "absolute"
                rows.append(
                    (
                        str(arm),
                        f"{depth}",
                        f"{length['maximum']:,.0f}",
                        paths,
                        engine.text(unit),
                        by_hand.text(unit),
                    )
                )
    columns = ("engine", "layers", "bytes of absolute options", "paths", "mount and unmount", "by hand beside it")
    if rows:
        yield Table("Where Docker's mount options pass a page", columns, tuple(rows))


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the step in the cost of Docker's mount."""
    for arm in analysis.arms(READING.name):
        between = step(analysis, arm)
        if between is None:
            continue
        last, first = between
        grown, by_hand = (_grown(analysis, arm, metric, between) for metric in ("engine", "by_hand"))
        if grown and by_hand:
            yield Answer(
                f"Beyond {last} layers, with the paths of this run, Docker's mount options pass a page and it runs "
                f"itself again for each mount (below /var/lib/docker, which is shorter, later): with {first} layers "
                f"mounting takes {grown.text('×')} what it takes with {last}, by hand {by_hand.text('×')}.",
                arm,
                READING.name,
            )


def judge_links(analysis: Analysis) -> Iterator[Finding]:
    """C4: from which depth on the short links are used."""
    for arm in analysis.arms(READING.name):
        between = step(analysis, arm)
        if between is not None:
            last, first = between
            text = (
                f"with this run's paths dockerd mounted {last} layers by absolute l/ links and {first} by relative ones"
            )
            yield Finding(str(arm), Outcome.QUALIFIED, text)


READING = Reading(
    name="mounting",
    question="What does mounting a container cost as layers grow, and where does Docker's take a step?",
    method=(
        f"While one container of the image is mounted, another is mounted and unmounted {REPEATS} times; the median is "
        "the unit's observation. By hand that is mount(2) with Docker's relative paths, or fsconfig where the options "
        "do not fit its page, and umount(2); options are prepared before. Docker is asked by its API for a file of a "
        "container that does not run, for which it mounts and unmounts it (`docker start` takes so long that nothing "
        "of this shows); beside it the same image is mounted by hand on the same volume. Counted: whether a running "
        "container's layers are named by relative paths, against the length that absolute ones would have and the page "
        "that Docker allows for them."
    ),
    order=5,
    metrics=(
        Metric("cycle", "mounting and unmounting"),
        Metric("engine", "Docker mounting and unmounting"),
        Metric("by_hand", "mounting and unmounting by hand beside it"),
    ),
    judged_metric="cycle",
    headlines=(Headline("mount_layer", "a layer, per mount", "ns", Slope("cycle", "depth")),),
    laws=(Law("cycle", "depth", "mounting grows with the layers", per_name="layer"),),
    answers=answers,
    claims={"C4": judge_links},
    tables=tables,
)
