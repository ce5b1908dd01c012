"""The work directory of an ordinary user's run, and leftovers of killed runs.

A run's directory has an owner file with a lock (flock), which the kernel releases when the last process
of the run dies. So a directory with an owner file of this suite that is not locked belongs to a dead run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.errors import BenchError
from bench.host import cgroups
from bench.kernel import mounts

__all__ = ["Leftover", "WorkDirectory", "find", "remove"]

PREFIX = "bench-work-"
OWNER = ".bench-owner"
MAGIC = "layer-bench"
OWNER_BYTES = 4096  # maximum size of an owner file
OVERLAYS = frozenset({"overlay", "fuse.fuse-overlayfs"})


@dataclass(frozen=True)
class Leftover:
    """A leftover: its kind, path, the reason to list it, and whether it was provably made by this suite."""

    kind: str
    path: Path
    reason: str
    removable: bool = False


class WorkDirectory:
    """Context manager: a new directory below `parent` for one run; its value is the path.

    Mode 0700; the owner file is locked while this process or a fork of it lives.
    Exiting removes the directory and its content.
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.path: Path | None = None
        self._lock = -1

    def __enter__(self) -> Path:
        with ExitStack() as undo:
            try:
                path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self.parent)).resolve()
                undo.callback(shutil.rmtree, path, ignore_errors=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._lock = os.open(path / OWNER, flags, 0o600)
                undo.callback(os.close, self._lock)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                owner = {"magic": MAGIC, "pid": os.getpid(), "boot_id": _boot_id()}
                os.write(self._lock, json.dumps(owner).encode())
            except OSError as error:
                raise BenchError(
                    f"cannot make a directory for the run in {self.parent}",
                    why=error.strerror or str(error),
                    fix="give another --workdir",
                ) from error
            undo.pop_all()
        self.path = path
        return path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.path is not None
        try:
            _delete(self.path)
        finally:
            os.close(self._lock)


def find(workdir: Path, *, sys: Path = Path("/sys")) -> list[Leftover]:
    """Return leftovers of earlier runs or other tools in `workdir`, with loop devices and mounts on it.

    Directories and control groups of dead runs are removable; all others are only reported, as they may be in use.
    """
    root = Path(os.path.realpath(workdir))
    leftovers = [leftover for path in sorted(root.glob(f"{PREFIX}*")) if (leftover := _examine(path)) is not None]
    leftovers += _loop_devices(root, sys)
    for group in cgroups.idle(sys / "fs" / "cgroup"):
        leftovers.append(Leftover("control group", group, "of containers of a run that was killed", removable=True))
    for entry in mounts.mount_table():
        if entry.fstype in OVERLAYS and entry.target.startswith(f"{root}/{PREFIX}"):
            leftovers.append(
                Leftover("mount", Path(entry.target), f"{entry.fstype} below a run's directory; see umount(8)")
            )
    return leftovers


def remove(leftover: Leftover) -> None:
    """Remove a leftover; raise BenchError if it is not (or no longer) provably of a dead run."""
    path = leftover.path
    if leftover.kind == "control group":
        cgroups.remove()
        return
    if not leftover.removable:
        raise BenchError(f"not removing {path}", why=f"not provably of this suite: {leftover.reason}")
    with _owned(path) as reason:
        if reason:
            raise BenchError(f"not removing {path}", why=reason)
        _delete(path)


def _examine(path: Path) -> Leftover | None:
    """Classify a directory with the suite's prefix; None: in use by a run."""
    with _owned(path) as reason:
        if reason == _IN_USE:
            return None
        if reason:
            return Leftover("directory", path, reason)
        mounted = _mounts_below(path)
        if mounted:
            return Leftover("directory", path, f"of a dead run, but {mounted[0]} is mounted in it; see umount(8)")
        return Leftover("directory", path, "of a run that was killed", removable=True)


_IN_USE = "in use by a run"


@contextmanager
def _owned(path: Path) -> Iterator[str]:
    """Lock a directory's owner file; yield the reason why it is not of a dead run, or an empty text."""
    with _opened(path) as (descriptor, reason):
        if descriptor < 0:
            yield reason
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _IN_USE
            return
        try:
            owner = json.loads(os.read(descriptor, OWNER_BYTES))
        except ValueError:
            owner = None
        ours = isinstance(owner, dict) and owner.get("magic") == MAGIC and {"pid", "boot_id"} <= owner.keys()
        yield "" if ours else f"its {OWNER} is not one of this suite"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, str]]:
    """Open a directory's owner file, if both belong to this user and are no links; else yield -1 and the reason."""
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        link = path.is_symlink()
        yield -1, "it is a symbolic link" if link else f"it cannot be opened ({error.strerror})"
        return
    try:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(OWNER, flags, dir_fd=directory)
        except OSError as error:
            yield -1, f"its {OWNER} cannot be opened ({error.strerror})"
            return
        try:
            statuses = [os.fstat(directory), os.fstat(descriptor)]
            if any(status.st_uid != os.geteuid() for status in statuses):
                yield -1, f"it belongs to user {statuses[0].st_uid}"
            elif not stat.S_ISREG(statuses[1].st_mode):
                yield -1, f"its {OWNER} is not a file"
            else:
                yield descriptor, ""
        finally:
            os.close(descriptor)
    finally:
        os.close(directory)


def _delete(path: Path) -> None:
    """Delete a tree, without following symbolic links (shutil.rmtree does not) or crossing mounts."""
    if path.is_symlink():
        raise BenchError(f"not removing {path}", why="it is a symbolic link")
    mounted = _mounts_below(path)
    if mounted:
        raise BenchError(f"not removing {path}", why=f"{mounted[0]} is mounted", fix=f"`umount {mounted[0]}` first")
    try:
        _open_up(path)
        shutil.rmtree(path)
    except FileNotFoundError:
        if path.exists():  # another process deletes it too
            raise BenchError(f"cannot remove {path}", why="it changes meanwhile", fix="try again") from None
    except OSError as error:
        raise BenchError(f"cannot remove all of {path}", why=str(error)) from error


def _open_up(path: Path) -> None:
    """Give the owner access to every directory: overlayfs creates work directories with mode 0."""
    for directory, subdirectories, _ in os.walk(path):
        for name in subdirectories:
            entry = os.path.join(directory, name)
            mode = os.lstat(entry).st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(entry, stat.S_IRWXU)


def _mounts_below(path: Path) -> list[str]:
    resolved = os.path.realpath(path)
    return [entry.target for entry in mounts.mount_table() if f"{entry.target}/".startswith(f"{resolved}/")]


def _loop_devices(root: Path, sys: Path) -> list[Leftover]:
    devices = []
    for file in sorted((sys / "block").glob("loop*/loop/backing_file")):
        try:
            backing = file.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except OSError:  # just detached
            continue
        device = Path("/dev") / file.parent.parent.name
        if backing.endswith(" (deleted)"):
            reason = f"its file is deleted ({backing.removesuffix(' (deleted)')})"
        elif backing.startswith(f"{root}/"):
            reason = f"its file is {backing}"
        else:
            continue
        devices.append(Leftover("loop device", device, f"{reason}; a run in progress has such, else see losetup(8) -d"))
    return devices


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
