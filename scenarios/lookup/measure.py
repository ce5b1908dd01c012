"""Lookup of a name, and the cost of each layer.

A hit in layer k searches k layers, a miss all of them; only layers that have the parent directory are
searched (fs/overlayfs/namei.c, ovl_lookup). So the tree has a directory in every layer (`every`) and
one in the bottom layer only (`alone`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from bench.layers.content import Directory, File, Layer, read_equals
from bench.model import Temperature
from bench.scenario.clock import accesses, passes
from bench.scenario.contract import Grid, Params, Point, Scenario, Unit
from scenarios.lookup.reading import DEEP, HOT_PARTS, JUDGED_NAMES, MORE_NAMES, NAMES, PASSES, READING

CHAINS = 4  # nested paths, each looked up once in a unit
NEST = ("a", "b", "c")
COMMON = "every/common"  # in every layer, each with its own content
QUICK = (1, 16, 32, 64, 96, 125)
STANDARD = (1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 125)
FEW = (1, 16, 32, 64, 96, 125)
FULL = (*STANDARD, 160, 200, 250, 300, 400, 500)


def grids(profile: str) -> Iterable[Grid]:
    """All depths in all three temperatures for overlay2, a few depths for the others."""
    depths, few = {"quick": (QUICK, (1, 32)), "standard": (STANDARD, (1, 32, 125))}.get(profile, (FULL, FEW))
    yield Grid(depths, tuple(Temperature), drivers=("overlay2",))
    yield Grid(few, tuple(Temperature))
    yield Grid((1, DEEP), tuple(Temperature), drivers=("overlay2",))  # a plain directory too at the depth of the ratios


def layer(index: int, params: Params) -> Layer:
    """Names of this layer in `every`, a common name, nested directories; `alone` only in the bottom layer."""
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
    """Return the paths of each kind of lookup that is to be measured and exists at this depth."""
    depth, count = unit.depth, JUDGED_NAMES if unit.judged else MORE_NAMES
    kinds = {
        "bottom": [f"every/0-{number}" for number in range(count)],
        "miss": [f"every/none-{number}" for number in range(count)],
        "nested": [f"nest{chain}/{'/'.join(NEST)}/leaf" for chain in range(CHAINS)],
        "alone_hit": [f"alone/{number}" for number in range(NAMES)],
        "alone_miss": [f"alone/none-{number}" for number in range(NAMES)],
    }
    if depth > 1:
        kinds["top"] = [f"every/{depth - 1}-{number}" for number in range(NAMES)]
    if depth > 2:
        kinds["middle"] = [f"every/{depth // 2}-{number}" for number in range(NAMES)]
    # A name that the other unit has just looked up is in the processor's caches for every layer: 3.5 instead of 10 µs.
    return {kind: [path.encode() for path in unit.own(paths)] for kind, paths in kinds.items() if unit.wants(kind)}


def touch(unit: Unit) -> None:
    """Look up every name once, and a missing name in both directories."""
    accesses([b"every/touch", b"alone/touch"], unit.merged)
    for paths in names(unit).values():
        accesses(paths, unit.merged)


def operate(unit: Unit) -> Iterator[None]:
    """access(2) on each name, relative to the container's root; the first access in a directory is separate."""
    kinds = names(unit)
    order = [kind for kind in kinds if kind != "nested"]
    unit.random.shuffle(order)
    # The first access in a directory also looks up the directory itself in every layer that has it.
    unit.record("first", accesses([b"every/first"], unit.merged))
    accesses([b"alone/first"], unit.merged)
    yield
    hot = unit.cell.temperature is Temperature.HOT  # repeated lookups do not change this temperature
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
    """Look up each name once."""
    unit.settle()
    yield
    times: list[int] = []
    for part in unit.parts(paths):
        times += accesses(part, unit.merged)
        yield
    unit.record(kind, times)


def program(unit: Unit) -> tuple[str, ...]:
    """Arguments of the C reference: the hits in the bottom layer."""
    return ("lookup", str(unit.merged), *map(os.fsdecode, names(unit)["bottom"]))


def prove(unit: Unit) -> None:
    """Hits exist, misses do not, and a read returns the content of the topmost layer with the file."""
    for kind, paths in names(unit).items():
        exist = [(unit.merged / os.fsdecode(path)).exists() for path in paths]
        missing = kind.endswith("miss")
        unit.require_proof(not any(exist) if missing else all(exist), f"{kind}: {'absent' if missing else 'present'}")
    with open(unit.merged / COMMON, "rb", buffering=0) as file:
        top = read_equals(file.fileno(), File(COMMON, 64, origin=unit.depth - 1), unit.seed)
    unit.expect("reads_topmost", int(top), 1, why="non-directories do not merge")


SCENARIO = Scenario(
    reading=READING,
    weight=0.4,
    grids=grids,
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    engines=True,
    compared=Point("bottom", DEEP, Temperature.NEW),
    program=program,
)
