"""Every driver's container beside a plain directory: the same operations do the same, but for what is declared."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import discovery
from bench.layers.content import File
from bench.layers.materialise import materialise
from bench.layers.tree import flatten
from bench.oracle import attributes, contents, entries, operations, unusual
from bench.oracle.replay import Replay, compare
from bench.oracle.streams import stream
from scenarios.differences.measure import DEPTH, DIRECTORIES, MARKED, NAMES, TREE, layer, once
from tests.host.isolated import isolated
from tests.integration.places import BY_HAND, made, own_volume, require
from tests.oracle.shrink import shrunk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.drivers.base import Driver, Stack
    from bench.oracle.operations import Operation
    from bench.volumes.base import LoopVolume

pytestmark = pytest.mark.root
OPERATIONS = int(os.environ.get("BENCH_ORACLE_OPERATIONS", "2000"))  # per driver
# The most that unionfs-fuse can mark, that fuse-overlayfs can and that file systems take, and one more than each.
NAME_BYTES = (247, 248, 251, 252, 255)
DELETED, REWRITTEN = "d", "w"  # what the long names of the image consist of
LONG_NAMES = tuple(File(f"{TREE}/{letter * size}", 10) for letter in (DELETED, REWRITTEN) for size in NAME_BYTES)
LAYERS = [(*layer(0, {}), *LONG_NAMES), *(layer(index, {}) for index in range(1, DEPTH))]
PLACES = [
    *((own_volume(name), name) for name in BY_HAND if discovery.driver(name).copies_on_write),
    *(("xfs", "overlay2"), ("btrfs", "overlay2")),
]


def beside(driver: Driver, volume: LoopVolume, operations: Sequence[Operation], *, declared: bool = True) -> Replay:
    """Do them in a fresh container of the image and in a fresh plain directory."""
    plain = volume.path / "plain"
    shutil.rmtree(plain, ignore_errors=True)
    plain.mkdir()
    materialise(flatten(LAYERS), plain, 1)
    home = volume.path / "home"
    if home not in STACKS:
        STACKS[home] = driver.build(home, LAYERS, (DEPTH,), 1)
    container = driver.create_read_write(STACKS[home], DEPTH)
    try:
        with driver.mount(container) as merged:
            known = (*driver.differences, *volume.recipe.differences)
            return compare(operations, merged / TREE, plain / TREE, known if declared else ())
    finally:
        driver.remove(container)


STACKS: dict[Path, Stack] = {}  # of this process: each test works in a forked child


@pytest.mark.parametrize(("volume_name", "name"), PLACES)
def test_a_stream_of_operations_shows_no_undeclared_difference(volume_name: str, name: str, place: Path) -> None:
    require(volume=volume_name, driver=name)

    def work() -> None:
        with made(volume_name, place) as volume:
            driver = discovery.driver(name)()
            drawn = [*stream(random.Random(7), OPERATIONS, DIRECTORIES, NAMES), *once()]
            drawn += [unusual.UnlinkLong(DELETED * size) for size in NAME_BYTES]
            drawn += [unusual.WriteAndUnlinkLong(REWRITTEN * size, b"more") for size in NAME_BYTES]
            told = beside(driver, volume, drawn)
            if told.mismatch is not None:
                shortest = shrunk(
                    drawn[: told.mismatch.number + 500], lambda some: bool(beside(driver, volume, some).mismatch)
                )
                raise AssertionError(f"{told.mismatch}; the shortest way there: {'; '.join(map(str, shortest))}")
            assert told.operations + sum(told.declared.values()) >= OPERATIONS

    isolated(work)


ONE = st.integers(0, 2**32).map(lambda seed: next(iter(stream(random.Random(seed), 1, DIRECTORIES, NAMES))))


def test_overlay2_under_streams_that_hypothesis_finds(place: Path) -> None:
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")()

            @settings(max_examples=60, database=None, suppress_health_check=[HealthCheck.too_slow])
            @given(st.lists(ONE, max_size=40))
            def check(operations: list[Operation]) -> None:
                assert beside(driver, volume, operations).mismatch is None

            check()

    isolated(work)


BREAK_LINK = once()[0]
# What a declaration says, as short as it can be done, and what is seen then.
SHOWN: list[tuple[str, list[Operation], str]] = [
    ("overlay2", [entries.Rename("bottom", "new")], "EXDEV"),
    ("overlay", [entries.Rename("bottom", "new")], "EXDEV"),
    ("overlay2", [contents.MapOlder("all/a", b"new")], "map-open-file"),
    ("overlay", [operations.Look("bottom/b")], "links=3"),
    ("overlay2", [BREAK_LINK], "write-linked"),
    ("overlay", [BREAK_LINK], "write-linked"),
    ("unionfs-fuse", [BREAK_LINK], "write-linked"),
    ("overlay2", [entries.MakeWhiteout("new")], "EPERM"),
    ("overlay", [entries.MakeWhiteout("new")], "EPERM"),
    ("fuse-overlayfs", [entries.MakeWhiteout("new")], "ENOENT"),
    ("fuse-overlayfs", [contents.CreateMarked(".wh.d", 0o600)], "EINVAL"),
    ("fuse-overlayfs", [contents.CreateLong("n" * 252, 0o600)], "ENAMETOOLONG"),
    ("fuse-overlayfs", [unusual.UnlinkLong(DELETED * 252)], "ECONNABORTED"),
    ("fuse-overlayfs", [unusual.WriteAndUnlinkLong(REWRITTEN * 252, b"more")], "ECONNABORTED"),
    ("fuse-overlayfs", [unusual.SetMark(MARKED, "trusted.overlay.opaque", b"y")], "EPERM"),
    ("fuse-overlayfs", [unusual.SetMark(MARKED, "user.fuseoverlayfs.opaque", b"y")], "EPERM"),
    ("fuse-overlayfs", [unusual.SetMark(MARKED, "user.overlay.opaque", b"y")], "('ok', {}) here"),
    ("unionfs-fuse", [unusual.UnlinkLong(DELETED * 248)], "ENAMETOOLONG"),
    ("unionfs-fuse", [unusual.WriteAndUnlinkLong(REWRITTEN * 248, b"more")], "kind='absent'"),
    ("unionfs-fuse", [unusual.CreateHidden(".fuse_hidden1", 0o600)], "'.fuse_hidden1'"),
    (
        "fuse-overlayfs",
        [contents.Create("new", 0o600), entries.Rename("new", "bottom/a"), entries.Unlink("bottom/a")],
        "unlink",
    ),
    ("unionfs-fuse", [attributes.SetAttribute("d", "user.one", b"1")], "ENOTSUP"),
    ("unionfs-fuse", [entries.MakeHardLink("d", "new")], "False"),
    (
        "unionfs-fuse",
        [contents.Create("all/e", 0o600), entries.Rename("all", "new"), operations.Look("new")],
        "look('new')",
    ),
]


@pytest.mark.parametrize(("name", "operations", "words"), SHOWN)
def test_what_is_declared_is_so(name: str, operations: list[Operation], words: str, place: Path) -> None:
    require(volume="ext4", driver=name)
    if name == "fuse-overlayfs" and " 1.10" not in subprocess.check_output([name, "--version"], text=True):
        pytest.skip("the declaration is of fuse-overlayfs 1.10")

    def work() -> None:
        with made("ext4", place) as volume:
            told = beside(discovery.driver(name)(), volume, operations, declared=False)
            assert told.mismatch is not None
            assert words in str(told.mismatch)

    isolated(work)


@pytest.mark.parametrize("options", [{"index": "on"}, {"nfs_export": "on"}])
def test_with_an_index_two_names_stay_one_file(options: dict[str, str], place: Path) -> None:
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")(options)
            assert not any(difference.concerns(BREAK_LINK.name) for difference in driver.differences)
            assert beside(driver, volume, [BREAK_LINK]).mismatch is None

    isolated(work)


@pytest.mark.parametrize("name", ["overlay2", "fuse-overlayfs"])
def test_an_undeclared_difference_is_found_and_shrunk(name: str, place: Path) -> None:
    """With nothing declared, the oracle comes to what was declared by itself."""
    require(volume="ext4", driver=name)

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver(name)()
            drawn = list(stream(random.Random(2), 3000, DIRECTORIES, NAMES))
            told = beside(driver, volume, drawn, declared=False)
            assert told.mismatch is not None
            shortest = shrunk(
                drawn[: told.mismatch.number + 1],
                lambda some: beside(driver, volume, some, declared=False).mismatch is not None,
            )
            assert len(shortest) <= 4
            assert {operation.name for operation in shortest} & {"rename", "map-open-file"}

    isolated(work)
