"""Loop devices on files without a name: direct, counted, and gone with the last who holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.kernel.extents import extents
from bench.kernel.loop import (
    FILLED_AT_ONCE,
    LO_FLAGS_DIRECT_IO,
    LOOP_CONFIGURE,
    LOOP_CTL_GET_FREE,
    LoopDevice,
    fill,
    nameless_file,
)
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


class Faults:
    """Calls of os.open and fcntl.ioctl that fail as they are told, each as often as it says, then work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, opens: dict[str, list[int]], ioctls: dict[int, list[int]]):
        self.opens, self.ioctls, self.asked = opens, ioctls, 0
        self._open, self._ioctl = os.open, fcntl.ioctl
        monkeypatch.setattr("bench.kernel.loop.os.open", self.open)
        monkeypatch.setattr("bench.kernel.loop.fcntl.ioctl", self.ioctl)
        monkeypatch.setattr("bench.kernel.loop.CLAIM_SECONDS", 0.05)

    def open(self, path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        kind = "node" if str(path).startswith("/dev/loop") and str(path)[9:].isdigit() else str(path)
        self._fail(self.opens.get(kind, []), str(path))
        return self._open(path, flags, mode, dir_fd=dir_fd)

    def ioctl(self, descriptor: int, request: int, argument: Any = 0) -> Any:
        if request == LOOP_CONFIGURE and argument.info.lo_flags & LO_FLAGS_DIRECT_IO:
            self._fail(self.ioctls.get(-request, []), "")
        self._fail(self.ioctls.get(request, []), "")
        return self._ioctl(descriptor, request, argument)

    def _fail(self, numbers: list[int], path: str) -> None:
        self.asked += 1
        if numbers:
            number = numbers.pop(0) if len(numbers) > 1 else numbers[0]
            if number:
                raise OSError(number, os.strerror(number), path or None)


ALWAYS_NODE = {"node": [errno.ENOENT]}


@pytest.mark.root
@pytest.mark.parametrize(
    ("opens", "ioctls"),
    [
        ({"node": [errno.ENOENT, errno.ENOENT, 0]}, {}),
        ({"node": [errno.ENXIO, 0]}, {}),
        ({}, {LOOP_CTL_GET_FREE: [errno.EAGAIN, errno.EINTR, 0]}),
        ({}, {LOOP_CONFIGURE: [errno.EBUSY, errno.EAGAIN, 0]}),
    ],
)
def test_what_passes_is_tried_again(
    opens: dict[str, list[int]], ioctls: dict[int, list[int]], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.listdir("/proc/self/fd")
    image = nameless_file(place, SIZE)
    faults = Faults(monkeypatch, opens=opens, ioctls=ioctls)
    monkeypatch.setattr("bench.kernel.loop.CLAIM_SECONDS", 5.0)
    device = LoopDevice(image)
    assert faults.asked > 3
    device.close()
    os.close(image)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.root
@pytest.mark.parametrize(
    ("opens", "ioctls", "words"),
    [
        (
            {"/dev/loop-control": [errno.ENOENT]},
            {},
            r"no loop device: /dev/loop-control: No such file or directory; modprobe loop",
        ),
        (
            {"/dev/loop-control": [errno.EACCES]},
            {},
            r"no loop device: /dev/loop-control: Permission denied; run as root outside of a container",
        ),
        (ALWAYS_NODE, {}, r"no loop device: /dev/loop(\d+): No such file or directory; mknod /dev/loop\1 b 7 \1$"),
        ({"node": [errno.EPERM]}, {}, r"no loop device: /dev/loop\d+: Operation not permitted; run as root outside"),
        (
            {},
            {LOOP_CTL_GET_FREE: [errno.EAGAIN]},
            r"no loop device: /dev/loop-control: Resource temporarily unavailable; `losetup -a` shows",
        ),
        (
            {},
            {LOOP_CTL_GET_FREE: [errno.ENOSPC]},
            r"no loop device: /dev/loop-control: No space left on device; see `python",
        ),
        ({}, {LOOP_CONFIGURE: [errno.EBUSY]}, r"no loop device: /dev/loop\d+: Device or resource busy; `losetup -a`"),
    ],
)
def test_what_does_not_pass_names_the_device_and_what_to_do(
    opens: dict[str, list[int]],
    ioctls: dict[int, list[int]],
    words: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = nameless_file(place, SIZE)
    before = os.listdir("/proc/self/fd")
    Faults(monkeypatch, opens=opens, ioctls=ioctls)
    with pytest.raises(BenchError, match=words):
        LoopDevice(image)
    assert os.listdir("/proc/self/fd") == before
    os.close(image)


@pytest.mark.root
def test_a_file_that_refuses_direct_io_is_attached_without(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = nameless_file(place, SIZE)
    Faults(monkeypatch, opens={}, ioctls={-LOOP_CONFIGURE: [errno.EINVAL]})
    device = LoopDevice(image)
    assert not device.direct_io
    assert Path(f"/sys/block/loop{device.number}/loop/dio").read_text() == "0\n"
    device.close()
    os.close(image)
