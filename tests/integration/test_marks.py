"""Marks of one driver in a layer of an image, as each other driver shows them: the table of docs/method.md."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.errors import BenchError
from bench.layers.content import Deleted, Directory, File
from tests.host.isolated import isolated
from tests.integration.places import made, require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.layers.content import Layer

pytestmark = pytest.mark.root
BOTTOM: Layer = (Directory("d"), File("d/old", 10), File("x", 10))


def file(name: str) -> Callable[[Path], None]:
    def mark(layer: Path) -> None:
        (layer / name).parent.mkdir(exist_ok=True)
        (layer / name).touch()

    return mark


def node(layer: Path) -> None:
    (layer / "x").unlink(missing_ok=True)
    os.mknod(layer / "x", stat.S_IFCHR, os.makedev(0, 0))


def attribute(name: str) -> Callable[[Path], None]:
    return lambda layer: os.setxattr(layer / "d", name, b"y")


MARKS: dict[str, Callable[[Path], None]] = {
    "0:0": node,
    ".wh.x": file(".wh.x"),
    ".wh..wh..opq": file("d/.wh..wh..opq"),
    "trusted.overlay.opaque": attribute("trusted.overlay.opaque"),
    "user.overlay.opaque": attribute("user.overlay.opaque"),
    "user.fuseoverlayfs.opaque": attribute("user.fuseoverlayfs.opaque"),
    ".unionfs-fuse": file(".unionfs-fuse/x_HIDDEN~"),
}
HIDES = {
    "overlay2": {"0:0", "trusted.overlay.opaque"},
    "overlay": {"0:0"},  # one lower directory: there is nothing below it to hide, and the node itself is not shown
    "fuse-overlayfs": MARKS.keys() - {".unionfs-fuse"},
    "unionfs-fuse": {".unionfs-fuse"},
    "vfs": set(),
}
NODE = ("vfs", "0:0")


# A full copy has no device nodes to copy: no layer that is made here has one.
@pytest.mark.parametrize(("name", "mark"), [(name, mark) for name in HIDES for mark in MARKS if (name, mark) != NODE])
def test_a_driver_takes_its_own_marks_and_shows_others(name: str, mark: str, place: Path) -> None:
    require(volume="ext4", driver=name)

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver(name)()
            stack = driver.build(volume.path / "home", [BOTTOM, [Directory("d")], [Directory("d")]], (2, 3), 1)
            container = driver.create_read_write(stack, 2)
            MARKS[mark](driver.layer_path(container, 1))
            driver.remove(container)
            container = driver.create_read_write(stack, 2)
            with driver.mount(container) as merged:
                hidden = "x" not in os.listdir(merged) or "old" not in os.listdir(merged / "d")
                assert hidden == (mark in HIDES[name])

    isolated(work)


def renamed(merged: Path) -> None:
    (merged / "own").touch()
    os.rename(merged / "own", merged / ".wh.x")


def linked(merged: Path) -> None:
    (merged / "own").touch()
    os.link(merged / "own", merged / ".wh.x")


MADE: dict[str, Callable[[Path], None]] = {
    "renamed to .wh.x": renamed,
    "linked to .wh.x": linked,
    "directory .wh.x": lambda merged: os.mkdir(merged / ".wh.x"),
    "user.overlay.opaque": attribute("user.overlay.opaque"),
    ".unionfs-fuse": file(".unionfs-fuse/x_HIDDEN~"),
}
REFUSED = ("unionfs-fuse", "user.overlay.opaque")  # it takes no extended attributes


@pytest.mark.parametrize(
    ("name", "mark"),
    [(name, mark) for name in HIDES if name != "vfs" for mark in MADE if (name, mark) != REFUSED],
)
def test_what_a_container_makes_hides_where_it_is_the_drivers_mark(name: str, mark: str, place: Path) -> None:
    """On fuse-overlayfs only once it is mounted again; a file .wh.x it refuses, but not these."""
    require(volume="ext4", driver=name)
    own = {"fuse-overlayfs": MADE.keys() - {".unionfs-fuse"}, "unionfs-fuse": {".unionfs-fuse"}}

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver(name)()
            container = driver.create_read_write(driver.build(volume.path / "home", [BOTTOM], (1,), 1), 1)
            with driver.mount(container) as merged:
                MADE[mark](merged)
            with driver.mount(container) as merged:
                hidden = "x" not in os.listdir(merged) or "old" not in os.listdir(merged / "d")
                assert hidden == (mark in own.get(name, ()))

    isolated(work)


@pytest.mark.parametrize("name", ["unionfs-fuse", "mergerfs"])
@pytest.mark.parametrize("layer", [[Deleted("x")], [Directory("d", opaque=True)]])
def test_a_layer_that_hides_is_refused_where_it_would_be_shown(name: str, layer: Layer, place: Path) -> None:
    require(volume="ext4", driver=name)
    with pytest.raises(BenchError, match=f"{name} cannot build layer 1: it deletes or hides what lies below"):
        discovery.driver(name)().build(place / "home", [BOTTOM, layer], (2,), 1)
    assert not (place / "home").exists()
