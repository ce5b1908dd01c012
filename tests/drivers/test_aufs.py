"""aufs: branches as Docker writes them, and the calls that mount them; the kernel's part needs a patched kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.drivers import aufs
from bench.drivers.aufs import Aufs
from bench.kernel import mounts
from bench.layers.changes import DELETED, OPAQUE, PRESENT, Change
from bench.layers.content import Deleted, Directory, File, HardLink, Layer
from bench.volumes.btrfs import VOLUME as BTRFS
from bench.volumes.ext4 import VOLUME as EXT4

if TYPE_CHECKING:
    from pathlib import Path

LAYERS: list[Layer] = [
    (Directory("d"), File("d/a", 10), HardLink("d/b", "d/a"), Directory("again"), File("again/old", 1)),
    (Directory("d"), Deleted("d/a"), Directory("again", opaque=True), File("again/new", 1)),
    (File("top", 5000),),
]


def inodes_below(path: Path) -> int:
    return len({entry.lstat().st_ino for entry in (path, *path.rglob("*"))})


def test_a_stack_is_laid_out_as_docker_does(tmp_path: Path) -> None:
    stack = Aufs().build(tmp_path / "aufs", LAYERS, (3,), 1)
    assert {path.name for path in stack.home.iterdir()} == {"diff", "layers", "mnt"}
    parents = [(stack.home / "layers" / identity).read_text().split() for identity in stack.ids]
    assert parents == [[], [stack.ids[0]], [stack.ids[1], stack.ids[0]]]  # the nearest first
    middle = stack.home / "diff" / stack.ids[1]
    assert sorted(str(path.relative_to(middle)) for path in middle.rglob("*")) == [
        *("again", "again/.wh..wh..opq", "again/new", "d", "d/.wh.a")
    ]
    assert inodes_below(stack.home) == Aufs().footprint(LAYERS, (3,), EXT4).inodes


def test_a_container_has_a_branch_of_its_own_which_goes(tmp_path: Path) -> None:
    driver = Aufs()
    stack = driver.build(tmp_path / "aufs", LAYERS, (3,), 1)
    before = inodes_below(stack.home)
    container = driver.create_read_write(stack, 2)
    assert (stack.home / "layers" / container.path.name).read_text().split() == [stack.ids[1], stack.ids[0]]
    driver.remove(container)
    assert inodes_below(stack.home) == before


def test_changes_are_read_from_the_branch_without_what_aufs_keeps_there(tmp_path: Path) -> None:
    driver = Aufs()
    container = driver.create_read_write(driver.build(tmp_path / "aufs", LAYERS, (3,), 1), 3)
    for name in (".wh..wh.aufs", ".wh..wh.orph", ".wh..wh.plnk", "d/.wh.b", "again/.wh..wh..opq", "new"):
        path = container.path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [*(driver.changes(container) or ())] == [
        *(Change("again", OPAQUE), Change("again", PRESENT), Change("d", PRESENT), Change("d/b", DELETED)),
        Change("new", PRESENT),
    ]
    assert [driver.mark(container, name) for name in ("d/b", "again", "absent")] == [
        *("whiteout file", "opaque directory", "nothing")
    ]
    assert driver.whiteout(container, "d/b") == container.path / "d/.wh.b"


@pytest.mark.parametrize("layers", [1, 30, 126])
def test_branches_that_do_not_fit_a_page_are_appended(
    tmp_path: Path, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, str]] = []

    def mount(source: str, target: Path, fstype: str, *, flags: int = 0, options: str = "") -> None:
        calls.append((flags, options))

    monkeypatch.setattr(mounts, "mount", mount)
    lower = [f"/mnt/ext4/aufs-0/diff/{number:064x}" for number in range(layers)]
    remounts = aufs._mount(tmp_path, "/mnt/ext4/aufs-0/diff/upper", lower)
    (flags, first), *others = calls
    assert flags == 0
    assert first.startswith("br:/mnt/ext4/aufs-0/diff/upper=rw:")
    assert first.endswith("=ro+wh,dio,xino=/dev/shm/aufs.xino,dirperm1")
    assert {flags for flags, _ in others} <= {mounts.MS_REMOUNT}
    assert remounts == len(others) == {1: 0, 30: 0, 126: 3}[layers]
    assert all(len(options) < mounts.PAGE for _, options in calls)
    named = [path for _, options in calls for path in lower if f"{path}=ro+wh" in options]
    assert named == lower  # all of them, in order


def test_what_this_kernel_lacks_is_told() -> None:
    support = discovery.driver("aufs")().probe(EXT4)
    if not support.ok:
        assert support.reason == "not supported by this kernel: no aufs in /proc/filesystems"
    else:
        assert Aufs().probe(BTRFS).reason == "Docker's aufs driver refuses btrfs"
