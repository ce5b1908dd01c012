"""Ratios of all drivers to a plain directory, and of engines to stacks built by hand, and why they may differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.quantities import quantity
from bench.reading.claims import Answer, Table
from bench.reading.contract import Reading
from bench.reading.headlines import Headline, TimesNative
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Arm
    from bench.reading.analysis import Analysis
    from bench.stats.estimate import Estimate

DEPTH = 32
NAMES = 64  # looked up in the bottom layer
BY_HAND = "by_hand_"  # prefix of the metrics of the container by hand beside an engine's
CONTROL = "control_"  # prefix of the metrics of another container by hand, from a stack of its own
ADDED = ("create", "mount")  # metrics for which an engine does more work
COPYING = ("vfs", "native")  # engines' drivers that copy the image for each layer
CLONING = ("xfs", "btrfs")  # volumes on which FICLONE works
SAME = ("lookup", "small", "large", "unlink")  # metrics that should not depend on what made the container
FUSE = "fuse-overlayfs"  # a daemon answers each request
CHANCE = 0.05  # the probability from which on intervals that miss 1 are put down to chance
Controls = Mapping[str, Sequence["Estimate"]]  # by metric


def controls(analysis: Analysis) -> Controls:
    """Return the ratios between two stacks built by hand, beside each engine's arm.

    FUSE daemons are left out: the processor that a daemon answers on is random for each unit.
    """
    arms = [arm for arm in analysis.arms(READING.name) if not _by_daemon(arm)]
    ratios = {metric: [_between_stacks(analysis, arm, metric) for arm in arms] for metric in SAME}
    return {metric: [ratio for ratio in metric_ratios if ratio] for metric, metric_ratios in ratios.items()}


def _between_stacks(analysis: Analysis, arm: Arm, metric: str) -> Estimate | None:
    return beside(analysis, arm, metric, side=CONTROL)


def beside(
    analysis: Analysis, arm: Arm, metric: str, among: int = 1, controls: Sequence[Estimate] = (), side: str = ""
) -> Estimate | None:
    """Return the ratio of a metric to that of the container built by hand in the same units.

    The numerator is the engine's container, or the one whose metrics have the prefix `side`.
    """
    cell, base = ({"arm": arm, "depth": _depth(analysis), "metric": f"{name}{metric}"} for name in (side, BY_HAND))
    return analysis.paired(READING.name, cell, base, among, controls)


def _depth(analysis: Analysis) -> int:
    """Return the depth that is reported."""
    return analysis.depth(READING.name, DEPTH)


def _by_daemon(arm: Arm) -> bool:
    return arm.storage == FUSE


def _cause(analysis: Analysis, arm: Arm) -> str:
    """Return the known cause of a difference between an engine's container and ours; "" if there is none."""
    if arm.engine and arm.storage in COPYING and arm.volume.partition(",")[0] in CLONING:
        return "the engine's copies are clones, so that a first write copies blocks; ours are not, without reflink=on"
    if _by_daemon(arm):
        theirs, ours = (quantity(_fast(analysis, arm, prefix), analysis.time_unit) for prefix in ("", BY_HAND))
        return (
            "a request is answered on the caller's processor or, much later, on another, as the scheduler has it: in "
            f"the fastest unit a lookup takes {theirs}, by hand {ours}"
        )
    return ""


def _why(analysis: Analysis, arm: Arm, control_ratios: Controls, ratios: int, missing: int) -> str:
    """Return why ratios of an arm without a known cause miss 1; of all `ratios` of such arms, `missing` miss it."""
    if not ratios:
        return ""
    with_controls = {metric: beside(analysis, arm, metric, 1, control_ratios[metric]) for metric in SAME}
    if any(_misses(beside(analysis, arm, metric, ratios, control_ratios[metric])) for metric in SAME):
        return f"not known: of {ratios} intervals none would miss 1 by so much by chance"
    if any(map(_misses, with_controls.values())):
        count = f"{missing} of the {ratios} intervals of engines' ratios here miss 1"
        if analysis.by_chance(missing, ratios) < CHANCE:
            return f"not known: {count}, by chance one in twenty would"
        return f"perhaps chance: {count}, and one in twenty would"
    beyond = [metric for metric in SAME if _misses(beside(analysis, arm, metric)) and with_controls[metric]]
    if beyond:
        deviations = {READING.metric(metric).title: analysis.between(control_ratios[metric]) for metric in beyond}
        text = ", ".join(f"{name} {quantity(100 * share, '%')}" for name, share in deviations.items())
        return f"two stacks by hand are as far apart: {text} (standard deviation)"
    return ""


def _misses(estimate: Estimate | None) -> bool:
    """Tell whether an interval does not contain 1."""
    return estimate is not None and estimate.has_interval and not estimate.low <= 1 <= estimate.high


def _fast(analysis: Analysis, arm: Arm, prefix: str) -> float:
    """Return the nanoseconds of a lookup in the fastest unit."""
    times = analysis.run.times
    selected = (times["scenario"] == READING.name) & (times["arm"] == str(arm)) & (times["depth"] == _depth(analysis))
    return float(times.loc[selected & (times["metric"] == f"{prefix}lookup"), "value"].min())


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the tables of all drivers against a plain directory and of engines against stacks by hand."""
    unit = analysis.time_unit
    rows = []
    arms = sorted(analysis.arms(READING.name), key=lambda arm: (arm.volume, bool(arm.engine)))  # engines last
    for arm in arms:
        ratios = [analysis.ratio(READING.name, arm, metric, depth=_depth(analysis)) for metric in SAME]
        if any(ratios):
            added = [analysis.cell(READING.name, arm, metric, depth=_depth(analysis)) for metric in ADDED]
            rows.append((str(arm), *_cells(ratios), *(cost.text(unit) if cost else "–" for cost in added)))
    titles = [READING.metric(name).title for name in (*SAME, *ADDED)]
    if rows:
        yield Table("Every driver, times a plain directory", ("arm", *titles), (*rows,))
    yield from _by_hand_tables(analysis, arms)


def _by_hand_tables(analysis: Analysis, arms: Sequence[Arm]) -> Iterator[Table]:
    """Yield the tables of engines against stacks by hand, and of two stacks by hand."""
    control_ratios = controls(analysis)
    by_arm = {arm: [beside(analysis, arm, metric, 1, control_ratios[metric]) for metric in SAME] for arm in arms}
    by_arm = {arm: ratios for arm, ratios in by_arm.items() if any(ratios)}
    if not by_arm:
        return
    titles = [READING.metric(name).title for name in SAME]
    causes = {arm: _cause(analysis, arm) for arm in by_arm}
    unexplained = [ratio for arm, ratios in by_arm.items() if not causes[arm] for ratio in ratios]
    judged = [ratio for ratio in unexplained if ratio and ratio.has_interval]
    missing = sum(map(_misses, judged))
    rows = [
        (str(arm), *_cells(ratios), causes[arm] or _why(analysis, arm, control_ratios, len(judged), missing))
        for arm, ratios in by_arm.items()
    ]
    title = "An engine's container, times the one that is built by hand"
    yield Table(title, ("engine", *titles, "why it may differ"), (*rows,))
    hand = {arm: [_between_stacks(analysis, arm, metric) for metric in SAME] for arm in by_arm}
    deviations = (analysis.between(control_ratios[metric]) for metric in SAME)
    texts = ("too few to tell" if math.isnan(share) else quantity(100 * share, "%") for share in deviations)
    rows = [(str(arm), *_cells(ratios)) for arm, ratios in hand.items() if any(ratios)]
    if rows:
        last = ("standard deviation between stacks, beyond what units show; daemons aside", *texts)
        title = "Two stacks that are both built by hand, times each other"
        yield Table(title, ("beside", *titles), (*rows, last))


def _cells(ratios: Sequence[Estimate | None]) -> list[str]:
    return [ratio.text("×") if ratio else "–" for ratio in ratios]


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield whether a stack by hand costs the same as that of an engine."""
    unit = analysis.time_unit
    control_ratios = controls(analysis)
    for arm in analysis.arms(READING.name):
        if arm.stack != "docker/overlay2":
            continue
        lookup, write = (beside(analysis, arm, metric, 1, control_ratios[metric]) for metric in ("lookup", "small"))
        start = analysis.cell(READING.name, arm, "mount", depth=_depth(analysis))
        if lookup and write and start:
            yield Answer(
                f"In Docker's own container a lookup costs {lookup.text('×')} what it costs in one built by hand, a "
                f"first write of 4 KiB {write.text('×')}; starting it takes {start.text(unit)}.",
                arm,
                READING.name,
            )


METRICS = (
    Metric("lookup", "lookup in the bottom layer"),
    Metric("small", "first write, 4 KiB"),
    Metric("large", "first write, 1 MiB"),
    Metric("unlink", "deleting a file"),
    Metric("create", "creating it"),
    Metric("mount", "mounting or starting it"),
)


READING = Reading(
    name="drivers",
    question="How do all drivers compare, and does a stack that is built by hand cost what an engine's own does?",
    method=(
        f"Images of {DEPTH} layers, from one archive; each unit is a fresh container, of an image of which another "
        f"container was just used. Timed in it: access(2) on {NAMES} names of the bottom layer in random order (right "
        "before, each layer's own directory was asked for them, so that the processor's caches are alike), "
        "open-for-write and the first pwrite of files of 4 KiB and 1 MiB, unlink; a unit's observation is the median "
        "of each. Timed outside: `create`, and `mount`, which for an engine is the start of the container with a "
        "process in it. Engines are private instances on volumes of their own, containers have no network. Beside an "
        "engine's container, another one of the same image that is built by hand on the same volume is measured in the "
        "same unit, each step in any order: two volumes of one kind differ by more than who made a container. And one "
        "more, from another stack by hand, as a control: where a stack's files lie is drawn once for all of its "
        "containers, so that two stacks of one maker differ, too, which intervals from units alone do not hold; those "
        "of engines' ratios here do."
    ),
    order=0,
    metrics=(
        *METRICS,
        *(Metric(f"{BY_HAND}{base.name}", f"{base.title}, by hand beside it") for base in METRICS),
        *(Metric(f"{CONTROL}{base.name}", f"{base.title}, by hand once more") for base in METRICS if base.name in SAME),
    ),
    judged_metric="lookup",
    costs=tuple(
        Headline(metric.name, metric.title, "×", TimesNative(metric.name, {"depth": DEPTH}))
        for metric in METRICS
        if metric.name not in ADDED
    ),
    answers=answers,
    tables=tables,
)
