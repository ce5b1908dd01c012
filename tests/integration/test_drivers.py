"""Each driver on each volume, for real: what is merged, what is on disk, and what is refused."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import discovery
from bench.drivers.base import copied_bytes, copy_file, copy_tree
from bench.drivers.overlay2 import MAX_LOWER
from bench.errors import BenchError
from bench.kernel import mounts
from bench.kernel.extents import extents
from bench.kernel.mounts import OptionsTooLongError
from bench.layers.content import BLOCK, Copy, Directory, File, HardLink, Link, read_equals
from bench.layers.tree import flatten
from bench.volumes.zfs import ZfsVolume, zfs
from tests.host.isolated import isolated
from tests.integration.places import DRIVERS, LAYERED, LOOPED, made, require
from tests.layers.trees import expected, layers, written

if TYPE_CHECKING:
    from bench.drivers.base import Container, Driver
    from bench.layers.content import Entry, Layer, Ranges
    from bench.volumes.base import LoopVolume

pytestmark = pytest.mark.root
SEED = 5
MIB = 1 << 20
METADATA_BYTES = 16 * BLOCK  # that the journal or log of one copy_up may add
OWN_INODES = {"unionfs-fuse", "mergerfs"}  # they number names, not files: each name of one file is another to stat(2)
SUBVOLUME_INODE = 256  # of the root directory of every subvolume (BTRFS_FIRST_FREE_OBJECTID)
FEW = settings(max_examples=8, database=None, suppress_health_check=[HealthCheck.too_slow])
CHAINS = st.lists(layers(), min_size=1, max_size=4)
SAMPLE: list[Layer] = [
    (Directory("a"), Directory("a/b"), File("a/b/bottom", 5000), File("a/common", 10), File("top-level", 0)),
    (Directory("a"), File("a/common", 4097, origin=1), File("a/middle", 1)),
    (Directory("c", 0o700), File("c/new", 70_000)),
]


def each_volume(volume: LoopVolume, number: int) -> Path:
    return volume.path / f"home-{number}"


def merged_tree(driver: Driver, chain: list[Layer], home: Path, depth: int) -> object:
    """Build, run and remove; return what a container shows."""
    stack = driver.build(home, chain, (depth,), SEED)
    container = driver.create_read_write(stack, depth)
    with driver.mount(container) as merged:
        seen = written(merged)
    driver.remove(container)
    return seen


@pytest.mark.parametrize("volume_name", LOOPED)
@pytest.mark.parametrize("name", DRIVERS)
def test_a_container_shows_the_flattened_layers_and_the_footprint_is_exact(
    name: str, volume_name: str, place: Path
) -> None:
    require(volume=volume_name, driver=name)

    def work() -> None:
        numbers = iter(range(10_000))
        with made(volume_name, place) as volume:

            @FEW
            @given(chain=CHAINS)
            def check(chain: list[tuple[Entry, ...]]) -> None:
                driver = discovery.driver(name)()
                home = each_volume(volume, next(numbers))
                before = volume.usage()
                depths = sorted({1, len(chain)})
                stack = driver.build(home, chain, depths, SEED)
                want = driver.footprint(chain, depths, volume.recipe)
                after = volume.usage()
                assert before.inodes is not None
                assert after.inodes is not None
                assert after.inodes - before.inodes == want.inodes
                assert after.bytes - before.bytes >= want.bytes
                for depth in depths:
                    container = driver.create_read_write(stack, depth)
                    with driver.mount(container) as merged:
                        (shown, files), (wanted, linked) = written(merged), expected(flatten(chain[:depth]), SEED)
                        assert shown == wanted
                        assert files == linked or name in OWN_INODES
                    driver.remove(container)
                rest = volume.usage().inodes
                # The first container over an image marks its top layer `committed`.
                assert rest is not None
                assert rest - after.inodes <= (1 if name in LAYERED else 0)
                shutil.rmtree(home)
                assert volume.usage().inodes == before.inodes

            check()

    isolated(work)


@pytest.mark.parametrize("name", DRIVERS)
def test_what_a_container_writes_is_in_it_alone(name: str, place: Path) -> None:
    require(volume="ext4", driver=name)
    if not discovery.driver(name).copies_on_write:
        pytest.skip(f"{name} has no copy-on-write")

    def work() -> None:
        with made("ext4", place) as volume, ExitStack() as undo:
            driver = discovery.driver(name)()
            stack = driver.build(volume.path / "home", SAMPLE, (3,), SEED)
            one, other = (driver.create_read_write(stack, 3) for _ in range(2))
            merged, clean = (undo.enter_context(driver.mount(container)) for container in (one, other))
            (merged / "a/common").write_bytes(b"changed")
            (merged / "a/b/bottom").unlink()
            (merged / "fresh").touch()
            assert written(clean) == expected(flatten(SAMPLE), SEED)
            changed, _ = written(merged)
            assert changed["a/common"] == b"changed"
            assert "a/b/bottom" not in changed
            if one.upper is not None:
                assert set(written(one.upper)[0]) >= {"a", "a/common", "fresh"}
                assert driver.mark(one, "a/b/bottom").startswith("whiteout")
                assert driver.mark(one, "a/b") in {"directory", "nothing"}
                assert driver.mark(one, "a") == "directory"
                assert driver.whiteout(one, "a/b/bottom").lstat()
            for index, layer in enumerate(SAMPLE):
                for entry in layer:
                    path = driver.layer_path(one, index) / entry.path
                    assert path.exists()
                    if name in LAYERED and isinstance(entry, File):
                        assert path.stat().st_size == entry.size
            undo.close()
            for container in (one, other):
                driver.remove(container)
            fresh = driver.create_read_write(stack, 3)
            with driver.mount(fresh) as again:
                assert written(again) == expected(flatten(SAMPLE), SEED)
            driver.remove(fresh)

    isolated(work)


@pytest.mark.parametrize("name", DRIVERS)
def test_copies_and_links_are_as_they_were_given(name: str, place: Path) -> None:
    require(volume="ext4", driver=name)
    (place / "source").write_bytes(b"source" * 1000)
    outside = place / "outside"
    outside.mkdir()
    chain: list[Layer] = [
        (Directory("a"), Copy("a/copy", 6000, mode=0o755, source=place / "source"), Link("a/link", "copy")),
        (Directory("a"), Link("a/out", str(outside)), Link("b", "/no/such"), File("top", 1)),
        (Directory("a"), File("a/link", 3), Link("a/copy", "link"), Link("top", "a/link")),
    ]

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver(name)()
            before = volume.usage().inodes
            stack = driver.build(volume.path / "home", chain, (2, 3), SEED)
            after = volume.usage().inodes
            assert before is not None
            assert after is not None
            assert after - before == driver.footprint(chain, (2, 3), volume.recipe).inodes
            container = driver.create_read_write(stack, 2)
            with driver.mount(container) as merged:
                assert (merged / "a/link").read_bytes() == b"source" * 1000
                assert (merged / "a/copy").stat().st_mode & 0o7777 == 0o755
                assert os.readlink(merged / "a/out") == str(outside)
                assert os.readlink(merged / "b") == "/no/such"
            driver.remove(container)
            container = driver.create_read_write(stack, 3)
            with driver.mount(container) as merged:
                assert os.readlink(merged / "a/copy") == "link"
                assert (merged / "top").read_bytes() == (merged / "a/link").read_bytes()
                assert (merged / "a/link").stat().st_size == 3
            driver.remove(container)
        assert os.listdir(outside) == []

    isolated(work)


LAYER = re.compile(r"[0-9a-f]{64}")
LINK = re.compile(r"[A-Z2-7]{26}")


def state(path: Path) -> tuple[str, int]:
    mode = path.lstat().st_mode
    kind = "link" if stat.S_ISLNK(mode) else "directory" if stat.S_ISDIR(mode) else "file"
    return kind, stat.S_IMODE(mode)


def check_layer(home: Path, below: list[str], identity: str, *, child: bool, mounted: bool = False) -> None:
    """Compare one layer's directory with Docker 20.10's."""
    path = home / identity
    names = {"diff", "link"} | ({"lower", "work"} if below else set()) | ({"committed"} if child else set())
    names |= {"merged"} if mounted else set()
    assert set(os.listdir(path)) == names
    assert state(path) == ("directory", 0o710)
    assert state(path / "diff") == ("directory", 0o755)
    link = (path / "link").read_text()
    assert LINK.fullmatch(link)
    assert state(path / "link") == ("file", 0o644)
    assert state(home / "l" / link)[0] == "link"
    assert os.readlink(home / "l" / link) == f"../{identity}/diff"
    if below:
        assert state(path / "work") == ("directory", 0o700)
        links = [(home / other / "link").read_text() for other in reversed(below)]
        assert (path / "lower").read_text() == ":".join(f"l/{one}" for one in links)
    if child:
        assert state(path / "committed") == ("file", 0o600)
        assert (path / "committed").read_bytes() == b""


@pytest.mark.parametrize("name", LAYERED)
def test_the_layout_is_dockers_at_rest_while_mounted_and_after(name: str, place: Path) -> None:
    require(volume="ext4", driver=name)

    def work() -> None:
        with made("ext4", place) as volume:
            old = os.umask(0o022)
            driver = discovery.driver(name)()
            home = volume.path / "home"
            stack = driver.build(home, SAMPLE, (3,), SEED)
            ids = list(stack.ids)
            os.umask(old)

            def check(*containers: Container, mounted: bool = False) -> None:
                assert state(home) == ("directory", 0o710)
                assert set(os.listdir(home)) == {"l", *ids, *(container.path.name for container in containers)}
                assert len(os.listdir(home / "l")) == len(ids) + len(containers)
                for place_, identity in enumerate(ids):
                    assert LAYER.fullmatch(identity)
                    top = place_ == len(ids) - 1
                    check_layer(home, ids[:place_], identity, child=not top or committed)
                for container in containers:
                    check_layer(home, ids, container.path.name, child=False, mounted=mounted)

            committed = False
            check()
            committed = True
            container = driver.create_read_write(stack, 3)
            check(container)
            with driver.mount(container) as merged:
                assert merged == container.path / "merged"
                check(container, mounted=True)
            check(container)
            driver.remove(container)
            check()

    isolated(work)


def options_of(merged: Path) -> set[str]:
    return spelled(mounts.mount_entry(merged).options)


def spelled(options: str) -> set[str]:
    """Return the options as a set; kernels from 6.18 on write `volatile` as a kind of fsync."""
    return {"volatile" if option == "fsync=volatile" else option for option in options.split(",")}


def in_container(volume: LoopVolume, options: dict[str, str], look: Any, chain: list[Layer] | None = None) -> Any:
    driver = discovery.driver("overlay2")(options)
    home = volume.path / f"home-{len(os.listdir(volume.path))}"
    stack = driver.build(home, chain or SAMPLE, (len(chain or SAMPLE),), SEED)
    container = driver.create_read_write(stack, len(chain or SAMPLE))
    with driver.mount(container) as merged:
        seen = look(merged, container)
    driver.remove(container)
    return seen


def look_at_tree(merged: Path, container: Container) -> Any:
    facts = {str(path.relative_to(merged)): path.lstat().st_mode for path in merged.rglob("*")}
    return written(merged), facts, mounts.mount_entry(merged).fstype


@pytest.mark.parametrize("volume_name", LOOPED)
def test_both_ways_to_mount_give_the_same(volume_name: str, place: Path) -> None:
    require(volume=volume_name, driver="overlay2")

    def work() -> None:
        with made(volume_name, place) as volume:
            ways = []

            def look(merged: Path, container: Container) -> Any:
                ways.append(container.how["mount"])
                return look_at_tree(merged, container)

            trees = [in_container(volume, {"via": via}, look) for via in ("fsconfig", "mount2", "auto")]
            assert trees[0] == trees[1] == trees[2]
            assert ways[0] == "fsconfig lowerdir+"
            assert ways[1] == "mount(2) relative to the driver's home"
            assert ways[2] in ways[:2]
            assert os.getcwd() == before

    before = os.getcwd()
    isolated(work)


SHOWN = [
    ({"metacopy": "on"}, {"metacopy=on"}),
    ({"metacopy": "off"}, set()),
    ({"volatile": "on"}, {"volatile"}),
    ({"redirect_dir": "on"}, {"redirect_dir=on"}),
    ({"redirect_dir": "nofollow"}, {"redirect_dir=nofollow"}),
    ({"xino": "off"}, set()),  # taken, but not shown where all layers are on one file system (ovl_show_options)
    ({"xino": "on"}, set()),
    ({"index": "on"}, {"index=on"}),
    ({"nfs_export": "on"}, {"nfs_export=on", "index=on"}),
    ({"metacopy": "on", "volatile": "on"}, {"metacopy=on", "volatile"}),
]


@pytest.mark.parametrize("via", ["fsconfig", "mount2"])
@pytest.mark.parametrize(("options", "shown"), SHOWN, ids=lambda value: ",".join(sorted(value)) or "none")
def test_an_option_is_in_effect(options: dict[str, str], shown: set[str], via: str, place: Path) -> None:
    require(volume="xfs", driver="overlay2")
    names = {"metacopy=on", "volatile", "index=on", "nfs_export=on"}
    default = Path("/sys/module/overlay/parameters/metacopy")
    if default.exists() and default.read_text().strip() == "Y":
        pytest.skip("this kernel turns metacopy on by itself")

    def work() -> None:
        with made("xfs", place) as volume:

            def look(merged: Path, container: Container) -> tuple[set[str], str]:
                return options_of(merged), container.how["options"]

            seen, recorded = in_container(volume, {**options, "via": via}, look)
            assert shown <= seen
            assert seen & names == shown & names
            assert shown <= spelled(recorded)
            assert recorded.endswith(f"lowerdir×{len(SAMPLE)}")

    isolated(work)


def small_stack(volume: LoopVolume, driver: Driver, depth: int) -> Container:
    chain: list[Layer] = [(Directory("d"), File(f"d/{index}", 0)) for index in range(depth)]
    return driver.create_read_write(driver.build(volume.path / "home", chain, (depth,), SEED), depth)


def test_500_layers_mount_and_one_more_is_refused_with_the_reason(place: Path) -> None:
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")()
            container = small_stack(volume, driver, MAX_LOWER + 1)
            with pytest.raises(BenchError) as caught, driver.mount(container):
                raise AssertionError("it mounted")
            text = str(caught.value)
            assert f"the kernel refuses overlay with {MAX_LOWER + 1} lower layers" in text
            assert f"at most {MAX_LOWER} layers" in text
            assert not (container.path / "merged").exists()
            driver.remove(container)
            most = driver.create_read_write(container.stack, MAX_LOWER)
            with driver.mount(most) as merged:
                assert len(os.listdir(merged / "d")) == MAX_LOWER
                assert most.how["options"].endswith(f"lowerdir×{MAX_LOWER}")
            driver.remove(most)

    isolated(work)


def test_options_longer_than_a_page_are_refused_and_never_cut(place: Path) -> None:
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")({"via": "mount2"})
            container = small_stack(volume, driver, 200)
            with pytest.raises(BenchError) as caught, driver.mount(container):
                raise AssertionError("it mounted")
            assert isinstance(caught.value.__cause__, OptionsTooLongError)
            assert "mount(2) copies 4095" in str(caught.value) or "mount(2) copies" in str(caught.value)
            fits = driver.create_read_write(container.stack, 120)
            with driver.mount(fits) as merged:
                assert len(os.listdir(merged / "d")) == 120

    isolated(work)


def test_a_way_that_was_asked_for_is_not_replaced_by_another(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(volume="ext4", driver="overlay2")

    def refuse(*arguments: object) -> None:
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(mounts, "fs_mount", refuse)

    def work() -> None:
        with made("ext4", place) as volume:
            with pytest.raises(BenchError, match="Function not implemented"):
                in_container(volume, {"via": "fsconfig"}, look_at_tree)
            seen = in_container(volume, {}, lambda merged, container: container.how["mount"])
            assert seen == "mount(2) relative to the driver's home"

    isolated(work)


def test_a_busy_container_says_so_and_can_be_unmounted_later(place: Path) -> None:
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")()
            container = small_stack(volume, driver, 2)
            with ExitStack() as held, pytest.raises(OSError, match="busy"), driver.mount(container) as merged:
                held.enter_context((merged / "d/0").open("rb"))
            mounts.unmount(container.path / "merged")
            (container.path / "merged").rmdir()
            driver.remove(container)

    isolated(work)


def daemons(merged: Path) -> list[int]:
    """Return the daemons of a mount, as they are numbered in this process's namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[0] == b"fuse-overlayfs" and os.fsencode(merged) in arguments:
            numbers = re.search(r"^NSpid:(.*)$", (entry / "status").read_text(), re.MULTILINE)
            assert numbers is not None
            found.append(int(numbers[1].split()[-1]))
    return found


@pytest.mark.parametrize("what", ["read", "write", "list", "lookup"])
def test_a_daemon_that_is_killed_is_named_and_leaves_nothing(what: str, place: Path) -> None:
    require(volume="ext4", driver="fuse-overlayfs")

    def work() -> None:
        names = iter(("a/middle", "top-level", "c/new"))  # each looked up once: dentries outlive the daemon
        use: dict[str, Any] = {
            "read": lambda merged: (merged / "a/common").read_bytes(),
            "write": lambda merged: (merged / "fresh").write_bytes(b"x"),
            "list": lambda merged: os.listdir(merged / "a"),
            "lookup": lambda merged: os.stat(merged / next(names)),
        }
        with made("ext4", place) as volume:
            driver = discovery.driver("fuse-overlayfs")()
            stack = driver.build(volume.path / "home", SAMPLE, (3,), SEED)
            container = driver.create_read_write(stack, 3)

            def unit() -> None:
                with driver.mount(container) as merged:
                    use[what](merged)
                    [daemon] = daemons(merged)
                    os.kill(daemon, signal.SIGKILL)
                    use[what](merged)
                    time.sleep(1)  # a request that raced the signal was still answered
                    use[what](merged)

            with pytest.raises(BenchError, match=r"the fuse-overlayfs daemon died \(status -9\)"):
                unit()
            assert not daemons(container.path / "merged")
            assert not (container.path / "merged").exists()
            assert mounts.mount_entry(container.path).target == str(volume.path)
            driver.remove(container)
            with driver.mount(driver.create_read_write(stack, 3)) as again:
                assert written(again) == expected(flatten(SAMPLE), SEED)

    isolated(work)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no such device >&2; exit 3", r"daemon died \(status 3\): no such device"),
        ("exit 0", r"daemon died \(status 0\): it said nothing"),
        ("sleep 60", "did not mount within 0.3 s"),
        ('"$REAL" "$@" & while ! grep -q "$4" /proc/mounts; do :; done; kill -9 $!; wait; exit 9', "daemon died"),
    ],
)
def test_a_daemon_that_never_serves_is_named_and_leaves_nothing(
    script: str, message: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(volume="ext4", driver="fuse-overlayfs")
    programs = place / "programs"
    programs.mkdir()
    (programs / "fuse-overlayfs").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "fuse-overlayfs").chmod(0o755)
    monkeypatch.setenv("REAL", str(shutil.which("fuse-overlayfs")))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr("bench.drivers.fuse.START_SECONDS", 0.3)

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("fuse-overlayfs")()
            container = driver.create_read_write(driver.build(volume.path / "home", SAMPLE, (3,), SEED), 3)

            def unit() -> None:
                with driver.mount(container) as merged:
                    os.listdir(merged)
                    time.sleep(1)
                    os.listdir(merged)

            with pytest.raises(BenchError, match=message):
                unit()
            assert not (container.path / "merged").exists()
            driver.remove(container)
            assert volume.remount().ok

    isolated(work)


def test_a_tree_is_copied_in_the_order_of_its_names(tmp_path: Path) -> None:
    paths = ["B", "a/2", "a/10", "a-b", "ä", *(f"many/{number:03d}" for number in range(200))]
    for path in reversed(paths):
        (tmp_path / "from" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / path).write_text(path, encoding="utf-8")
    copied = []

    def copy(source: str, target: str) -> None:
        copied.append(os.path.relpath(target, tmp_path / "to"))
        copy_file(source, target)

    copy_tree(str(tmp_path / "from"), str(tmp_path / "to"), copy)
    assert copied == ["B", "a/10", "a/2", "a-b", *paths[5:], "ä"]
    assert {path: (tmp_path / "to" / path).read_text(encoding="utf-8") for path in paths} == {p: p for p in paths}


def test_vfs_copies_and_shares_no_block(place: Path) -> None:
    require(volume="xfs")

    def work() -> None:
        with made("xfs", place) as volume:
            driver = discovery.driver("vfs")()
            stack = driver.build(volume.path / "home", SAMPLE, (3,), SEED)
            container = driver.create_read_write(stack, 3)
            with driver.mount(container) as merged:
                for entry in flatten(SAMPLE):
                    if isinstance(entry, File) and entry.size > BLOCK:
                        assert extents(merged / entry.path).shared == 0

    isolated(work)


@pytest.mark.parametrize("volume_name", ["ext4", "xfs-noreflink"])
@pytest.mark.parametrize(
    ("size", "data", "copied"),
    [
        (50 * MIB, ((10 * MIB + 5, 1),), MIB),
        (200 * MIB, (), 0),
        (8 * MIB, ((0, 10), (MIB - BLOCK, 1), (MIB + BLOCK, 1), (7 * MIB, MIB)), 3 * MIB),
        (3 * MIB, ((2 * MIB + BLOCK, BLOCK),), MIB - BLOCK),
        (3 * MIB, None, 3 * MIB),
    ],
)
def test_a_copy_up_skips_holes_in_steps(
    volume_name: str, size: int, data: Ranges | None, copied: int, place: Path
) -> None:
    """As much of a sparse file reaches the device as is expected of it, and it stays sparse."""
    require(volume=volume_name, driver="overlay2")
    file = File("sparse", size, data=data)
    assert copied_bytes(file) == copied

    def work() -> None:
        with made(volume_name, place) as volume:
            driver = discovery.driver("overlay2")()
            stack = driver.build(volume.path / "home", [[file]], (1,), SEED)
            container = driver.create_read_write(stack, 1)
            expectation = driver.copy_up(volume.recipe, size)
            with driver.mount(container) as merged:
                volume.sync()
                before, _ = volume.written()
                os.close(os.open(merged / "sparse", os.O_WRONLY | os.O_APPEND))
                written_bytes = volume.written()[0] - before
                assert expectation.bytes(file) <= written_bytes <= expectation.bytes(file) + METADATA_BYTES
                assert container.upper is not None
                allocated = (container.upper / "sparse").stat().st_blocks * 512
                # xfs allocates ahead of a file that grows
                most = copied + METADATA_BYTES if volume_name == "ext4" or not data else 2 * copied + 2 * MIB
                assert copied <= allocated <= most
                with (merged / "sparse").open("rb") as opened:
                    assert read_equals(opened.fileno(), file, SEED)

    isolated(work)


@pytest.mark.parametrize("name", ["native", "vfs"])
def test_a_full_copy_keeps_holes_and_names(name: str, place: Path) -> None:
    require(volume="ext4", driver=name)
    layer: Layer = [File("sparse", 50 * MIB, data=((10 * MIB, 1),)), HardLink("other", "sparse")]

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver(name)()
            container = driver.create_read_write(driver.build(volume.path / "home", [layer], (1,), SEED), 1)
            volume.sync()
            assert (container.path / "sparse").stat().st_blocks * 512 == BLOCK
            assert (container.path / "other").samefile(container.path / "sparse")
            assert written(container.path) == expected(list(layer), SEED)

    isolated(work)


@pytest.mark.parametrize(("volume_name", "shares"), [("ext4", False), ("xfs", True)])
def test_vfs_clones_if_it_is_asked_to_and_the_volume_can(volume_name: str, shares: bool, place: Path) -> None:
    require(volume=volume_name, driver="vfs")

    def work() -> None:
        with made(volume_name, place) as volume:
            driver = discovery.driver("vfs")({"reflink": "on"})
            before = volume.usage()
            stack = driver.build(volume.path / "home", SAMPLE, (3,), SEED)
            after, want = volume.usage(), driver.footprint(SAMPLE, (3,), volume.recipe)
            assert after.inodes is not None
            assert before.inodes is not None
            assert after.inodes - before.inodes == want.inodes
            assert after.bytes - before.bytes >= want.bytes
            container = driver.create_read_write(stack, 3)
            volume.sync()
            assert (extents(container.path / "c/new").shared > 0) == shares
            with driver.mount(container) as merged:
                assert written(merged) == expected(flatten(SAMPLE), SEED)
                (merged / "c/new").write_bytes(b"changed")
            assert written(driver.layer_path(container, 2)) == expected(flatten(SAMPLE), SEED)

    isolated(work)


def test_overlay_links_files_and_has_one_lower_directory(place: Path) -> None:
    """Docker 20.10's layout, where a layer holds the tree up to it."""
    require(volume="ext4", driver="overlay")

    def work() -> None:
        with made("ext4", place) as volume:
            old = os.umask(0o022)
            driver = discovery.driver("overlay")()
            home = volume.path / "home"
            stack = driver.build(home, SAMPLE, (3,), SEED)
            container = driver.create_read_write(stack, 3)
            os.umask(old)
            roots = [home / one / "root" for one in stack.ids]
            assert [state(root.parent) for root in roots] == [("directory", 0o710)] * 3
            assert [os.listdir(root.parent) for root in roots] == [["root"]] * 3
            assert len({(root / "a/b/bottom").stat().st_ino for root in roots}) == 1
            assert (roots[0] / "a/b/bottom").stat().st_nlink == 3
            assert (roots[0] / "a/common").stat().st_nlink == 1, "the second layer's replaces it"
            assert (roots[0] / "a/common").stat().st_size == 10
            assert len({(root / "a").stat().st_ino for root in roots}) == 3
            assert set(os.listdir(container.path)) == {"lower-id", "upper", "work"}
            assert (container.path / "lower-id").read_text() == stack.ids[-1]
            assert state(container.path / "lower-id") == ("file", 0o600)
            assert state(container.path / "upper") == ("directory", 0o755)
            assert state(container.path / "work") == ("directory", 0o700)
            with driver.mount(container) as merged:
                assert merged == container.path / "merged"
                assert state(merged.parent / "merged")[0] == "directory"
                shown = mounts.mount_entry(merged).options.split(",")
                assert [option for option in shown if option.startswith("lowerdir")] == [f"lowerdir={roots[-1]}"]
                (merged / "a/b/bottom").write_bytes(b"changed")
            assert (roots[0] / "a/b/bottom").stat().st_size == 5000
            assert set(os.listdir(container.path)) == {"lower-id", "upper", "work"}

    isolated(work)


def test_btrfs_layers_are_snapshots_and_a_container_is_one(place: Path) -> None:
    require(volume="btrfs", driver="btrfs")

    def work() -> None:
        with made("btrfs", place) as volume:
            driver = discovery.driver("btrfs")()
            stack = driver.build(volume.path / "home", SAMPLE, (1, 3), SEED)
            root = volume.path / "home/subvolumes"
            assert [(root / one).stat().st_ino for one in stack.ids] == [SUBVOLUME_INODE] * 3
            one, other = (driver.create_read_write(stack, 3) for _ in range(2))
            volume.sync()
            assert extents(one.path / "c/new").shared >= 70_000 // BLOCK * BLOCK
            with driver.mount(one) as merged, driver.mount(other) as clean:
                (merged / "a/common").write_bytes(b"changed")
                (merged / "a/b/bottom").unlink()
                assert written(clean) == expected(flatten(SAMPLE), SEED)
                assert written(driver.layer_path(one, 2)) == expected(flatten(SAMPLE), SEED)
            for container in (one, other):
                driver.remove(container)
            assert sorted(os.listdir(root)) == sorted(stack.ids)
            shallow = driver.create_read_write(stack, 1)
            with driver.mount(shallow) as merged:
                assert written(merged) == expected(flatten(SAMPLE[:1]), SEED)

    isolated(work)


def test_btrfs_needs_a_volume_of_its_own(place: Path) -> None:
    told = discovery.driver("btrfs")().probe(discovery.volume("ext4"))
    assert (told.ok, told.reason, told.fix) == (False, "its layers are subvolumes of btrfs", "--volume btrfs")


@pytest.mark.parametrize("name", DRIVERS)
def test_a_full_volume_is_no_space_and_not_a_short_file(name: str, place: Path) -> None:
    require(volume="ext4", driver=name)

    def work() -> None:
        with made("ext4", place, inodes=2000) as volume:
            driver = discovery.driver(name)()
            with pytest.raises(OSError, match="No space left on device"):
                driver.build(volume.path / "home", [(File("large", 256 << 20),)], (1,), SEED)

    isolated(work)


def test_ids_and_links_never_repeat(place: Path) -> None:
    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")()
            container = small_stack(volume, driver, 100)
            ids = [*container.stack.ids, container.path.name]
            links = [(container.stack.home / one / "link").read_text() for one in ids]
            assert all(one < other for one, other in pairwise(sorted(ids)))
            assert len(set(links)) == len(links) == 101

    isolated(work)


@pytest.mark.parametrize("volume_name", ["btrfs", "ext4", "zfs"])
def test_a_volume_says_whether_the_kernels_overlayfs_takes_it(volume_name: str, place: Path) -> None:
    require(volume=volume_name)
    driver = discovery.driver("overlay2")()
    support = driver.probe(discovery.volume(volume_name))

    def work() -> None:
        with made(volume_name, place) as volume:
            home = volume.path / "home"
            if support.ok:
                assert merged_tree(driver, [*SAMPLE], home, 3)
                return
            assert support.reason.startswith("overlayfs takes no upper layer on")
            with pytest.raises(BenchError, match="the kernel refuses overlay"):
                merged_tree(driver, [*SAMPLE], home, 3)

    isolated(work)


def test_zfs_finds_its_pool_again_and_a_lost_one_leaves_nothing_to_close(place: Path) -> None:
    require(volume="zfs", driver="zfs")
    driver = discovery.driver("zfs")()

    def work() -> None:
        with made("zfs", place) as volume:
            assert isinstance(volume, ZfsVolume)
            stack = driver.build(volume.path / "home", SAMPLE, (3,), SEED)
            assert volume.remount().ok
            container = driver.create_read_write(stack, 3)
            with driver.mount(container) as merged:
                assert (merged / "a/middle").stat().st_size == 1
            driver.remove(container)
            zfs("export", volume.pool, program="zpool")
            driver.close(stack)

    isolated(work)
