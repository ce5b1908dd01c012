"""Finding a name: what each layer adds to a lookup.

A hit in layer k asks k layers, a miss asks all of them; only layers that hold the parent directory are
asked (fs/overlayfs/namei.c, ovl_lookup). So the tree has a directory that every layer holds (`every`)
and one that only the bottom layer holds (`alone`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.layers.content import Directory, File, Layer, read_equals
from bench.measure.clock import PASSES, accesses, passes
from bench.measure.scenario import Grid, Law, Metric, Params, Point, Scenario, Unit
from bench.model import NATIVE, Temperature
from bench.verdicts.claims import Answer, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.stats.analysis import Analysis
    from bench.stats.fit import Line

NAMES = 8  # names looked up per kind of lookup in a unit
# Of hits in the bottom layer and of misses, whose laws are told. With 8, two units of one cell differed by 7 to 11 % in
# the median, with 32 by 5 %, for 2 ms more.
MORE_NAMES = 32
# Of them in a comparison, which looks up only what it judges. On a quiet host two units then differed by half as much
# as with 32, for 1.4 times their time; on a noisy one, whose neighbours take the shared cache, by as much.
JUDGED_NAMES = 128
HOT_PARTS = 4  # a hot lookup stays hot, so that it can be timed at several quiet moments of a unit
CHAINS = 4  # nested paths, each walked once in a unit
NEST = ("a", "b", "c")
COMMON = "every/common"  # in every layer, each with its own content
QUICK = (1, 16, 32, 64, 96, 125)
STANDARD = (1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 125)
NEW_WORDS = "in a new container of an image in use"
FEW = (1, 16, 32, 64, 96, 125)
FULL = (*STANDARD, 160, 200, 250, 300, 400, 500)


def grids(profile: str) -> Iterable[Grid]:
    """All depths in all three temperatures for the kernel's driver, a few for the others."""
    depths, others = {"quick": (QUICK, (1, 32)), "standard": (STANDARD, (1, 32, 125))}.get(profile, (FULL, FEW))
    yield Grid(depths, tuple(Temperature), drivers=("overlay2",))
    yield Grid(others, tuple(Temperature))


def layer(index: int, params: Params) -> Layer:
    """Names of its own in `every`, a common one, a nested chain; `alone` only in the bottom layer."""
    entries: list[Directory | File] = [Directory("every")]
    entries += [File(f"every/{index}-{number}", 0) for number in range(NAMES if index else JUDGED_NAMES)]
    entries.append(File(COMMON, 64, origin=index))
    for chain in range(CHAINS):
        path = f"nest{chain}"
        entries.append(Directory(path))
        for part in NEST:
            path = f"{path}/{part}"
            entries.append(Directory(path))
        if index == 0:
            entries.append(File(f"{path}/leaf", 0))
    if index == 0:
        entries.append(Directory("alone"))
        entries += [File(f"alone/{number}", 0) for number in range(NAMES)]
    return entries


def names(unit: Unit) -> dict[str, list[bytes]]:
    """Return the paths of each kind of lookup that is wanted and that this depth has."""
    depth, more = unit.depth, JUDGED_NAMES if unit.judged else MORE_NAMES
    kinds = {
        "bottom": [f"every/0-{number}" for number in range(more)],
        "miss": [f"every/none-{number}" for number in range(more)],
        "nested": [f"nest{chain}/{'/'.join(NEST)}/leaf" for chain in range(CHAINS)],
        "alone_hit": [f"alone/{number}" for number in range(NAMES)],
        "alone_miss": [f"alone/none-{number}" for number in range(NAMES)],
    }
    if depth > 1:
        kinds["top"] = [f"every/{depth - 1}-{number}" for number in range(NAMES)]
    if depth > 2:
        kinds["middle"] = [f"every/{depth // 2}-{number}" for number in range(NAMES)]
    # A name that the other unit just looked up is in the processor's caches in every layer: 3.5 instead of 10 µs.
    return {kind: [path.encode() for path in unit.own(paths)] for kind, paths in kinds.items() if unit.wants(kind)}


def touch(unit: Unit) -> None:
    """Look every name up once; and where no name is wanted, only bring their directories in."""
    accesses([b"every/touch", b"alone/touch"], unit.merged)
    for paths in names(unit).values():
        accesses(paths, unit.merged)


def operate(unit: Unit) -> Iterator[None]:
    """access(2) on each name, relative to the container's root; the first in a directory apart."""
    kinds = names(unit)
    order = [kind for kind in kinds if kind != "nested"]
    unit.random.shuffle(order)
    # The first access in a directory brings that directory in, from every layer that holds it.
    unit.record("first", accesses([b"every/first"], unit.merged))
    accesses([b"alone/first"], unit.merged)
    yield
    hot = unit.cell.temperature is Temperature.HOT  # stays so, however often a name is looked up
    for kind in order:
        unit.random.shuffle(kinds[kind])
        if hot:
            times: list[float] = []
            for _ in range(HOT_PARTS):
                unit.settle()
                yield
                for part in unit.parts(range(PASSES)):
                    times += passes(kinds[kind], unit.merged, count=len(part))
                    yield
            unit.record(kind, times, calls=len(kinds[kind]))
        else:
            yield from _once(unit, kind, kinds[kind])
    if "nested" in kinds:
        yield from _once(unit, "nested", kinds["nested"])


def _once(unit: Unit, kind: str, paths: list[bytes]) -> Iterator[None]:
    """Look each name up once."""
    unit.settle()
    yield
    times: list[int] = []
    for part in unit.parts(paths):
        times += accesses(part, unit.merged)
        yield
    unit.record(kind, times)


def program(unit: Unit) -> tuple[str, ...]:
    """The hits in the bottom layer, as arguments of the C reference."""
    return ("lookup", str(unit.merged), *map(os.fsdecode, names(unit)["bottom"]))


def prove(unit: Unit) -> None:
    """Hits exist, misses do not, and a read comes from the topmost layer that has the file."""
    for kind, paths in names(unit).items():
        exist = [(unit.merged / os.fsdecode(path)).exists() for path in paths]
        missing = kind.endswith("miss")
        unit.proven(not any(exist) if missing else all(exist), f"{kind}: {'absent' if missing else 'present'}")
    with open(unit.merged / COMMON, "rb", buffering=0) as file:
        top = read_equals(file.fileno(), File(COMMON, 64, origin=unit.depth - 1), unit.seed)
    unit.expect("reads_topmost", int(top), 1, why="non-directories do not merge")


def _hot(line: Line) -> str:
    """Say whether depth matters once a name was looked up."""
    growth = f"{line.growth.scaled(100).text('%')} over {line.x_low:.0f} to {line.x_high:.0f} layers"
    if line.shape == "flat":
        return f"once looked up, depth does not matter ({growth})"
    if line.shape == "undecided":
        return f"whether it matters once looked up is undecided ({growth})"
    return f"once looked up, {line.slope.text('ns')}"


def answers(analysis: Analysis) -> Iterator[Answer]:
    """What a layer costs per cold lookup."""
    for arm in analysis.arms("lookup"):
        for metric, words in (("bottom", "of a file in the bottom layer"), ("miss", "of a name that no layer has")):
            costs = [
                f"{law.line.slope.text('ns')} {words_of}"
                for temperature, words_of in ((Temperature.COLD, "cold"), (Temperature.NEW, NEW_WORDS))
                if (law := analysis.law("lookup", metric, "depth", arm, temperature=temperature.value))
            ]
            hot = analysis.law("lookup", metric, "depth", arm, temperature=Temperature.HOT.value)
            if costs and arm.startswith("overlay2"):
                told = _hot(hot.line) if hot else "hot lookups were not measured"
                yield Answer(f"A layer costs, per lookup {words}, {', '.join(costs)}; {told}.", arm, "lookup")
        yield from _first(analysis, arm)


def _first(analysis: Analysis, arm: str) -> Iterator[Answer]:
    """What bringing a directory in costs, at the deepest stack that was measured."""
    cells = analysis.cells
    mine = cells[(cells["scenario"] == "lookup") & (cells["arm"] == arm)]
    if arm.startswith(("overlay2@", "fuse-overlayfs@")) and len(mine):
        depth = int(mine["depth"].max())
        new, cold = (
            analysis.cell("lookup", arm, "first", depth=depth, temperature=temperature.value)
            for temperature in (Temperature.NEW, Temperature.COLD)
        )
        if new is not None:
            more = f", {cold.text('ns')} cold" if cold else ""
            yield Answer(
                f"The first access in a directory that all of {depth} layers hold costs {new.text('ns')} in a new "
                f"container of an image in use{more}.",
                arm,
                "lookup",
            )


def judge_topmost(analysis: Analysis) -> Iterator[Finding]:
    """C5: the file that every layer holds was read in every unit."""
    for arm in analysis.arms("lookup"):
        seen = analysis.tally("lookup", arm, "reads_topmost")
        if seen is not None and not arm.startswith(f"{NATIVE}@"):
            yield Finding(
                arm,
                Outcome.CONFIRMED if seen[0] == seen[1] else Outcome.REFUTED,
                f"a file that all layers hold read as the topmost layer's in {seen[0]:,} of {seen[1]:,} units; "
                "directories merge, so this is true of everything else",
            )


def judge_backing(analysis: Analysis) -> Iterator[Finding]:
    """C2: the combinations that this run mounted."""
    units = analysis.units("lookup")
    for arm in analysis.arms("lookup"):
        good = int(((units["arm"] == arm) & (units["error"] == "")).sum())
        if arm.startswith(f"{NATIVE}@"):
            continue
        yield Finding(arm, Outcome.QUALIFIED, f"mounted and measured in {good} units")


SCENARIO = Scenario(
    name="lookup",
    question="What does finding a name cost as layers grow?",
    method=(
        "access(2) on names relative to the container's root, each name once per unit; a unit's observation of a "
        f"kind of lookup is the median of its names ({MORE_NAMES} in the bottom layer and of misses, else {NAMES}), in "
        f"random order (hot: of {HOT_PARTS} times {PASSES} passes over them, each timed as a whole). The first access "
        "in a directory is timed apart (`first`): it brings that directory in from every layer. `nested` walks a "
        "path of four directories that nothing has walked before. A comparison looks up only the kind that it judges, "
        f"{JUDGED_NAMES} names of it in the bottom layer or of misses, each unit of a pair half of them. "
        "Hot: this container has looked the names up. New container: another container of the image has. Cold: the "
        "backing file system was unmounted and mounted again."
    ),
    order=1,
    weight=0.4,
    metrics=(
        Metric("bottom", "hit in the bottom layer"),
        Metric("middle", "hit in the middle layer"),
        Metric("top", "hit in the top layer"),
        Metric("miss", "miss"),
        Metric("nested", "path of four directories, all in every layer"),
        Metric("alone_hit", "hit where only the bottom layer has the directory"),
        Metric("alone_miss", "miss where only the bottom layer has the directory"),
        Metric("first", "first access in a directory that every layer holds"),
    ),
    headline="bottom",
    grids=grids,
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    laws=tuple(
        Law(metric, "depth", f"{title}, {temperature}", {"temperature": temperature.value}, per_name="layer")
        for metric, title in (
            ("bottom", "hit in the bottom layer"),
            ("miss", "miss"),
            ("alone_hit", "hit where one layer has the directory"),
            ("alone_miss", "miss where one layer has the directory"),
        )
        for temperature in Temperature
    ),
    engines=True,
    compared=Point("bottom", 32, Temperature.NEW),
    program=program,
    answers=answers,
    claims={"C5": judge_topmost, "C2": judge_backing},
)
