"""All drivers at a glance, engines' own containers among them: the same image, the same operations.

One container tells everything: how long creating and starting it takes, a lookup in the bottom layer, first writes,
deletions. So an engine, whose containers take up to a second each, gets as many units as there are containers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

from bench.drivers.engine import EngineDriver, EngineStack
from bench.drivers.fuse_overlayfs import FuseOverlayfs
from bench.kernel.directory import working_directory
from bench.layers.content import Directory, File, Layer, read_equals
from bench.measure.clock import accesses, each, once
from bench.measure.scenario import Grid, Metric, Params, Scenario, Unit
from bench.measure.temperature import mounted, read_in
from bench.model import Temperature
from bench.quantities import quantity
from bench.verdicts.claims import Answer, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.drivers.base import Container, Driver, Stack
    from bench.stats.analysis import Analysis
    from bench.stats.estimate import Estimate

DEPTH = 32
STEP = (1, 64, 80, 125)  # around the depth at which Docker's mount options pass a page
NAMES = 64  # looked up in the bottom layer
OTHERS = 8  # in every other layer
SMALL, LARGE = ("small", 4096, 8), ("large", 1 << 20, 2)  # files of the bottom layer: directory, bytes, how many
VICTIMS = 16
PAYLOAD = b"\xa5" * 4096
BY_HAND = "by_hand_"  # begins the name of a metric of the container beside an engine's
CONTROL = "control_"  # and of one more that is built by hand, from a stack of its own
ADDED = ("create", "mount")  # what an engine does more for
COPYING = ("vfs", "native")  # engines' drivers that copy the image for each layer
CLONING = ("xfs", "btrfs")  # volumes on which FICLONE works
SAME = ("lookup", "small", "large", "unlink")  # what should cost the same whoever made the container
CHANCE = 0.05  # so many of these miss 1 by chance, if that is more likely than this


def grids(profile: str) -> Iterable[Grid]:
    """One depth; in a full run those at which Docker's start takes a step, too."""
    if profile == "quick":
        return
    yield Grid((DEPTH,), (Temperature.NEW,))
    yield Grid((DEPTH,), (Temperature.NEW,), drivers=("zfs",), engines=True)
    if profile == "full":
        yield Grid(STEP, (Temperature.NEW,), drivers=("docker/overlay2", "overlay2"))


def layer(index: int, params: Params) -> Layer:
    """Names in a directory that every layer holds; what is written to and deleted at the bottom."""
    names = [File(f"every/{index}-{number}", 0) for number in range(OTHERS if index else NAMES)]
    if index:
        return (Directory("every"), *names)
    victims = [File(f"victims/{number}", 0) for number in range(VICTIMS)]
    written = [File(f"{name}/{number}", size) for name, size, count in (SMALL, LARGE) for number in range(count)]
    directories = [Directory(name) for name in ("every", SMALL[0], LARGE[0], "victims")]
    return (*directories, *names, *written, *victims)


def paths() -> list[bytes]:
    """What is looked up."""
    return [f"every/0-{number}".encode() for number in range(NAMES)]


def touch(unit: Unit) -> None:
    """Look the names up and read the files."""
    _touch(unit.merged)


def _touch(merged: Path) -> None:
    accesses([*paths(), *(f"victims/{number}".encode() for number in range(VICTIMS))], merged)
    for name, _, count in (SMALL, LARGE):
        for number in range(count):
            read_in(merged / name / str(number))


@dataclass(frozen=True)
class Side:
    """A mounted container, and what the names of its metrics begin with."""

    driver: Driver
    container: Container
    merged: Path
    prefix: str = ""

    def layers(self) -> Iterator[Path]:
        """Return the directories of its image's layers, bottom first."""
        return (self.driver.layer_path(self.container, index) for index in range(self.container.depth))


def operate(unit: Unit) -> None:
    """Look up, write, delete; of an engine, in its container and in two that are built by hand on the same volume."""
    with ExitStack() as undo:
        sides = [Side(unit.driver, unit.container, unit.merged)]
        if isinstance(unit.driver, EngineDriver):
            stack = unit.container.stack
            assert isinstance(stack, EngineStack)
            assert stack.by_hand is not None
            stacks = ((BY_HAND, stack.by_hand), (CONTROL, unit.driver.control(stack)))
            for prefix, built in unit.random.sample(stacks, len(stacks)):
                sides.append(undo.enter_context(_by_hand(unit, unit.driver.by_hand, built, prefix)))
        for side in sides:
            accesses([b"every/first", b"victims/first", b"small/first", b"large/first"], side.merged)
        names = paths()
        unit.random.shuffle(names)
        for side in _either_first(unit, sides):
            # Starting a container takes the processor's caches with it, mounting one does not: without this, Docker's
            # lookups took 1.2 times as long. So what the layers have of the names is brought in again, past the union.
            for layer_path in side.layers():
                accesses(names, layer_path)
            unit.settle()
            unit.record(f"{side.prefix}lookup", accesses(names, side.merged))
        for name, _, count in (SMALL, LARGE):
            for side in _either_first(unit, sides):
                unit.record(f"{side.prefix}{name}", _write(unit, side.merged / name, count))
        for side in _either_first(unit, sides):
            unit.volume.sync()
            unit.settle()
            victims = [str(number).encode() for number in range(VICTIMS)]
            with working_directory(side.merged / "victims"):
                unit.record(f"{side.prefix}unlink", each(os.unlink, victims)[1:])
        for side in sides:
            for name in ADDED if side.prefix != CONTROL else ():
                unit.record(f"{side.prefix}{name}", [side.container.took[name]])
        for side in sides[1:]:
            _prove(unit, side)


@contextmanager
def _by_hand(unit: Unit, driver: Driver, stack: Stack, prefix: str) -> Iterator[Side]:
    """Mount a container of the same image that is built by hand, as the engine's was: after another one of it."""
    took, container = once(driver.create_read_write, stack, unit.depth)
    container.took["create"] = took
    try:
        with mounted(driver, container, unit.volume, Temperature.NEW, _touch) as merged:
            yield Side(driver, container, merged, prefix)
    finally:
        driver.remove(container)


def _either_first(unit: Unit, sides: Sequence[Side]) -> Sequence[Side]:
    return unit.random.sample(sides, len(sides))


def _write(unit: Unit, directory: Path, count: int) -> list[int]:
    """Write a page to each of `count` files there; return the nanoseconds of each open and pwrite.

    By names that are relative to it: an engine's paths are longer or shorter than ours.
    """
    for number in range(count):
        read_in(directory / str(number))  # whoever wrote them: a full copy's pages are as it wrote them
    unit.volume.sync()
    unit.settle()
    times = []
    with working_directory(directory):
        for number in range(-1, count):  # the first of a directory brings that up as well, and is not counted
            path = str(number).encode() if number >= 0 else b"first"
            start = perf_counter_ns()
            descriptor = os.open(path, os.O_RDWR | (0 if number >= 0 else os.O_CREAT))
            os.pwrite(descriptor, PAYLOAD, 0)
            times.append(perf_counter_ns() - start)
            os.close(descriptor)
    return times[1:]


def prove(unit: Unit) -> None:
    """The names exist, the writes landed in files that are otherwise the image's, the victims are gone."""
    _prove(unit, Side(unit.driver, unit.container, unit.merged))


def _prove(unit: Unit, side: Side) -> None:
    unit.proven(all((side.merged / os.fsdecode(path)).exists() for path in paths()), "the names looked up exist")
    bottom = next(side.layers())
    for name, size, count in (SMALL, LARGE):
        for number in range(count):
            file = File(f"{name}/{number}", size)
            with open(side.merged / file.path, "rb", buffering=0) as merged:
                same = read_equals(merged.fileno(), file, unit.seed, head=PAYLOAD)
            unit.proven(same, "content is the page written and, after it, the image's bytes")
            with open(bottom / file.path, "rb", buffering=0) as lower:
                unit.proven(read_equals(lower.fileno(), file, unit.seed), "the image's file is unchanged")
    unit.proven(not any((side.merged / "victims").iterdir()), "the deleted files are gone")


Controls = Mapping[str, Sequence["Estimate"]]  # by metric


def controls(analysis: Analysis) -> Controls:
    """Return by what factor two stacks that are built by hand differ, beside each engine's arm.

    Of FUSE daemons none: on which processor one answers is drawn for each unit.
    """
    arms = [arm for arm in analysis.arms(SCENARIO.name) if not _by_daemon(arm)]
    told = {metric: [_between_stacks(analysis, arm, metric) for arm in arms] for metric in SAME}
    return {metric: [one for one in factors if one] for metric, factors in told.items()}


def _between_stacks(analysis: Analysis, arm: str, metric: str) -> Estimate | None:
    return beside(analysis, arm, metric, side=CONTROL)


def beside(
    analysis: Analysis, arm: str, metric: str, among: int = 1, apart: Sequence[Estimate] = (), side: str = ""
) -> Estimate | None:
    """Return by what factor a metric differs in the same units from the container that is built by hand.

    That of the engine's container, or of the one whose metrics begin with `side`.
    """
    one, other = ({"arm": arm, "depth": _depth(analysis), "metric": f"{name}{metric}"} for name in (side, BY_HAND))
    return analysis.paired(SCENARIO.name, one, other, among, apart)


def _depth(analysis: Analysis) -> int:
    """Return the depth that is told of."""
    return analysis.depth(SCENARIO.name, DEPTH)


def _by_daemon(arm: str) -> bool:
    return arm.partition("@")[0].rpartition("/")[2] == FuseOverlayfs.name


def _cause(analysis: Analysis, arm: str) -> str:
    """Say what is known to differ between an engine's container and ours."""
    driver, _, volume = arm.partition("@")
    if driver.partition("/")[2] in COPYING and volume.partition(",")[0] in CLONING:
        return "the engine's copies are clones, so that a first write copies blocks; ours are not, without reflink=on"
    if _by_daemon(arm):
        theirs, ours = (quantity(_fast(analysis, arm, prefix), "ns") for prefix in ("", BY_HAND))
        return (
            "a request is answered on the caller's processor or, much later, on another, as the scheduler has it: in "
            f"the fastest unit a lookup takes {theirs}, by hand {ours}"
        )
    return ""


def _why(analysis: Analysis, arm: str, apart: Controls, ratios: int, missing: int) -> str:
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
        deviations = {SCENARIO.metric(metric).title: analysis.between(apart[metric]) for metric in alone}
        shown = ", ".join(f"{name} {quantity(100 * share, '%')}" for name, share in deviations.items())
        return f"two stacks by hand are as far apart: {shown} (standard deviation)"
    return ""


def _misses(told: Estimate | None) -> bool:
    """Tell whether an interval does not hold 1."""
    return told is not None and told.has_interval and not told.low <= 1 <= told.high


def _fast(analysis: Analysis, arm: str, prefix: str) -> float:
    """Return the nanoseconds of a lookup in the fastest unit."""
    times = analysis.run.times
    mine = (times["scenario"] == SCENARIO.name) & (times["arm"] == arm) & (times["depth"] == _depth(analysis))
    return float(times.loc[mine & (times["metric"] == f"{prefix}lookup"), "value"].min())


def tables(analysis: Analysis) -> Iterator[Table]:
    """All drivers against a plain directory; engines against what is built by hand, and what they add."""
    rows = []
    arms = sorted(analysis.arms(SCENARIO.name), key=lambda arm: (arm.partition("@")[2], "/" in arm))  # engines last
    for arm in arms:
        ratios = [analysis.ratio(SCENARIO.name, arm, metric, depth=_depth(analysis)) for metric in SAME]
        if any(ratios):
            added = [analysis.cell(SCENARIO.name, arm, metric, depth=_depth(analysis)) for metric in ADDED]
            rows.append((arm, *_cells(ratios), *(one.text("ns") if one else "–" for one in added)))
    titles = [SCENARIO.metric(name).title for name in (*SAME, *ADDED)]
    if rows:
        yield Table("Every driver, times a plain directory", ("arm", *titles), (*rows,))
    yield from _by_hand_tables(analysis, arms)


def _by_hand_tables(analysis: Analysis, arms: Sequence[str]) -> Iterator[Table]:
    """Engines against what is built by hand, and that against itself."""
    apart = controls(analysis)
    told = {arm: [beside(analysis, arm, metric, 1, apart[metric]) for metric in SAME] for arm in arms}
    told = {arm: ratios for arm, ratios in told.items() if any(ratios)}
    if not told:
        return
    titles = [SCENARIO.metric(name).title for name in SAME]
    causes = {arm: _cause(analysis, arm) for arm in told}
    judged = [one for arm, ratios in told.items() if not causes[arm] for one in ratios if one and one.has_interval]
    missing = sum(map(_misses, judged))
    rows = [
        (arm, *_cells(ratios), causes[arm] or _why(analysis, arm, apart, len(judged), missing))
        for arm, ratios in told.items()
    ]
    title = "An engine's container, times the one that is built by hand"
    yield Table(title, ("engine", *titles, "why it may differ"), (*rows,))
    hand = {arm: [_between_stacks(analysis, arm, metric) for metric in SAME] for arm in told}
    deviations = (analysis.between(apart[metric]) for metric in SAME)
    shown = ("too few to tell" if math.isnan(share) else quantity(100 * share, "%") for share in deviations)
    rows = [(arm, *_cells(ratios)) for arm, ratios in hand.items() if any(ratios)]
    if rows:
        last = ("standard deviation between stacks, beyond what units show; daemons aside", *shown)
        title = "Two stacks that are both built by hand, times each other"
        yield Table(title, ("beside", *titles), (*rows, last))


def _cells(ratios: Sequence[Estimate | None]) -> list[str]:
    return [one.text("×") if one else "–" for one in ratios]


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Whether measuring by hand measures what an engine gives its users."""
    apart = controls(analysis)
    for arm in analysis.arms(SCENARIO.name):
        if not arm.startswith("docker/overlay2@"):
            continue
        looked, wrote = (beside(analysis, arm, metric, 1, apart[metric]) for metric in ("lookup", "small"))
        start = analysis.cell(SCENARIO.name, arm, "mount", depth=_depth(analysis))
        if looked and wrote and start:
            yield Answer(
                f"In Docker's own container a lookup costs {looked.text('×')} what it costs in one built by hand, a "
                f"first write of 4 KiB {wrote.text('×')}; starting it takes {start.text('ns')}.",
                arm,
                SCENARIO.name,
            )


METRICS = (
    Metric("lookup", "lookup in the bottom layer"),
    Metric("small", "first write, 4 KiB"),
    Metric("large", "first write, 1 MiB"),
    Metric("unlink", "deleting a file"),
    Metric("create", "creating it"),
    Metric("mount", "mounting or starting it"),
)
SCENARIO = Scenario(
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
    weight=0.4,
    metrics=(
        *METRICS,
        *(Metric(f"{BY_HAND}{one.name}", f"{one.title}, by hand beside it") for one in METRICS),
        *(Metric(f"{CONTROL}{one.name}", f"{one.title}, by hand once more") for one in METRICS if one.name in SAME),
    ),
    headline="lookup",
    grids=grids,
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    changes=True,
    engines=True,
    gated=False,
    working_bytes=lambda params: 16 << 20,
    tables=tables,
    answers=answers,
)
