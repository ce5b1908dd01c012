"""Loop devices with autoclear, on nameless files."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import tempfile
import time
from pathlib import Path

from bench.errors import BenchError

__all__ = ["LoopDevice", "fill", "nameless_file"]

# include/uapi/linux/loop.h, include/uapi/linux/fs.h
LOOP_CTL_GET_FREE, LOOP_CONFIGURE = 0x4C82, 0x4C0A
LO_FLAGS_AUTOCLEAR, LO_FLAGS_DIRECT_IO = 4, 16
BLKFLSBUF = 0x1261
LOOP_MAJOR = 7  # include/uapi/linux/major.h
FILLED_AT_ONCE = 4 << 20  # bytes
CONTROL = "/dev/loop-control"
CLAIM_SECONDS, CLAIM_PAUSE = 3.0, 0.01
PASSING = frozenset({errno.EBUSY, errno.EAGAIN, errno.EINTR, errno.ENOENT, errno.ENXIO})  # transient, worth a retry


class _LoopInfo64(ctypes.Structure):
    _fields_ = (
        ("lo_device", ctypes.c_uint64),
        ("lo_inode", ctypes.c_uint64),
        ("lo_rdevice", ctypes.c_uint64),
        ("lo_offset", ctypes.c_uint64),
        ("lo_sizelimit", ctypes.c_uint64),
        ("lo_number", ctypes.c_uint32),
        ("lo_encrypt_type", ctypes.c_uint32),
        ("lo_encrypt_key_size", ctypes.c_uint32),
        ("lo_flags", ctypes.c_uint32),
        ("lo_file_name", ctypes.c_uint8 * 64),
        ("lo_crypt_name", ctypes.c_uint8 * 64),
        ("lo_encrypt_key", ctypes.c_uint8 * 32),
        ("lo_init", ctypes.c_uint64 * 2),
    )


class _LoopConfig(ctypes.Structure):
    _fields_ = (
        ("fd", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("info", _LoopInfo64),
        ("reserved", ctypes.c_uint64 * 8),
    )


def nameless_file(directory: Path, size: int) -> int:
    """Return a descriptor of a sparse file of `size` bytes in `directory` without a name.

    By O_TMPFILE if the file system supports it, else by creating and unlinking a file.
    """
    try:
        descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT}:
            raise
        descriptor, name = tempfile.mkstemp(prefix=".bench-image-", dir=directory)
        os.unlink(name)
    try:
        os.ftruncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def fill(descriptor: int, size: int) -> None:
    """Write `size` bytes of a file, rounded down to whole pages, with direct I/O if supported.

    Below a device on a sparse file, each block is allocated at its first write: a copy_up of 128 MiB took 98 ms, and
    68 ms on a filled file. No disk behaves like this. Preallocation (fallocate) does not help, because its extents are
    also converted at the first write. The bytes are random, because some hosts do not store zeros.
    """
    path = f"/proc/self/fd/{descriptor}"
    try:
        writer = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        writer = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        with mmap.mmap(-1, FILLED_AT_ONCE) as chunk:  # aligned, as direct I/O requires
            chunk.write(os.urandom(FILLED_AT_ONCE))
            aligned = size - size % mmap.PAGESIZE
            offset = 0
            while offset < aligned:
                with memoryview(chunk)[: min(FILLED_AT_ONCE, aligned - offset)] as piece:
                    offset += os.pwritev(writer, [piece], offset)
        os.fdatasync(writer)
    finally:
        os.close(writer)


def _refusal(path: str, error: OSError) -> BenchError:
    """Return the error for a device that cannot be opened, with a remedy."""
    number = path.removeprefix("/dev/loop")
    if isinstance(error, PermissionError):
        fix = "run as root outside of a container, or give the container its loop devices (--privileged)"
    elif error.errno in {errno.ENOENT, errno.ENODEV}:
        fix = "modprobe loop" if path == CONTROL else f"mknod {path} b {LOOP_MAJOR} {number}"
    elif error.errno in {errno.EBUSY, errno.EAGAIN}:
        fix = "`losetup -a` shows who has them"
    else:
        fix = "see `python -m bench doctor`"
    return BenchError(f"no loop device: {path}", why=error.strerror or str(error), fix=fix)


class LoopDevice:
    """A loop device with direct I/O and autoclear: it disappears with this object or its process.

    The open descriptor keeps the device while its file system is unmounted and mounted again.
    """

    def __init__(self, image: int) -> None:
        """Attach the open file `image` (a descriptor, which the caller may close afterwards)."""
        self.number, self._fd = self._claim(image)
        self.path = f"/dev/loop{self.number}"
        directory = f"/sys/block/loop{self.number}"
        try:
            self.direct_io = Path(directory, "loop/dio").read_text().strip() == "1"
            self._stat = os.open(f"{directory}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            os.close(self._fd)
            raise BenchError(
                f"no counters of {self.path}", why=f"{error.strerror}: {error.filename}", fix="mount sysfs at /sys"
            ) from error

    def _claim(self, image: int) -> tuple[int, int]:
        """Attach the image to a free device; return the device's number and descriptor.

        Another process may take the device first (EBUSY), the driver may be busy with it (EAGAIN), and devtmpfs may
        create its node a moment later. So this tries the next free device, for CLAIM_SECONDS. Raises BenchError with
        the device and a remedy for errors that are not transient.
        """
        try:
            control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _refusal(CONTROL, error) from error
        end = time.monotonic() + CLAIM_SECONDS
        try:
            while True:
                path = CONTROL
                try:
                    number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
                    path = f"/dev/loop{number}"
                    device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                    try:
                        self._configure(device, image)
                    except OSError:
                        os.close(device)
                        raise
                    return number, device
                except OSError as error:
                    if error.errno not in PASSING or time.monotonic() > end:
                        raise _refusal(path, error) from error
                time.sleep(CLAIM_PAUSE)
        finally:
            os.close(control)

    def _configure(self, device: int, image: int) -> None:
        config = _LoopConfig(fd=image)
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO
        try:
            fcntl.ioctl(device, LOOP_CONFIGURE, config)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # The backing file system has no direct I/O, which is recorded.
            config.info.lo_flags = LO_FLAGS_AUTOCLEAR
            fcntl.ioctl(device, LOOP_CONFIGURE, config)

    def drop_buffers(self) -> None:
        """Write back and drop the page cache of the block device (BLKFLSBUF)."""
        fcntl.ioctl(self._fd, BLKFLSBUF, 0)

    def stat(self) -> tuple[int, int]:
        """Return the bytes written and the flushes since the device was created.

        Fields 7 and 16 of Documentation/ABI/stable/sysfs-block, `stat`; sectors are 512 bytes.
        """
        fields = os.pread(self._stat, 512, 0).split()
        return int(fields[6]) * 512, int(fields[15])

    def close(self) -> None:
        """Close the device; the kernel detaches it when it is no longer mounted."""
        if self._fd >= 0:
            os.close(self._stat)
            os.close(self._fd)
            self._fd = -1
