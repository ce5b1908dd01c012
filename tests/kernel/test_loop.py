"""Loop devices on files without a name: direct, counted, and gone with the last who holds them."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from bench.kernel.extents import extents
from bench.kernel.loop import FILLED_AT_ONCE, LoopDevice, fill, nameless_file
from tests.host.isolated import isolated
from tests.integration.places import made, require
from tests.integration.traces import Traces, left

SIZE = 16 << 20
FICLONE = 0x40049409  # include/uapi/linux/fs.h


def test_a_nameless_file_has_its_size_and_no_name_and_no_blocks(place: Path) -> None:
    descriptor = nameless_file(place, SIZE)
    try:
        state = os.fstat(descriptor)
        assert (state.st_size, state.st_nlink, state.st_blocks) == (SIZE, 0, 0)
        assert list(place.iterdir()) == []
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("size", [FILLED_AT_ONCE + (1 << 20), 4096, 0])
def test_a_filled_file_has_all_its_blocks(
    size: int, place: Path, monkeypatch: pytest.MonkeyPatch, *, direct: bool
) -> None:
    real = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(path, flags, mode, dir_fd=dir_fd)

    if not direct:
        monkeypatch.setattr("bench.kernel.loop.os.open", refuse)
    before = os.listdir("/proc/self/fd")
    descriptor = nameless_file(place, size)
    try:
        fill(descriptor, size)
        state = os.fstat(descriptor)
        assert state.st_size == size
        assert state.st_blocks * 512 >= size
        assert b"\0" * 64 not in os.pread(descriptor, 4096, max(0, size - 4096))
    finally:
        os.close(descriptor)
    assert os.listdir("/proc/self/fd") == before


def test_where_there_is_no_tmpfile_it_is_unlinked_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("bench.kernel.loop.os.open", refuse)
    descriptor = nameless_file(place, SIZE)
    assert os.fstat(descriptor).st_nlink == 0
    assert list(place.iterdir()) == []
    os.close(descriptor)


def test_a_size_that_no_file_can_have_leaves_nothing_open(place: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=r"File too large|Invalid argument"):
        nameless_file(place, (1 << 63) - 1)
    assert os.listdir("/proc/self/fd") == before
    assert list(place.iterdir()) == []


@pytest.mark.root
def test_a_device_is_as_large_as_its_file_counts_and_clears_itself(place: Path) -> None:
    before = Traces.of(place, "")
    image = nameless_file(place, SIZE)
    device = LoopDevice(image)
    os.close(image)
    assert Path(device.path).is_block_device()
    assert int(Path(f"/sys/block/loop{device.number}/size").read_text()) * 512 == SIZE
    assert Path(f"/sys/block/loop{device.number}/loop/autoclear").read_text().strip() == "1"
    written, flushes = device.stat()
    descriptor = os.open(device.path, os.O_WRONLY)
    os.pwrite(descriptor, bytes(8192), 4096)
    os.fsync(descriptor)
    os.close(descriptor)
    assert device.stat() == (written + 8192, flushes + 1)
    device.close()
    device.close()
    assert not left(place, "", before)


@pytest.mark.root
def test_dropped_buffers_are_read_again(place: Path) -> None:
    image = nameless_file(place, SIZE)
    device = LoopDevice(image)
    os.close(image)
    stat = Path(f"/sys/block/loop{device.number}/stat")
    descriptor = os.open(device.path, os.O_RDONLY)

    def reads() -> int:
        before = int(stat.read_text().split()[2])
        os.pread(descriptor, 4096, 1 << 20)
        return int(stat.read_text().split()[2]) - before

    assert reads() > 0
    assert reads() == 0
    device.drop_buffers()
    assert reads() > 0
    os.close(descriptor)
    device.close()


@pytest.mark.root
def test_devices_made_at_once_are_different(place: Path) -> None:
    images = [nameless_file(place, SIZE) for _ in range(4)]
    devices = [LoopDevice(image) for image in images]
    assert len({device.number for device in devices}) == 4
    for device, image in zip(devices, images, strict=True):
        device.close()
        os.close(image)


@pytest.mark.root
def test_extents_tell_a_clone_from_a_copy_from_a_hole(place: Path) -> None:
    require(volume="xfs")

    def work() -> None:
        import fcntl

        with made("xfs", place) as volume:
            original = volume.path / "original"
            original.write_bytes(os.urandom(1 << 20))
            subprocess.run(["cp", "--reflink=never", original, volume.path / "copy"], check=True)
            with original.open("rb") as source, (volume.path / "clone").open("wb") as target:
                fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
            (volume.path / "hole").touch()
            os.truncate(volume.path / "hole", 1 << 20)
            copy, clone, hole = (extents(volume.path / name) for name in ("copy", "clone", "hole"))
            assert (copy.mapped, copy.shared) == (1 << 20, 0)
            assert (clone.mapped, clone.shared) == (1 << 20, 1 << 20)
            assert (hole.mapped, hole.shared) == (0, 0)
            with (volume.path / "clone").open("r+b") as file:
                file.write(bytes(4096))
            changed = extents(volume.path / "clone")
            assert changed.mapped == 1 << 20
            assert changed.shared == (1 << 20) - 4096

    isolated(work)


@pytest.mark.root
def test_a_file_of_many_extents_is_counted_whole(place: Path) -> None:
    count = 600  # more than are asked for in one call

    def work() -> None:
        with made("ext4", place) as volume, (volume.path / "file").open("wb") as file:
            for number in range(count):
                os.pwrite(file.fileno(), bytes(4096), number * 8192)
            assert extents(volume.path / "file").mapped == count * 4096

    isolated(work)
