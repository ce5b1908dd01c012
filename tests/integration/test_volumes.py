"""Each recipe made for real: what mkfs made of it, how cold it gets, and how exactly it counts."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.errors import BenchError
from bench.kernel import mounts
from bench.layers.content import BLOCK
from tests.host.isolated import isolated
from tests.integration.places import LOOPED, device_reads, made, require
from tests.integration.traces import Traces, left

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.parametrize("name", [*LOOPED, "btrfs"])]
FICLONE, FIFREEZE, FITHAW = 0x40049409, 0xC0045877, 0xC0045878  # include/uapi/linux/fs.h
DATA = 1 << 20


@pytest.fixture(autouse=True)
def works(name: str, request: pytest.FixtureRequest) -> None:
    require(volume=name)
    if name == "btrfs" and request.node.get_closest_marker("exact") is not None:
        pytest.skip("statfs of btrfs counts no inodes, and bytes by chunks of metadata")


def test_it_is_what_its_recipe_says(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            entry = mounts.mount_entry(volume.path)
            assert (entry.fstype, entry.source) == (volume.recipe.filesystem, volume.device.path)
            assert os.statvfs(volume.path).f_bsize == BLOCK
            assert volume.options().startswith(f"{entry.fstype} rw")
            assert volume.command[0] == volume.recipe.program
            assert volume.command[-1] == volume.device.path

    isolated(work)


@pytest.mark.exact
def test_it_has_room_for_what_was_asked(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place, size=400 << 20, inodes=30_000) as volume:
            state = os.statvfs(volume.path)
            assert state.f_files >= 30_000
            assert 300 << 20 < state.f_bavail * state.f_frsize < 400 << 20

    isolated(work)


def test_it_clones_exactly_if_its_recipe_says_so(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            (volume.path / "original").write_bytes(bytes(DATA))
            with (volume.path / "original").open("rb") as source, (volume.path / "clone").open("wb") as target:
                try:
                    fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
                except OSError as error:
                    said = error.strerror
                else:
                    said = "cloned"
            assert said == ("cloned" if volume.recipe.clones else "Operation not supported")

    isolated(work)


def test_directory_entries_have_a_type(name: str, place: Path) -> None:
    """Overlayfs needs d_type (ftype=1 on xfs): getdents64 itself must say what each entry is."""

    def work() -> None:
        with made(name, place) as volume:
            (volume.path / "file").touch()
            with os.scandir(volume.path) as entries:
                [entry] = [entry for entry in entries if entry.name == "file"]
                (volume.path / "file").unlink()
                assert entry.is_file(follow_symlinks=False)  # after the unlink no stat could tell

    isolated(work)


@pytest.mark.filled
def test_all_its_blocks_are_there_before_anything_is_measured(name: str, place: Path) -> None:
    def work() -> None:
        os.sync()
        before = os.statvfs(place)
        with made(name, place) as volume:
            volume.sync()
            after = os.statvfs(place)
            taken = (before.f_bfree - after.f_bfree) * after.f_frsize
            assert taken > 0.9 * volume.size  # neither mkfs nor the file system gave them back

    isolated(work)


def test_its_device_does_direct_io(name: str, place: Path) -> None:
    backing = mounts.mount_entry(place).fstype
    if backing not in {"ext4", "xfs", "btrfs"}:
        pytest.skip(f"{backing} below {place} has no direct I/O for a loop device")

    def work() -> None:
        with made(name, place) as volume:
            assert volume.device.direct_io
            assert Path(f"/sys/block/loop{volume.device.number}/loop/dio").read_text().strip() == "1"

    isolated(work)


@contextmanager
def resident(path: Path) -> Iterator[bool]:
    """The value tells whether any page of the file is in memory, without reading it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        import ctypes

        size = len(mapped)
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        address = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
        assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), pages) == 0
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
        yield any(page & 1 for page in pages)


def test_a_remount_makes_it_cold(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            file = volume.path / "directory" / "file"
            file.parent.mkdir()
            file.write_bytes(os.urandom(DATA))
            volume.sync()
            file.read_bytes()
            before = device_reads(volume)
            file.read_bytes()
            assert device_reads(volume) == before, "hot: all in memory"
            with resident(file) as hot:
                assert hot
            assert volume.remount().ok
            before = device_reads(volume)
            assert file.stat().st_size == DATA
            if name != "btrfs":  # whose whole tree of so few files is one node, which mounting reads
                assert device_reads(volume) > before, "cold: not even the inode is in memory"
            with resident(file) as hot:
                assert not hot
            before = device_reads(volume)
            assert len(file.read_bytes()) == DATA
            assert device_reads(volume) >= before + DATA

    isolated(work)


def test_a_busy_volume_is_not_silently_left_warm(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            with (volume.path / "file").open("w"), pytest.raises(OSError, match="busy"):
                volume.remount()
            assert volume.remount().ok

    isolated(work)


@pytest.mark.exact
def test_it_counts_inodes_exactly_up_and_down(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            empty = volume.usage().inodes
            assert empty is not None
            for round_ in range(3):
                directory = volume.path / f"round-{round_}"
                directory.mkdir()
                for number in range(500):
                    (directory / str(number)).write_bytes(b"x")
                os.symlink("nowhere", directory / "link")
                os.link(directory / "0", directory / "hard")
                assert volume.usage().inodes == empty + 502
                for entry in list(directory.iterdir()):
                    entry.unlink()
                directory.rmdir()
                assert volume.usage().inodes == empty

    isolated(work)


@pytest.mark.exact
def test_it_counts_the_bytes_of_data(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            (volume.path / "file").touch()
            before = volume.usage().bytes
            (volume.path / "file").write_bytes(bytes(DATA))
            added = volume.usage().bytes - before
            assert DATA <= added <= DATA + 4 * BLOCK

    isolated(work)


def test_its_counters_see_what_reaches_the_device(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            volume.sync()
            written, flushes = volume.written()
            descriptor = os.open(volume.path / "file", os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, bytes(DATA))
            assert volume.written()[1] == flushes
            os.fsync(descriptor)
            os.close(descriptor)
            after, flushed = volume.written()
            assert after >= written + DATA
            assert flushed > flushes

    isolated(work)


def test_it_tells_what_it_wrote_by_itself(name: str, place: Path) -> None:
    """Freezing writes back what the log worker of xfs writes back at its time; calls and a sync do not."""

    def work() -> None:
        with made(name, place) as volume:
            before = volume.recipe.writebacks(volume.path)
            for number in range(10):
                (volume.path / str(number)).write_bytes(b"some")
            volume.sync()
            assert volume.recipe.writebacks(volume.path) == before
            descriptor = os.open(volume.path, os.O_RDONLY)
            fcntl.ioctl(descriptor, FIFREEZE, 0)
            fcntl.ioctl(descriptor, FITHAW, 0)
            os.close(descriptor)
            assert (volume.recipe.writebacks(volume.path) > before) == (volume.recipe.filesystem == "xfs")

    isolated(work)


def test_nothing_is_left_of_it(name: str, place: Path) -> None:
    before = Traces.of(place, "")

    def work() -> None:
        with made(name, place) as volume:
            (volume.path / "file").write_bytes(bytes(DATA))
            [seen] = Traces.of(place, "").loops
            assert seen == f"loop{volume.device.number}"

    isolated(work)
    (place / name).rmdir()  # the mount point, which lies in a tmpfs in a run
    assert not left(place, "", before)


def test_a_volume_that_mkfs_refuses_is_one_error_and_leaves_nothing(name: str, place: Path) -> None:
    before = Traces.of(place, "")

    def work() -> None:
        recipe = discovery.volume(name)
        with pytest.raises(BenchError, match=f"{recipe.program} .* failed: "):
            recipe.make(place / name, place, size=64 << 10, inodes=1000)

    isolated(work)
    assert not left(place, "", before)


def test_a_volume_whose_mkfs_is_killed_says_by_what(
    name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = discovery.volume(name)
    program = tmp_path / recipe.program
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = Traces.of(place, "")

    def work() -> None:
        with pytest.raises(BenchError, match=f"{recipe.program} .* failed: it was ended by SIGKILL"):
            recipe.make(place / name, place, size=recipe.minimum_bytes, inodes=1000)

    isolated(work)
    assert not left(place, "", before)


def test_a_volume_that_cannot_be_mounted_again_is_one_error(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            with open(volume.device.path, "r+b", buffering=0) as device:
                mounts.unmount(volume.path)
                for offset in range(0, 1 << 20, 4096):  # the superblocks among them
                    device.seek(offset)
                    device.write(bytes(4096))
                device.seek(64 << 20)  # of btrfs another one
                device.write(bytes(4096))
            mounts.mount("none", volume.path, "tmpfs")
            # Of a device without a superblock btrfs says nothing in the log.
            why = "Invalid argument" if name == "btrfs" else rf".*\(loop{volume.device.number}\).*"
            with pytest.raises(BenchError, match=f"the kernel does not mount the volume {name}: {why}; see dmesg"):
                volume.remount()

    isolated(work)


def test_a_volume_that_the_work_directory_cannot_hold_is_one_error(name: str, place: Path) -> None:
    def work() -> None:
        with pytest.raises(BenchError, match=r"cannot make a loop device of .* MiB") as caught:
            discovery.volume(name).make(place / name, place, size=1 << 62, inodes=1000)
        assert "File too large" in str(caught.value)

    isolated(work)


@pytest.mark.filled
def test_a_work_directory_that_is_full_before_all_is_written_is_one_error(name: str, place: Path) -> None:
    before = Traces.of(place, "")

    def work() -> None:
        small = place / "small"
        small.mkdir()
        mounts.mount("none", small, "tmpfs", options="size=32m")
        try:
            with pytest.raises(BenchError, match=r"cannot make a loop device of .* MiB") as caught:
                discovery.volume(name).make(place / name, small, size=512 << 20, inodes=1000)
            assert "No space left on device" in str(caught.value)
            assert os.statvfs(small).f_bfree == os.statvfs(small).f_blocks
        finally:
            mounts.unmount(small)
            small.rmdir()

    isolated(work)
    assert not left(place, "", before)


def test_devices_of_others_cannot_be_opened_also_when_it_is_mounted_again(name: str, place: Path) -> None:
    def work() -> None:
        with made(name, place) as volume:
            os.mknod(volume.path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.close(os.open(volume.path / "null", os.O_RDONLY))
            volume.forbid_devices()
            for _ in range(2):
                with pytest.raises(PermissionError):
                    os.open(volume.path / "null", os.O_RDONLY)
                assert volume.remount().ok

    isolated(work)
