"""All drivers times a plain directory; engines times what is built by hand, and why they may differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.quantities import quantity
from bench.reading.claims import Answer, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Arm
    from bench.reading.analysis import Analysis
    from bench.stats.estimate import Estimate

DEPTH = 32
NAMES = 64  # looked up in the bottom layer
BY_HAND = "by_hand_"  # begins the name of a metric of the container beside an engine's
CONTROL = "control_"  # and of one more that is built by hand, from a stack of its own
ADDED = ("create", "mount")  # what an engine does more for
COPYING = ("vfs", "native")  # engines' drivers that copy the image for each layer
CLONING = ("xfs", "btrfs")  # volumes on which FICLONE works
SAME = ("lookup", "small", "large", "unlink")  # what should cost the same whoever made the container
FUSE = "fuse-overlayfs"  # whose daemon answers each request
CHANCE = 0.05  # so many of these miss 1 by chance, if that is more likely than this
Controls = Mapping[str, Sequence["Estimate"]]  # by metric


def controls(analysis: Analysis) -> Controls:
    """Return by what factor two stacks that are built by hand differ, beside each engine's arm.

    Of FUSE daemons none: on which processor one answers is drawn for each unit.
    """
    arms = [arm for arm in analysis.arms(READING.name) if not _by_daemon(arm)]
    told = {metric: [_between_stacks(analysis, arm, metric) for arm in arms] for metric in SAME}
    return {metric: [one for one in factors if one] for metric, factors in told.items()}


def _between_stacks(analysis: Analysis, arm: Arm, metric: str) -> Estimate | None:
    return beside(analysis, arm, metric, side=CONTROL)


def beside(
    analysis: Analysis, arm: Arm, metric: str, among: int = 1, apart: Sequence[Estimate] = (), side: str = ""
) -> Estimate | None:
    """Return by what factor a metric differs in the same units from the container that is built by hand.

    That of the engine's container, or of the one whose metrics begin with `side`.
    """
    one, other = ({"arm": arm, "depth": _depth(analysis), "metric": f"{name}{metric}"} for name in (side, BY_HAND))
    return analysis.paired(READING.name, one, other, among, apart)


def _depth(analysis: Analysis) -> int:
    """Return the depth that is told of."""
    return analysis.depth(READING.name, DEPTH)


def _by_daemon(arm: Arm) -> bool:
    return arm.storage == FUSE


def _cause(analysis: Analysis, arm: Arm) -> str:
    """Say what is known to differ between an engine's container and ours."""
    if arm.engine and arm.storage in COPYING and arm.volume.partition(",")[0] in CLONING:
        return "the engine's copies are clones, so that a first write copies blocks; ours are not, without reflink=on"
    if _by_daemon(arm):
        theirs, ours = (quantity(_fast(analysis, arm, prefix), "ns") for prefix in ("", BY_HAND))
        return (
            "a request is answered on the caller's processor or, much later, on another, as the scheduler has it: in "
            f"the fastest unit a lookup takes {theirs}, by hand {ours}"
        )
    return ""


def _why(analysis: Analysis, arm: Arm, apart: Controls, ratios: int, missing: int) -> str:
    """Say why ratios of an arm miss 1 without a known cause; of all `ratios` of such arms here, `missing` do."""
    if not ratios:
        return ""
    told = {metric: beside(analysis, arm, metric, 1, apart[metric]) for metric in SAME}
    if any(_misses(beside(analysis, arm, metric, ratios, apart[metric])) for metric in SAME):
        return f"not known: of {ratios} intervals none would miss 1 by so much by chance"
    if any(map(_misses, told.values())):
        count = f"{missing} of the {ratios} intervals of engines' ratios here miss 1"
        if analysis.by_chance(missing, ratios) < CHANCE:
            return f"not known: {count}, by chance one in twenty would"
        return f"perhaps chance: {count}, and one in twenty would"
    alone = [metric for metric in SAME if _misses(beside(analysis, arm, metric)) and told[metric]]
    if alone:
        deviations = {READING.metric(metric).title: analysis.between(apart[metric]) for metric in alone}
        shown = ", ".join(f"{name} {quantity(100 * share, '%')}" for name, share in deviations.items())
        return f"two stacks by hand are as far apart: {shown} (standard deviation)"
    return ""


def _misses(told: Estimate | None) -> bool:
    """Tell whether an interval does not hold 1."""
    return told is not None and told.has_interval and not told.low <= 1 <= told.high


def _fast(analysis: Analysis, arm: Arm, prefix: str) -> float:
    """Return the nanoseconds of a lookup in the fastest unit."""
    times = analysis.run.times
    mine = (times["scenario"] == READING.name) & (times["arm"] == str(arm)) & (times["depth"] == _depth(analysis))
    return float(times.loc[mine & (times["metric"] == f"{prefix}lookup"), "value"].min())


def tables(analysis: Analysis) -> Iterator[Table]:
    """All drivers against a plain directory; engines against what is built by hand, and what they add."""
    rows = []
    arms = sorted(analysis.arms(READING.name), key=lambda arm: (arm.volume, bool(arm.engine)))  # engines last
    for arm in arms:
        ratios = [analysis.ratio(READING.name, arm, metric, depth=_depth(analysis)) for metric in SAME]
        if any(ratios):
            added = [analysis.cell(READING.name, arm, metric, depth=_depth(analysis)) for metric in ADDED]
            rows.append((str(arm), *_cells(ratios), *(one.text("ns") if one else "–" for one in added)))
    titles = [READING.metric(name).title for name in (*SAME, *ADDED)]
    if rows:
        yield Table("Every driver, times a plain directory", ("arm", *titles), (*rows,))
    yield from _by_hand_tables(analysis, arms)


def _by_hand_tables(analysis: Analysis, arms: Sequence[Arm]) -> Iterator[Table]:
    """Engines against what is built by hand, and that against itself."""
    apart = controls(analysis)
    told = {arm: [beside(analysis, arm, metric, 1, apart[metric]) for metric in SAME] for arm in arms}
    told = {arm: ratios for arm, ratios in told.items() if any(ratios)}
    if not told:
        return
    titles = [READING.metric(name).title for name in SAME]
    causes = {arm: _cause(analysis, arm) for arm in told}
    judged = [one for arm, ratios in told.items() if not causes[arm] for one in ratios if one and one.has_interval]
    missing = sum(map(_misses, judged))
    rows = [
        (str(arm), *_cells(ratios), causes[arm] or _why(analysis, arm, apart, len(judged), missing))
        for arm, ratios in told.items()
    ]
    title = "An engine's container, times the one that is built by hand"
    yield Table(title, ("engine", *titles, "why it may differ"), (*rows,))
    hand = {arm: [_between_stacks(analysis, arm, metric) for metric in SAME] for arm in told}
    deviations = (analysis.between(apart[metric]) for metric in SAME)
    shown = ("too few to tell" if math.isnan(share) else quantity(100 * share, "%") for share in deviations)
    rows = [(str(arm), *_cells(ratios)) for arm, ratios in hand.items() if any(ratios)]
    if rows:
        last = ("standard deviation between stacks, beyond what units show; daemons aside", *shown)
        title = "Two stacks that are both built by hand, times each other"
        yield Table(title, ("beside", *titles), (*rows, last))


def _cells(ratios: Sequence[Estimate | None]) -> list[str]:
    return [one.text("×") if one else "–" for one in ratios]


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Whether measuring by hand measures what an engine gives its users."""
    apart = controls(analysis)
    for arm in analysis.arms(READING.name):
        if arm.stack != "docker/overlay2":
            continue
        looked, wrote = (beside(analysis, arm, metric, 1, apart[metric]) for metric in ("lookup", "small"))
        start = analysis.cell(READING.name, arm, "mount", depth=_depth(analysis))
        if looked and wrote and start:
            yield Answer(
                f"In Docker's own container a lookup costs {looked.text('×')} what it costs in one built by hand, a "
                f"first write of 4 KiB {wrote.text('×')}; starting it takes {start.text('ns')}.",
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
        *(Metric(f"{BY_HAND}{one.name}", f"{one.title}, by hand beside it") for one in METRICS),
        *(Metric(f"{CONTROL}{one.name}", f"{one.title}, by hand once more") for one in METRICS if one.name in SAME),
    ),
    judged_metric="lookup",
    answers=answers,
    tables=tables,
)
