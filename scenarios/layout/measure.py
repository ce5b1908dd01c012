"""Equality of a stack by hand and Docker's stack: comparison of both homes, made from one archive.

At rest, while a container with changes runs, and after it stopped. The two times are those of loading an image, and of
building the same layers by hand.
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
from bench.engines.layout import CONTAINER, INIT_LAYER, compare, describe, inode_numbers, without_init
from bench.errors import BenchError
from bench.kernel import mounts
from bench.layers.content import Deleted, Directory, File, Layer, Link
from bench.model import Cell, Temperature
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.layout.reading import FEW, MANY, MOST, READING

NAMES = tuple(f"{Docker.name}/{storage.name}" for storage in Docker.storages if storage.name != "fuse-overlayfs")
SHOWN = 3  # differences in a unit's row


def grids(profile: str) -> Iterable[Grid]:
    """One unit each, because loading 125 layers takes Docker ten seconds; a full run also has loads of 20 seconds."""
    if profile != "full":
        yield Grid((1, 5), (Temperature.NEW,), {"files": (FEW,)}, drivers=NAMES, max_blocks=1)
        yield Grid((MOST,), (Temperature.NEW,), {"files": (FEW,)}, drivers=("docker/overlay2",), max_blocks=1)
    else:
        yield Grid((1, 2, 5, 72, MOST), (Temperature.NEW,), {"files": (FEW,)}, drivers=NAMES, max_blocks=1)
        yield Grid((MOST - 1,), (Temperature.NEW,), {"files": (MANY,)}, drivers=("docker/overlay2",), max_blocks=2)


def layer(index: int, params: Params) -> Layer:
    """Directories of two modes, a file of every layer, files of this layer, a link, an opaque directory, a deletion."""
    files = [File(f"every/{index}-{number}", 5000, mode=0o640) for number in range(int(params["files"]))]
    deleted = (Deleted(f"every/{index - 1}-1"),) if index else ()
    return (
        *(Directory("again", opaque=index > 0), File(f"again/{index}", 10)),
        *(Directory("every"), Directory("secret", 0o700), Directory(f"own-{index}")),
        File("every/common", 100, origin=index),
        *files,
        *deleted,
        Link(f"every/link-{index}", "../secret"),
    )


def applies(cell: Cell, driver: Driver) -> str:
    """Only Docker's layout is compared."""
    return "" if driver.name in NAMES else "no layout of Docker's to hold it against"


def operate(unit: Unit) -> None:
    """Load the archive into the engine; build the same layers by hand."""
    driver, root = unit.driver, unit.container.stack.home
    assert isinstance(driver, EngineDriver)
    root.mkdir()
    stack = driver.build(root / "engine", unit.layers, (unit.depth,), unit.seed)
    unit.notes["stack"] = stack
    unit.record("load", [stack.loading])
    unit.record("by_hand", [stack.building])


def prove(unit: Unit) -> None:
    """Compare, and count the files of layers in Docker's home."""
    driver, stack = unit.driver, unit.notes["stack"]
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
    by_hand, own_stack = driver.by_hand, stack.by_hand
    assert stack.engine is not None
    assert own_stack is not None
    home = stack.engine.storage_home
    names = {_identity(path): f"layer {number}" for number, path in enumerate(map(Path, stack.ids))}
    own_names = {identity: f"layer {number}" for number, identity in enumerate(own_stack.ids)}
    at_rest = describe(home, names)
    _count(unit, at_rest)
    _expect(unit, "at_rest", compare(at_rest, describe(own_stack.home, own_names)))
    container = driver.create_read_write(stack, unit.depth)
    own_container = by_hand.create_read_write(own_stack, unit.depth)
    try:
        if driver.storage == Btrfs.name:  # its tree is sorted by inode numbers, which affects the cost
            images = (driver.layer_path(container, 0), by_hand.layer_path(own_container, 0))
            _expect(unit, "numbers", compare(*map(inode_numbers, images)))
        with by_hand.mount(own_container):  # dockerd mounts a container when it creates it, and again to start it
            pass
        with driver.mount(container) as merged, by_hand.mount(own_container) as own_merged:
            for tree in (merged, own_merged):
                _change(tree, unit.depth)
            identity = _identity(container.path)
            names |= {identity: CONTAINER, f"{identity}-init": INIT_LAYER}
            own_names[own_container.path.name] = CONTAINER
            _expect(unit, "running", _differences(home, names, own_stack.home, own_names))
            unit.counters["merged_running"] = int((container.path / "merged").is_dir())
            unit.counters["relative_lower"] = int("lowerdir=l/" in mounts.mount_entry(merged).options)
            theirs, ours = (_options(tree) for tree in (merged, own_merged))
            _expect(unit, "options", [] if theirs == ours else [f"theirs {theirs}, ours {ours}"])
        _expect(unit, "stopped", _differences(home, names, own_stack.home, own_names))
    finally:
        driver.remove(container)
        by_hand.remove(own_container)


def _differences(home: Path, names: dict[str, str], own_home: Path, own_names: dict[str, str]) -> list[str]:
    records = next((f"{name}/" for name in ("dir", "subvolumes", "mnt") if (home / name).exists()), "")
    return compare(without_init(describe(home, names), records), without_init(describe(own_home, own_names), records))


def _identity(path: Path) -> str:
    """Return the name of a layer's directory: the last part of its path with 64 characters."""
    return next(part for part in reversed(path.parts) if len(part) == 64)


def _options(tree: Path) -> list[str]:
    """Return the mount options without paths and their number; empty for a subvolume, whose name is among them."""
    entry = mounts.mount_entry(tree)
    if entry.fstype == "btrfs":
        return []
    varying = ("lowerdir", "si=")  # of aufs, a number of the mount
    return sorted(option for option in entry.summary.split(",") if not option.startswith(varying))


def _change(tree: Path, depth: int) -> None:
    """Write to a file of the image, delete one, remove a directory, and re-create another."""
    with (tree / "every" / "common").open("ab") as file:
        file.write(b"more")
    (tree / "every" / "0-0").unlink()
    shutil.rmtree(tree / f"own-{depth - 1}")
    (tree / "secret").rmdir()
    (tree / "secret").mkdir(mode=0o700)


def _expect(unit: Unit, state: str, differences: Sequence[str]) -> None:
    shown = "; ".join(differences[:SHOWN])
    unit.expect(f"different_{state}", len(differences), 0, why=shown or "what is built by hand is what Docker builds")


def _count(unit: Unit, description: dict[str, str]) -> None:
    """Count the names of claim C4 in Docker's home."""
    if unit.driver.name != "docker/overlay2":
        return
    paths = [path.split("/") for path in description]
    for name in ("link", "lower", "diff", "work", "merged", "committed"):
        unit.counters[f"layers_with_{name}"] = sum(parts[1:] == [name] for parts in paths)
    unit.counters["bottom_lower"] = int("layer 0/lower" in description) + int("layer 0/work" in description)
    unit.counters["short_links"] = sum(parts[0] == "l" and len(parts) == 2 for parts in paths)


def _one_more(unit: Unit, stack: EngineStack) -> None:
    """Load an image with one layer more than Docker's maximum."""
    assert stack.engine is not None
    layers = [*with_program(unit.layers), layer(unit.depth, unit.params)]
    archive = unit.container.stack.home / "one-more.tar"
    save(layers, (len(layers),), unit.seed, archive)
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
