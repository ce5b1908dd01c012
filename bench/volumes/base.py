"""Recipes of volumes, and the volumes made from them."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from bench.errors import BenchError, LostVolumeError, RefusedVolumeError
from bench.host.packages import Package, install_hint
from bench.kernel import loop, mounts
from bench.kernel.log import kernel_log
from bench.model import Difference, Support

__all__ = [
    "MKFS",
    "DirectoryVolume",
    "LoopVolume",
    "Recipe",
    "Usage",
    "Volume",
    "keeps_nanoseconds",
    "load_module",
    "require_program",
]


REASON_CHARACTERS = 300  # of a program's message in an error; some programs print long lists
SECOND = 10**9  # nanoseconds
UNEVEN = 1_500_000_001 * SECOND + 123_456_789  # a time in nanoseconds that is no whole second
MKFS = "mkfs"  # key in a volume's name: `ext4,mkfs=-O^has_journal` is ext4 made with that argument


@dataclass(frozen=True)
class Usage:
    """Inodes (None: not counted) and bytes in use on a file system after syncing it."""

    inodes: int | None
    bytes: int


@dataclass(frozen=True)
class Recipe:
    """How to make one kind of file system, and its properties.

    `clones`: it supports FICLONE, so the kernel's copy_up clones instead of copying. `directory_bytes`: allocated by
    a new small directory. `journal_flushes`: flushes that its journal may occasionally add to those of a unit's
    fsyncs. `inode_bytes`: space per inode, at mkfs or later. `overlays`: the kernel's overlayfs accepts it as upper
    layer.
    """

    name: str
    title: str
    filesystem: str
    program: str
    arguments: tuple[str, ...]
    clones: bool
    directory_bytes: int
    order: int
    mount_options: str = ""
    minimum_bytes: int = 64 << 20
    inode_bytes: int = 512
    journal_flushes: int = 0
    needs_root: bool = True
    overlays: bool = True
    profile: str = "quick"  # the least thorough profile that measures on it by default
    scenarios: tuple[str, ...] = ()  # those that measure on it in every profile, because it differs there
    differences: tuple[Difference, ...] = ()  # of any driver on it, even of two plain directories
    packages: tuple[Package, ...] = ()  # that contain its programs
    drivers: tuple[str, ...] = ()  # besides native, those measured on it by default; (): all
    typeless: tuple[str, ...] = ()  # mkfs arguments for a file system without types in listings; (): it cannot be had
    counts: bool = True  # whether what statfs says of inodes and bytes changes by what is made, and by no more
    modules: tuple[str, ...] = ()  # of the kernel, besides the file system's, that a guest loads for it

    def probe(self) -> Support:
        """Tell whether it can be made on this machine."""
        if os.geteuid() != 0:
            return Support.no("loop devices and mounts need root", f"run as root to add {self.name} volumes")
        filesystems = {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()}
        if self.filesystem not in filesystems and not load_module(self.filesystem):
            return Support.no(f"not supported by this kernel: no {self.filesystem} in /proc/filesystems")
        if not Path("/dev/loop-control").exists():
            return Support.no("this kernel or container has no /dev/loop-control")
        return require_program(self.program)

    def settle(self, path: Path) -> None:
        """Wait for the background work of the file system mounted at `path` after a sync."""

    def writebacks(self, path: Path) -> int:
        """Return how often the file system mounted at `path` has written by itself; 0 if it does not tell."""
        return 0

    def make(self, path: Path, work: Path, *, size: int, inodes: int) -> LoopVolume | DirectoryVolume:
        """Make a file system of `size` bytes on a nameless file in `work` and mount it at `path`."""
        return LoopVolume(self, path, work, size=size, inodes=inodes)

    def varied(self, arguments: Sequence[str]) -> Recipe:
        """Return the recipe with more arguments for mkfs, which its name includes."""
        if not self.filesystem:
            raise BenchError(f"volume {self.name} takes no {MKFS}", why="no file system is made on it")
        name = ",".join([self.name, *(f"{MKFS}={argument}" for argument in arguments)])
        title = f"{self.title}, made with {' '.join(arguments)}"
        try:
            words = [word for argument in arguments for word in shlex.split(argument)]
        except ValueError as error:
            raise BenchError(
                f"volume {name} has no arguments for mkfs", why=str(error), fix="close the quote"
            ) from error
        return replace(self, name=name, title=title, arguments=(*self.arguments, *words))

    def without_types(self) -> Recipe | None:
        """Return the recipe of a file system whose listings have no types of names (d_type); None if there is none."""
        if not self.typeless:
            return None
        return replace(self, name=f"{self.name} without types", arguments=self.typeless, clones=False)

    def mkfs(self, device: str, *, inodes: int) -> list[str]:
        """Return the argument list that formats `device` with room for `inodes`."""
        return [self.program, *(part.replace("{inodes}", str(inodes)) for part in self.arguments), device]


def require_program(program: str) -> Support:
    """Return support if `program` is installed, else the package that contains it."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return Support.yes()
    return Support.no(f"the program {program} is not installed", install_hint(program))


def load_module(name: str) -> bool:
    """Load a module of the kernel; tell whether that worked."""
    program = shutil.which("modprobe", path="/usr/sbin:/sbin")
    return program is not None and subprocess.run([program, "-q", name], check=False).returncode == 0


def keeps_nanoseconds(path: Path) -> bool:
    """Tell whether file times below `path` have nanoseconds; ext4 requires inodes of 256 bytes for them."""
    with tempfile.NamedTemporaryFile(prefix=".time-", dir=path) as file:
        os.utime(file.fileno(), ns=(UNEVEN, UNEVEN))
        return os.fstat(file.fileno()).st_mtime_ns % SECOND != 0


class Volume(Protocol):
    """A mounted file system of this run."""

    recipe: Recipe
    path: Path

    def options(self) -> str:
        """Return the mount options in effect, from mountinfo."""

    def sync(self) -> None:
        """Write back all dirty data of this file system."""

    def remount(self) -> Support:
        """Unmount and mount again, so that none of its dentries, inodes and pages are cached."""

    def written(self) -> tuple[int, int] | None:
        """Return the bytes written to the device and its flushes; None if the device is not the run's own."""

    def usage(self) -> Usage:
        """Return inodes and bytes in use."""

    def forbid_devices(self) -> None:
        """Mount without devices from now on: what lies on it is of somebody else's making."""


class _Mounted:
    recipe: Recipe
    path: Path
    without_devices = False

    def forbid_devices(self) -> None:
        self.without_devices = True
        mounts.mount("none", self.path, flags=mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_NODEV)

    def options(self) -> str:
        entry = mounts.mount_entry(self.path)
        return f"{entry.fstype} {entry.options}"

    def sync(self) -> None:
        mounts.sync(self.path)

    def usage(self) -> Usage:
        self.sync()
        self.recipe.settle(self.path)
        status = os.statvfs(self.path)
        inodes = status.f_files - status.f_ffree if status.f_files else None
        return Usage(inodes, (status.f_blocks - status.f_bfree) * status.f_frsize)


class LoopVolume(_Mounted):
    """A file system on a loop device, on a nameless file in the work directory."""

    def __init__(self, recipe: Recipe, path: Path, work: Path, *, size: int, inodes: int) -> None:
        self.recipe, self.path, self.size = recipe, path, size
        with ExitStack() as undo:
            try:
                image = loop.nameless_file(work, size)
                undo.callback(os.close, image)
                loop.fill(image, size)
                self.device = loop.LoopDevice(image)
            except OSError as error:
                raise BenchError(
                    f"cannot make a loop device of {size >> 20} MiB for {recipe.name} in {work}",
                    why=error.strerror or str(error),
                    fix="give another --workdir, or see `python -m bench doctor`",
                ) from error
        with ExitStack() as undo:
            undo.callback(self.device.close)
            self.command = command = self._mkfs(inodes)
            environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
            result = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env=environment,
            )
            if result.returncode != 0:
                raise BenchError(f"{shlex.join(command)} failed", why=_reason(result))
            self.path.mkdir(parents=True, exist_ok=True)
            self._mount()
            undo.pop_all()

    def _mkfs(self, inodes: int) -> list[str]:
        return self.recipe.mkfs(self.device.path, inodes=inodes)

    def _mount(self) -> None:
        """Mount; raises BenchError with the kernel's log of the device, because mount(2) mostly gives EINVAL only."""
        with kernel_log() as logged:
            try:
                self._attach()
            except OSError as error:
                name = re.escape(self.device.path.removeprefix("/dev/"))
                messages = [line for line in logged() if re.search(rf"\b{name}\b", line)]
                raise RefusedVolumeError(
                    f"the kernel does not mount the volume {self.recipe.name}",
                    why="; ".join(messages) or error.strerror or str(error),
                    fix="leave out the arguments for mkfs" if f",{MKFS}=" in self.recipe.name else "see dmesg",
                ) from error

    def _attach(self) -> None:
        mounts.mount(self.device.path, self.path, self.recipe.filesystem, options=self.recipe.mount_options)

    def _detach(self) -> None:
        mounts.unmount(self.path)

    def remount(self) -> Support:
        """Unmount, drop the device's buffers, and mount again."""
        self._detach()
        try:
            self.device.drop_buffers()
            self._mount()
            if self.without_devices:
                self.forbid_devices()
        except BenchError as error:
            raise LostVolumeError(error.what, why=error.why, fix=error.fix) from error
        return Support.yes()

    def written(self) -> tuple[int, int]:
        """Return the bytes written to the loop device and its flushes."""
        return self.device.stat()

    def close(self) -> None:
        """Unmount and close the device."""
        try:
            mounts.unmount(self.path, detach=True)
        except OSError as error:
            if error.errno != errno.EINVAL:  # not mounted: interrupted during a remount
                raise
        finally:
            self.device.close()


def _reason(result: subprocess.CompletedProcess[str]) -> str:
    """Return the message of a failed program, without its usage text."""
    if result.returncode < 0:
        return f"it was ended by {signal.Signals(-result.returncode).name}"
    lines = [line.strip() for line in (result.stderr.strip() or result.stdout.strip()).splitlines() if line.strip()]
    lines_before_usage = list(takewhile(lambda line: not line.lower().startswith("usage:"), lines))
    message = " ".join(lines_before_usage or lines[:1]) or f"exit {result.returncode}"
    return message if len(message) <= REASON_CHARACTERS else f"{message[:REASON_CHARACTERS]}…"


class DirectoryVolume(_Mounted):
    """A directory of an ordinary user, on any file system."""

    def __init__(self, recipe: Recipe, path: Path) -> None:
        self.recipe, self.path = recipe, path

    def forbid_devices(self) -> None:
        """An ordinary user cannot make any."""

    def remount(self) -> Support:
        """Not possible."""
        return Support.no("making a file system cold means mounting it again", "run as root for cold cells")

    def written(self) -> None:
        """None: the device has other users."""
        return

    def close(self) -> None:
        """Remove the directory; what cannot be removed is removed with the run's work directory."""
        shutil.rmtree(self.path, ignore_errors=True)
