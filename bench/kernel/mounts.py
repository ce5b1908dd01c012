"""mount(2), the file-descriptor mount API of Linux 5.2 and later, and /proc/self/mountinfo."""

from __future__ import annotations

import errno
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.kernel import libc

__all__ = [
    "MS_BIND",
    "MS_NOATIME",
    "MS_NODEV",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "PAGE",
    "STRING_LIMIT",
    "MountEntry",
    "OptionsTooLongError",
    "fs_mount",
    "mount",
    "mount_entry",
    "mount_table",
    "require_option",
    "sync",
    "unmount",
]

MS_RDONLY = 1
MS_NODEV = 4
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

# asm-generic numbers, the same on x86-64, arm64 and riscv64 (include/uapi/asm-generic/unistd.h).
SYS_MOVE_MOUNT, SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 429, 430, 431, 432
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
MOVE_MOUNT_F_EMPTY_PATH = 4
AT_FDCWD = -100
STRING_LIMIT = 255  # fs/fsopen.c: strndup_user(_value, 256), one for the NUL

PAGE = os.sysconf("SC_PAGE_SIZE")


class OptionsTooLongError(OSError):
    """The options string exceeds the page that mount(2) copies; the kernel would truncate it silently."""

    def __init__(self, length: int) -> None:
        super().__init__(errno.E2BIG, f"mount options take {length} bytes, mount(2) copies {PAGE - 1}")


def mount(source: str, target: Path | str, fstype: str = "", *, flags: int = 0, options: str = "") -> None:
    """Mount through the old system call; raise OptionsTooLongError where the kernel would truncate `options`."""
    data = os.fsencode(options)
    if len(data) > PAGE - 1:
        raise OptionsTooLongError(len(data))
    libc.call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        fstype.encode() or None,
        flags,
        data or None,
        path=str(target),
    )


def unmount(target: Path | str, *, detach: bool = False) -> None:
    """Unmount `target`; with `detach`, lazily (MNT_DETACH), as Docker does."""
    libc.call("umount2", os.fsencode(target), MNT_DETACH if detach else 0, path=str(target))


def sync(path: Path | str) -> None:
    """Write back all dirty data of the file system at the directory `path` (syncfs)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc.call("syncfs", descriptor, path=str(path))
    finally:
        os.close(descriptor)


def require_option(fstype: str, key: str, value: str | None) -> None:
    """Check, without mounting, that the kernel accepts an option for a file system type.

    Raises OSError with the kernel's reason if it does not, and PermissionError without the privilege to check. On a
    kernel without the mount API (before 5.2), or for a file system that does not use it, nothing is checked.
    """
    try:
        context = libc.syscall(SYS_FSOPEN, fstype.encode(), FSOPEN_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.ENODEV}:
            return
        raise
    try:
        kind = FSCONFIG_SET_FLAG if value is None else FSCONFIG_SET_STRING
        libc.syscall(SYS_FSCONFIG, context, kind, key.encode(), None if value is None else os.fsencode(value), 0)
    except OSError as error:
        raise OSError(error.errno, _context_log(context) or error.strerror) from error
    finally:
        os.close(context)


def fs_mount(fstype: str, target: Path | str, options: Iterable[tuple[str, str | None]]) -> None:
    """Mount by fsopen, fsconfig, fsmount and move_mount; an option may be repeated.

    Raises OSError with the kernel's log of the context, if any, and ENOSYS if the kernel or the
    architecture does not have these calls.
    """
    if platform.machine() not in {"x86_64", "aarch64", "riscv64"}:
        raise OSError(errno.ENOSYS, f"the mount API's numbers on {platform.machine()} are not known here")
    context = libc.syscall(SYS_FSOPEN, fstype.encode(), FSOPEN_CLOEXEC)
    try:
        for key, value in options:
            if value is not None and len(os.fsencode(value)) > STRING_LIMIT:
                raise OSError(errno.EINVAL, f"fsconfig takes {STRING_LIMIT} bytes, {key} has {len(value)}")
            kind = FSCONFIG_SET_FLAG if value is None else FSCONFIG_SET_STRING
            text = None if value is None else os.fsencode(value)
            libc.syscall(SYS_FSCONFIG, context, kind, key.encode(), text, 0, path=key)
        libc.syscall(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        tree = libc.syscall(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, 0)
        try:
            move = (SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)
            libc.syscall(*move, path=str(target))
        finally:
            os.close(tree)
    except OSError as error:
        log = _context_log(context)
        if log:
            raise OSError(error.errno, f"{error.strerror} ({log})", error.filename) from error
        raise
    finally:
        os.close(context)


def _context_log(context: int) -> str:
    """Return the kernel's log of a mount context, oldest message first."""
    lines: list[str] = []
    while True:
        try:
            line = os.read(context, 4096).decode(errors="replace").strip()
            lines.append(line.removeprefix("e ").removeprefix("w ").removeprefix("i "))  # the levels of fs/fs_context.c
        except OSError:  # ENODATA: end of the log
            return "; ".join(lines)


@dataclass(frozen=True)
class MountEntry:
    """One line of mountinfo; `options` has the per-mount and the per-superblock options."""

    target: str
    fstype: str
    source: str
    options: str

    @property
    def summary(self) -> str:
        """The options with the layers' paths replaced by their number, for the record of a unit."""
        options = self.options.split(",")
        layers = sum(option.startswith("lowerdir+=") for option in options)
        layers += sum(option.count(":") + 1 for option in options if option.startswith("lowerdir="))
        plain = [option for option in options if not option.startswith(("lowerdir", "upperdir=", "workdir="))]
        return ",".join([*plain, *([f"lowerdir×{layers}"] if layers else [])])


def _unescape(field: str) -> str:
    """Decode the octal escapes of spaces, tabs, newlines and backslashes in a field of mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def mount_table(text: str | None = None) -> list[MountEntry]:
    """Parse /proc/self/mountinfo (or `text` in its format), in mount order."""
    entries = []
    table = os.fsdecode(Path("/proc/self/mountinfo").read_bytes()) if text is None else text
    for line in filter(None, table.split("\n")):  # not splitlines: a path may contain other line separators
        left, _, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        options = ",".join(dict.fromkeys([*fields[5].split(","), *(tail[2].split(",") if len(tail) > 2 else [])]))
        entries.append(MountEntry(_unescape(fields[4]), tail[0], _unescape(tail[1]), options))
    return entries


def mount_entry(path: Path | str) -> MountEntry:
    """Return the mount that contains `path` (the deepest, and of those the newest).

    In a chroot that is not a mount point the root has no entry; its file system is then `unknown`.
    """
    resolved = os.path.realpath(path)
    best = None
    for entry in mount_table():
        root = entry.target.rstrip("/")
        contains = resolved == entry.target or resolved.startswith(root + "/")
        if contains and (best is None or len(entry.target) >= len(best.target)):
            best = entry
    return best or MountEntry("/", "unknown", "none", "")
