"""What mounting a container costs as layers grow, by hand and by Docker.

Docker names the layers by absolute paths until they fill a page of mount options, and then runs itself again in its
home directory to name them by shorter, relative ones (daemon/graphdriver/overlay2/overlay.go in moby, Get). Starting a
container takes so long that this step is lost in it; Docker also mounts a stopped container to tell of a file in it.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from bench.drivers.docker import DRIVERS
from bench.drivers.engine import EngineContainer, EngineDriver, EngineStack
from bench.engines.docker import Docker
from bench.kernel import mounts
from bench.layers.content import Directory, File, Layer
from bench.measure.clock import each
from bench.measure.scenario import Grid, Law, Metric, Params, Scenario, Unit
from bench.model import Temperature
from bench.verdicts.claims import Answer, Finding, Outcome, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.drivers.base import Container, Driver, Stack
    from bench.model import Cell
    from bench.stats.analysis import Analysis
    from bench.stats.estimate import Estimate

DOCKER = next(kind.name for kind in DRIVERS if kind.storage == "overlay2")
MOUNTED = ("overlay2", "overlay", "fuse-overlayfs")  # by hand
DEPTHS = (1, 16, 32, 64, 96, 125)
AROUND = (1, 32, 48, 56, 64, 72, 80, 96, 125)  # Docker's step lies among them wherever its home is: at 72 by default
REPEATS = 5  # of one container
SEEN = "/seen"  # a file of the bottom layer, of which Docker is asked
RELATIVE = "lowerdir=l/"  # in mount options
MOST_OPTIONS = mmap.PAGESIZE - 1  # bytes, beyond which Docker takes the other way


def grids(profile: str) -> Iterable[Grid]:
    """Depths; Docker's own around its step."""
    if profile != "quick":
        yield Grid(DEPTHS, (Temperature.HOT,), drivers=MOUNTED)
        yield Grid(AROUND, (Temperature.HOT,), drivers=(DOCKER,), blocks=8)


def layer(index: int, params: Params) -> Layer:
    """A directory that every layer holds, and the file."""
    return (Directory("every"), File(f"every/{index}", 0), *((File(SEEN[1:], 0),) if not index else ()))


def applies(cell: Cell, driver: Driver) -> str:
    """Where something is mounted, and of engines the one that can be asked to mount."""
    if isinstance(driver, EngineDriver):
        return "" if driver.name == DOCKER else "it cannot be asked to mount a container and no more"
    return "" if driver.name in MOUNTED else "nothing is mounted, or not from layers"


def operate(unit: Unit) -> None:
    """Mount and unmount another container of the image, and again; Docker's and one by hand on the same volume."""
    stack = unit.container.stack
    if not isinstance(unit.driver, EngineDriver):
        unit.record("cycle", _cycles(unit, unit.driver, stack))
        return
    assert isinstance(stack, EngineStack)
    assert stack.by_hand is not None
    assert isinstance(stack.engine, Docker)
    engine = stack.engine
    unit.record("by_hand", _cycles(unit, unit.driver.by_hand, stack.by_hand))
    container = unit.driver.create_read_write(stack, unit.depth)
    try:
        assert isinstance(container, EngineContainer)
        identity = container.identity
        engine.look(identity, SEEN)
        unit.settle()
        unit.record("engine", each(lambda path: engine.look(identity, path), [SEEN] * REPEATS))
    finally:
        unit.driver.remove(container)


def _cycles(unit: Unit, driver: Driver, stack: Stack) -> list[int]:
    """Return the nanoseconds of mounting and unmounting a fresh container, after once without the clock."""
    container = driver.create_read_write(stack, unit.depth)

    def cycle(_: int) -> None:
        with driver.get(container):
            pass

    try:
        cycle(0)
        unit.settle()
        return each(cycle, range(REPEATS))
    finally:
        driver.remove(container)


def prove(unit: Unit) -> None:
    """The mounted container shows the bottom layer; Docker's names its layers as its source says."""
    unit.proven((unit.merged / SEEN[1:]).exists(), "the bottom layer is seen")
    if isinstance(unit.driver, EngineDriver):
        length = _absolute_length(unit.container)
        relative = RELATIVE in mounts.mount_entry(unit.merged).options
        unit.counters["absolute_bytes"] = length
        unit.expect("relative", int(relative), int(length > MOST_OPTIONS), why=f"overlay.go, Get: {length} bytes")


def _absolute_length(container: Container) -> int:
    """Return how long Docker's mount options are with absolute paths."""
    home = container.path.parent
    lower = (container.path / "lower").read_text(encoding="ascii").split(":")
    names = ":".join(str(home / name) for name in lower)
    return len(f"index=off,lowerdir={names},upperdir={container.path / 'diff'},workdir={container.path / 'work'}")


def step(analysis: Analysis, arm: str) -> tuple[int, int] | None:
    """Return between which depths Docker goes over to relative paths; None where both were not measured."""
    told = {
        depth: row["maximum"]
        for depth in sorted({int(depth) for depth in analysis.units(SCENARIO.name)["depth"]})
        if (row := analysis.counter(SCENARIO.name, arm, "relative", depth=depth)) is not None
    }
    last = max((depth for depth, relative in told.items() if not relative), default=0)
    first = min((depth for depth, relative in told.items() if relative), default=0)
    return (last, first) if last and first else None


def _grown(analysis: Analysis, arm: str, metric: str, depths: tuple[int, int]) -> Estimate | None:
    """Return by what factor a metric grows between the two depths, paired by block."""
    one, other = ({"arm": arm, "metric": metric, "depth": depth} for depth in reversed(depths))
    return analysis.paired(SCENARIO.name, one, other)


def tables(analysis: Analysis) -> Iterator[Table]:
    """Docker's mount beside one by hand, depth by depth."""
    rows = []
    for arm in analysis.arms(SCENARIO.name):
        for depth in sorted({int(depth) for depth in analysis.units(SCENARIO.name)["depth"]}):
            relative = analysis.counter(SCENARIO.name, arm, "relative", depth=depth)
            length = analysis.counter(SCENARIO.name, arm, "absolute_bytes", depth=depth)
            engine = analysis.cell(SCENARIO.name, arm, "engine", depth=depth)
            by_hand = analysis.cell(SCENARIO.name, arm, "by_hand", depth=depth)
            if relative and length and engine and by_hand:
                way = "relative" if relative["maximum"] else "absolute"
                rows.append((arm, f"{depth}", f"{length['maximum']:,.0f}", way, engine.text("ns"), by_hand.text("ns")))
    columns = ("engine", "layers", "bytes of absolute options", "paths", "mount and unmount", "by hand beside it")
    if rows:
        yield Table("Where Docker's mount options pass a page", columns, tuple(rows))


def answers(analysis: Analysis) -> Iterator[Answer]:
    """The step."""
    for arm in analysis.arms(SCENARIO.name):
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
                SCENARIO.name,
            )


def judge_links(analysis: Analysis) -> Iterator[Finding]:
    """C4: when the short links are used."""
    for arm in analysis.arms(SCENARIO.name):
        between = step(analysis, arm)
        if between is not None:
            last, first = between
            text = (
                f"with this run's paths dockerd mounted {last} layers by absolute l/ links and {first} by relative ones"
            )
            yield Finding(arm, Outcome.QUALIFIED, text)


SCENARIO = Scenario(
    name="mounting",
    question="What does mounting a container cost as layers grow, and where does Docker's take a step?",
    method=(
        f"While one container of the image is mounted, another is mounted and unmounted {REPEATS} times; the median is "
        "the unit's observation. Docker is asked by its API for a file of a container that does not run, for which it "
        "mounts and unmounts it (`docker start` takes so long that nothing of this shows); beside it the same image is "
        "mounted by hand on the same volume. Counted: whether a running container's layers are named by relative "
        "paths, against the length that absolute ones would have and the page that Docker allows for them."
    ),
    order=5,
    weight=0.05,
    metrics=(
        Metric("cycle", "mounting and unmounting"),
        Metric("engine", "Docker mounting and unmounting"),
        Metric("by_hand", "mounting and unmounting by hand beside it"),
    ),
    headline="cycle",
    grids=grids,
    layer=layer,
    applies=applies,
    operate=operate,
    prove=prove,
    engines=True,
    gated=False,
    laws=(Law("cycle", "depth", "mounting grows with the layers", per_name="layer"),),
    claims={"C4": judge_links},
    tables=tables,
    answers=answers,
)
