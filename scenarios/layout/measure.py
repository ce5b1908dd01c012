"""Whether what is built by hand is what Docker builds: both homes side by side, from one archive.

At rest, while a container runs in which something was changed, and after it stopped. Its two times are what a user
pays for an image: to load it, and to lay the same layers out by hand.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.drivers.base import Driver
from bench.drivers.btrfs import Btrfs
from bench.drivers.engine import EngineDriver, EngineStack, with_program
from bench.engines.docker import Docker
from bench.engines.images import save
from bench.engines.layout import CONTAINER, INIT_LAYER, compare, described, numbered, without_init
from bench.errors import BenchError
from bench.kernel import mounts
from bench.layers.content import Deleted, Directory, File, Layer, Link
from bench.model import Cell, Temperature
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.layout.reading import FEW, MANY, MOST, READING

NAMES = tuple(f"{Docker.name}/{storage.name}" for storage in Docker.storages if storage.name != "fuse-overlayfs")
SHOWN = 3  # differences in a unit's row


def grids(profile: str) -> Iterable[Grid]:
    """Once each, for loading 125 layers takes Docker ten seconds; a full run also loads what takes it 20."""
    if profile != "full":
        yield Grid((1, 5), (Temperature.NEW,), {"files": (FEW,)}, drivers=NAMES, max_blocks=1)
        yield Grid((MOST,), (Temperature.NEW,), {"files": (FEW,)}, drivers=("docker/overlay2",), max_blocks=1)
    else:
        yield Grid((1, 2, 5, 72, MOST), (Temperature.NEW,), {"files": (FEW,)}, drivers=NAMES, max_blocks=1)
        yield Grid((MOST - 1,), (Temperature.NEW,), {"files": (MANY,)}, drivers=("docker/overlay2",), max_blocks=2)


def layer(index: int, params: Params) -> Layer:
    """Directories of two modes, a file that every layer has, others of its own, a link; and what is deleted below."""
    own = [File(f"every/{index}-{number}", 5000, mode=0o640) for number in range(int(params["files"]))]
    deleted = (Deleted(f"every/{index - 1}-1"),) if index else ()
    return (
        *(Directory("again", opaque=index > 0), File(f"again/{index}", 10)),
        *(Directory("every"), Directory("secret", 0o700), Directory(f"own-{index}")),
        File("every/common", 100, origin=index),
        *own,
        *deleted,
        Link(f"every/link-{index}", "../secret"),
    )


def applies(cell: Cell, driver: Driver) -> str:
    """Only Docker has a layout to hold against ours."""
    return "" if driver.name in NAMES else "no layout of Docker's to hold it against"


def operate(unit: Unit) -> None:
    """Have the engine load the archive; the same layers are built by hand beside it."""
    driver, root = unit.driver, unit.container.stack.home
    assert isinstance(driver, EngineDriver)
    root.mkdir()
    theirs = driver.build(root / "engine", unit.layers, (unit.depth,), unit.seed)
    unit.notes["theirs"] = theirs
    unit.record("load", [theirs.loading])
    unit.record("by_hand", [theirs.building])


def prove(unit: Unit) -> None:
    """Compare, and count what the layers of Docker's own home hold."""
    driver, stack = unit.driver, unit.notes["theirs"]
    assert isinstance(driver, EngineDriver)
    assert isinstance(stack, EngineStack)
    try:
        _compare(unit, driver, stack)
        if unit.depth == MOST:
            _one_more(unit, stack)
    finally:
        driver.close(stack)
        shutil.rmtree(unit.container.stack.home, ignore_errors=unit.volume.recipe.filesystem == "btrfs")  # subvolumes


def _compare(unit: Unit, driver: EngineDriver, stack: EngineStack) -> None:
    by_hand, ours = driver.by_hand, stack.by_hand
    assert stack.engine is not None
    assert ours is not None
    home = stack.engine.storage_home
    names = {_identity(path): f"layer {number}" for number, path in enumerate(map(Path, stack.ids))}
    own = {identity: f"layer {number}" for number, identity in enumerate(ours.ids)}
    at_rest = described(home, names)
    _count(unit, at_rest)
    _expect(unit, "at_rest", compare(at_rest, described(ours.home, own)))
    container = driver.create_read_write(stack, unit.depth)
    mine = by_hand.create_read_write(ours, unit.depth)
    try:
        if driver.storage == Btrfs.name:  # its tree is sorted by them, and what it costs follows from that
            images = (driver.layer_path(container, 0), by_hand.layer_path(mine, 0))
            _expect(unit, "numbers", compare(*map(numbered, images)))
        with by_hand.mount(mine):  # dockerd mounts a container when it creates it, and again to start it
            pass
        with driver.mount(container) as merged, by_hand.mount(mine) as other:
            for tree in (merged, other):
                _change(tree, unit.depth)
            identity = _identity(container.path)
            names |= {identity: CONTAINER, f"{identity}-init": INIT_LAYER}
            own[mine.path.name] = CONTAINER
            _expect(unit, "running", _differences(home, names, ours.home, own))
            unit.counters["merged_running"] = int((container.path / "merged").is_dir())
            unit.counters["relative_lower"] = int("lowerdir=l/" in mounts.mount_entry(merged).options)
            theirs, options = (_options(tree) for tree in (merged, other))
            _expect(unit, "options", [] if theirs == options else [f"theirs {theirs}, ours {options}"])
        _expect(unit, "stopped", _differences(home, names, ours.home, own))
    finally:
        driver.remove(container)
        by_hand.remove(mine)


def _differences(home: Path, names: dict[str, str], own_home: Path, own: dict[str, str]) -> list[str]:
    records = "dir/" if (home / "dir").exists() else "subvolumes/" if (home / "subvolumes").exists() else ""
    return compare(without_init(described(home, names), records), without_init(described(own_home, own), records))


def _identity(path: Path) -> str:
    """Return the name of a layer's directory: the last part of its path that is one of 64 digits."""
    return next(part for part in reversed(path.parts) if len(part) == 64)


def _options(tree: Path) -> list[str]:
    """Return the mount options without paths and how many there are of them; empty where nothing is mounted."""
    entry = mounts.mount_entry(tree)
    if entry.fstype != "overlay":
        return []
    return sorted(option for option in entry.summary.split(",") if not option.startswith("lowerdir"))


def _change(tree: Path, depth: int) -> None:
    """Write to a file of the image, delete one, and make a directory again."""
    with (tree / "every" / "common").open("ab") as file:
        file.write(b"more")
    (tree / "every" / "0-0").unlink()
    shutil.rmtree(tree / f"own-{depth - 1}")
    (tree / "secret").rmdir()
    (tree / "secret").mkdir(mode=0o700)


def _expect(unit: Unit, state: str, differences: Sequence[str]) -> None:
    shown = "; ".join(differences[:SHOWN])
    unit.expect(f"different_{state}", len(differences), 0, why=shown or "what is built by hand is what Docker builds")


def _count(unit: Unit, told: dict[str, str]) -> None:
    """Count the names that C4 speaks of, in the home that Docker made."""
    if unit.driver.name != "docker/overlay2":
        return
    paths = [path.split("/") for path in told]
    for name in ("link", "lower", "diff", "work", "merged", "committed"):
        unit.counters[f"layers_with_{name}"] = sum(parts[1:] == [name] for parts in paths)
    unit.counters["bottom_lower"] = int("layer 0/lower" in told) + int("layer 0/work" in told)
    unit.counters["short_links"] = sum(parts[0] == "l" and len(parts) == 2 for parts in paths)


def _one_more(unit: Unit, stack: EngineStack) -> None:
    """Ask for one layer more than Docker takes."""
    assert stack.engine is not None
    more = [*with_program(unit.layers), layer(unit.depth, unit.params)]
    archive = unit.container.stack.home / "one-more.tar"
    save(more, (len(more),), unit.seed, archive)
    try:
        stack.engine.load(archive)
        refused = ""
    except BenchError as error:
        refused = error.why
    archive.unlink()
    unit.expect(
        "refuses_126", int("max depth exceeded" in refused), 1, why=f"layer/layer_store.go; it said {refused!r}"
    )


SCENARIO = Scenario(
    reading=READING,
    weight=0.1,
    grids=grids,
    layer=layer,
    content=("files",),
    applies=applies,
    operate=operate,
    prove=prove,
    needs_container=False,
    engines=True,
    needs_engine=True,
    gated=False,
)
