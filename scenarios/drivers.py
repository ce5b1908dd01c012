"""All drivers at a glance, engines' own containers among them: the same image, the same operations.

One container tells everything: how long creating and starting it takes, a lookup in the bottom layer, first writes,
deletions. So an engine, whose containers take up to a second each, gets as many units as there are containers.
"""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import TYPE_CHECKING

from bench.drivers import containerd, docker, podman
from bench.layers.content import Directory, File, Layer, read_equals
from bench.measure.clock import accesses
from bench.measure.scenario import Grid, Metric, Params, Scenario, Unit
from bench.measure.temperature import read_in
from bench.model import Temperature
from bench.verdicts.claims import Answer, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.stats.analysis import Analysis
    from bench.stats.estimate import Estimate

BESIDE = {kind.name: kind.beside.name for kind in (*docker.DRIVERS, *podman.DRIVERS, *containerd.DRIVERS)}
DEPTH = 32
STEP = (1, 64, 80, 125)  # around the depth at which Docker's mount options pass a page
NAMES = 64  # looked up in the bottom layer
OTHERS = 8  # in every other layer
SMALL, LARGE = ("small", 4096, 8), ("large", 1 << 20, 2)  # files of the bottom layer: directory, bytes, how many
VICTIMS = 16
CLONING = ("xfs", "btrfs")  # volumes on which FICLONE works
PAYLOAD = b"\xa5" * 4096
ADDED = ("create", "mount")  # what an engine does more for
SAME = ("lookup", "small", "large", "unlink")  # what should cost the same whoever made the container


def grids(profile: str) -> Iterable[Grid]:
    """One depth; in a full run those at which Docker's start takes a step, too."""
    if profile == "quick":
        return
    yield Grid((DEPTH,), (Temperature.NEW,))
    yield Grid((DEPTH,), (Temperature.NEW,), drivers=(*BESIDE, "zfs"))
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
    accesses([*paths(), *(f"victims/{number}".encode() for number in range(VICTIMS))], unit.merged)
    for name, _, count in (SMALL, LARGE):
        for number in range(count):
            read_in(unit.merged / name / str(number))


def operate(unit: Unit) -> None:
    """Look up, write, delete: each in its own directory, which a first access has brought in."""
    accesses([b"every/first", b"victims/first", b"small/first", b"large/first"], unit.merged)
    names = paths()
    unit.random.shuffle(names)
    # Starting a container takes the processor's caches with it, mounting one does not: without this, Docker's lookups
    # took 1.2 times as long. So what the layers have of the names is brought in again, past the union.
    for index in range(unit.depth):
        accesses(names, unit.driver.layer_path(unit.container, index))
    unit.settle()
    unit.record("lookup", accesses(names, unit.merged))
    for name, _, count in (SMALL, LARGE):
        for number in range(count):
            read_in(unit.merged / name / str(number))  # whoever wrote them: a full copy's pages are as it wrote them
        unit.settle()
        times = []
        for number in range(-1, count):  # the first of a directory brings that up as well, and is not counted
            path = os.fsencode(unit.merged / name / (str(number) if number >= 0 else "first"))
            start = perf_counter_ns()
            descriptor = os.open(path, os.O_RDWR | (0 if number >= 0 else os.O_CREAT))
            os.pwrite(descriptor, PAYLOAD, 0)
            times.append(perf_counter_ns() - start)
            os.close(descriptor)
        unit.record(name, times[1:])
    unit.settle()
    times = []
    for number in range(VICTIMS):
        path = os.fsencode(unit.merged / "victims" / str(number))
        start = perf_counter_ns()
        os.unlink(path)
        times.append(perf_counter_ns() - start)
    unit.record("unlink", times[1:])
    for name in ADDED:
        unit.record(name, [unit.container.took[name]])


def prove(unit: Unit) -> None:
    """The names exist, the writes landed in files that are otherwise the image's, the victims are gone."""
    unit.proven(all((unit.merged / os.fsdecode(path)).exists() for path in paths()), "the names looked up exist")
    for name, size, count in (SMALL, LARGE):
        for number in range(count):
            file = File(f"{name}/{number}", size)
            with open(unit.merged / file.path, "rb", buffering=0) as merged:
                same = read_equals(merged.fileno(), file, unit.seed, head=PAYLOAD)
            unit.proven(same, "content is the page written and, after it, the image's bytes")
            original = unit.driver.layer_path(unit.container, 0) / file.path
            with open(original, "rb", buffering=0) as lower:
                unit.proven(read_equals(lower.fileno(), file, unit.seed), "the image's file is unchanged")
    unit.proven(not any((unit.merged / "victims").iterdir()), "the deleted files are gone")


def beside(analysis: Analysis, arm: str, metric: str) -> Estimate | None:
    """Return by what factor a metric differs from the stack that is built by hand, paired by block."""
    driver, _, volume = arm.partition("@")
    return analysis.between(SCENARIO.name, metric, arm, f"{BESIDE.get(driver, '')}@{volume}", _depth(analysis))


def _depth(analysis: Analysis) -> int:
    """Return the depth that is told of."""
    return analysis.depth(SCENARIO.name, DEPTH)


def _why(analysis: Analysis, arm: str) -> str:
    """Say what is known to differ between an engine's stack and ours."""
    driver, _, volume = arm.partition("@")
    if BESIDE.get(driver) == "vfs" and volume.partition(",")[0] in CLONING:
        return "the engine's copies are clones, so that a first write copies blocks; ours are not, without reflink=on"
    return ""


def tables(analysis: Analysis) -> Iterator[Table]:
    """All drivers against a plain directory; engines against what is built by hand, and what they add."""
    rows = []
    arms = sorted(analysis.arms(SCENARIO.name), key=lambda arm: (arm.partition("@")[2], "/" in arm))  # engines last
    for arm in arms:
        ratios = [analysis.ratio(SCENARIO.name, arm, metric, depth=_depth(analysis)) for metric in SAME]
        if any(ratios):
            added = [analysis.cell(SCENARIO.name, arm, metric, depth=_depth(analysis)) for metric in ADDED]
            cells = [one.text("×") if one else "–" for one in ratios]
            rows.append((arm, *cells, *(one.text("ns") if one else "–" for one in added)))
    titles = [SCENARIO.metric(name).title for name in (*SAME, *ADDED)]
    if rows:
        yield Table("Every driver, times a plain directory", ("arm", *titles), (*rows,))
    rows = []
    for arm in arms:
        told = [beside(analysis, arm, metric) for metric in SAME]
        if any(told):
            cells = [one.text("×") if one else "–" for one in told]
            rows.append((arm, *cells, _why(analysis, arm)))
    columns = ("engine", *(SCENARIO.metric(name).title for name in SAME), "why it may differ")
    if rows:
        yield Table("An engine's container, times the one that is built by hand", columns, (*rows,))


def answers(analysis: Analysis) -> Iterator[Answer]:
    """Whether measuring by hand measures what an engine gives its users."""
    for arm in analysis.arms(SCENARIO.name):
        looked, wrote = beside(analysis, arm, "lookup"), beside(analysis, arm, "small")
        start = analysis.cell(SCENARIO.name, arm, "mount", depth=_depth(analysis))
        if arm.startswith("docker/overlay2@") and looked and wrote and start:
            yield Answer(
                f"In Docker's own container a lookup costs {looked.text('×')} what it costs in one built by hand, a "
                f"first write of 4 KiB {wrote.text('×')}; starting it takes {start.text('ns')}.",
                arm,
                SCENARIO.name,
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
        "process in it. Engines are private instances on volumes of their own, containers have no network."
    ),
    order=0,
    weight=0.4,
    metrics=(
        Metric("lookup", "lookup in the bottom layer"),
        Metric("small", "first write, 4 KiB"),
        Metric("large", "first write, 1 MiB"),
        Metric("unlink", "deleting a file"),
        Metric("create", "creating it"),
        Metric("mount", "mounting or starting it"),
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
    working_bytes=lambda params: 8 << 20,
    tables=tables,
    answers=answers,
)
