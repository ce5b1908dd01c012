"""Device mapper: devices by name, their tables and messages, by the ioctls of /dev/mapper/control.

A device that is removed while it is in use goes when its last user closes it (deferred removal, since Linux 3.13). So
devices that are removed directly after they were opened end with the process that holds them, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from bench.kernel import mounts

__all__ = [
    "SECTOR",
    "Mapped",
    "Target",
    "activate",
    "deactivate",
    "mapped_name",
    "private_nodes",
    "send",
    "status",
    "targets",
    "users",
    "wait_until_gone",
]

T = TypeVar("T")
SECTOR = 512
CONTROL = "/dev/mapper/control"
# include/uapi/linux/dm-ioctl.h: _IOWR(0xfd, number, struct dm_ioctl), 312 bytes
VERSION = (4, 0, 0)
DEV_CREATE, DEV_REMOVE, DEV_SUSPEND, DEV_STATUS = 3, 4, 6, 7
TABLE_LOAD, TABLE_STATUS, LIST_VERSIONS, TARGET_MSG = 9, 12, 13, 14
READONLY_FLAG, DEFERRED_REMOVE = 1 << 0, 1 << 17
_HEAD = struct.Struct("=3I II I i I I I Q 128s 129s 7x")
_TARGET = struct.Struct("=QQiI16s")
_ROOM = 16 << 10  # bytes for answers
BUSY_SECONDS, BUSY_PAUSE = 5.0, 0.01


class Target(NamedTuple):
    """One line of a table: `sectors` from the start of the device are mapped by the target `kind`."""

    sectors: int
    kind: str
    parameters: str


class Mapped(NamedTuple):
    """An active device: its `major:minor`, as tables name it, and its path."""

    number: str
    path: str


class _Answer(NamedTuple):
    device: int
    targets: int
    data: bytes


def _call(number: int, name: str, payload: bytes = b"", *, count: int = 0, flags: int = 0) -> _Answer:
    """Call an ioctl for the device `name`; raises OSError with the name."""
    head = (*VERSION, _HEAD.size + len(payload) + _ROOM, _HEAD.size, count, 0, flags, 0, 0, 0)
    buffer = bytearray(_HEAD.pack(*head, name.encode(), b"") + payload + bytes(_ROOM))
    control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(control, 0xC0000000 | _HEAD.size << 16 | 0xFD00 | number, buffer)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), f"/dev/mapper/{name}") from None
    finally:
        os.close(control)
    answer = _HEAD.unpack_from(buffer)
    return _Answer(answer[10], answer[5], bytes(buffer[answer[4] :]))


def activate(name: str, target: Target, *, read_only: bool = False) -> Mapped:
    """Make the device `name` with a table of one target. Raises OSError.

    A device of this name that is still on its way out is waited for.
    """
    device = _patiently(lambda: _call(DEV_CREATE, name).device)
    try:
        parameters = target.parameters.encode() + b"\0"
        payload = _TARGET.pack(0, target.sectors, 0, 0, target.kind.encode()) + parameters
        _call(TABLE_LOAD, name, payload, count=1, flags=READONLY_FLAG if read_only else 0)
        _call(DEV_SUSPEND, name)  # without the flag that suspends: it resumes, with the new table
    except OSError:
        _call(DEV_REMOVE, name)
        raise
    return Mapped(f"{os.major(device)}:{os.minor(device)}", f"/dev/dm-{os.minor(device)}")


def _patiently(call: Callable[[], T]) -> T:
    """Call until the kernel is no longer busy with the removal of a device, which it does in the background."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return call()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                raise
        time.sleep(BUSY_PAUSE)


def deactivate(name: str) -> None:
    """Remove a device: now, or when its last user closes it. A device that is gone already is not an error."""
    try:
        _call(DEV_REMOVE, name, flags=DEFERRED_REMOVE)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise


def wait_until_gone(name: str) -> None:
    """Wait until no device has this name any more. Raises TimeoutError."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            _call(DEV_STATUS, name)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        if time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, "is in use", f"/dev/mapper/{name}")
        time.sleep(BUSY_PAUSE)


def send(name: str, message: str) -> None:
    """Send a message to the target at the device's first sector. Raises OSError."""
    _patiently(lambda: _call(TARGET_MSG, name, struct.pack("=Q", 0) + message.encode() + b"\0"))


def status(name: str) -> str:
    """Return the status of the target at the device's first sector, in the form of `dmsetup status`."""
    data = _call(TABLE_STATUS, name).data
    return data[_TARGET.size :].partition(b"\0")[0].decode()


def mapped_name(device: int) -> str:
    """Return the name of the mapped device with this number (st_dev); "" if it is another device."""
    path = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/dm/name")
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def users(device: Mapped) -> list[str]:
    """Return the names of the mapped devices whose tables have this one, but for those that are being removed."""
    names = []
    for holder in Path("/sys/block", Path(device.path).name, "holders").glob("dm-*"):
        with suppress(OSError):  # EINVAL from drivers/md/dm-sysfs.c, or the file is gone
            names.append((holder / "dm/name").read_text(encoding="ascii").strip())
    return names


def private_nodes(*names: str) -> None:
    """Mount a tmpfs over /dev/mapper in this mount namespace, with the control node and those of these devices.

    For programs that use libdevmapper, which makes nodes of its own there where udev does not.
    """
    number = os.stat(CONTROL).st_rdev
    directory = Path(CONTROL).parent
    if not os.path.ismount(directory):
        mounts.mount("layer-bench", directory, "tmpfs", options="mode=0755")
        os.mknod(CONTROL, stat.S_IFCHR | 0o600, number)
    for name in names:
        (directory / name).unlink(missing_ok=True)
        os.mknod(directory / name, stat.S_IFBLK | 0o600, _call(DEV_STATUS, name).device)


def targets() -> frozenset[str]:
    """Return the kinds of targets that the kernel has loaded. Raises OSError where it has no device mapper."""
    data, offset, found = _call(LIST_VERSIONS, "").data, 0, set()
    while True:  # struct dm_target_versions: next, version[3], name
        following = struct.unpack_from("=I", data, offset)[0]
        found.add(data[offset + 16 :].partition(b"\0")[0].decode())
        if not following:
            return frozenset(found)
        offset += following
