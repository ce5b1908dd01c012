"""zfs: a pool on one loop device, by the kernel module if there is one, else by zfs-fuse (another implementation)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from bench.errors import BenchError
from bench.host.daemon import Daemon, private_places
from bench.host.packages import ENGINES, Package, find_program, install_hint
from bench.model import Difference, Support
from bench.volumes.base import LoopVolume, Recipe, Usage

__all__ = ["POOL", "VOLUME", "ZfsRecipe", "ZfsVolume", "in_kernel", "zfs"]

POOL = "layer-bench"  # prefix of pool names
SOCKET, LOCKS = Path("/run/zfs/zfs_socket"), Path("/run/lock/zfs")  # fixed paths of zfs-fuse


def in_kernel() -> bool:
    """Tell whether this kernel has zfs."""
    return any(line.split()[-1] == "zfs" for line in Path("/proc/filesystems").read_text().splitlines())


def zfs(*arguments: str, program: str = "zfs") -> str:
    """Run zfs or zpool; return its output. Raises BenchError with the last line of its message."""
    result = subprocess.run([find_program(program) or program, *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = (result.stderr.strip() or result.stdout.strip() or f"status {result.returncode}").splitlines()
        raise BenchError(f"{program} {arguments[0]} failed", why=lines[-1])
    return result.stdout.rstrip("\n")


class ZfsRecipe(Recipe):
    """A pool, which zpool makes instead of mkfs."""

    def probe(self) -> Support:
        """Tell whether the kernel or zfs-fuse supports it."""
        if os.geteuid() != 0:
            return Support.no("loop devices and mounts need root", f"run as root to add {self.name} volumes")
        if not Path("/dev/loop-control").exists():
            return Support.no("this kernel or container has no /dev/loop-control")
        if in_kernel():
            return Support.yes() if find_program("zpool") else Support.no("no zpool here", "install zfsutils-linux")
        if find_program("zfs-fuse") is None:
            return Support.no("not supported by this kernel, and zfs-fuse is not installed", install_hint("zfs-fuse"))
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            return Support.no("/dev/fuse is missing or not accessible", "modprobe fuse")
        return Support.yes()

    def make(self, path: Path, work: Path, *, size: int, inodes: int) -> ZfsVolume:
        """Make a pool whose root dataset is mounted at `path`."""
        return ZfsVolume(self, path, work, size=size, inodes=inodes)


class ZfsVolume(LoopVolume):
    """A pool; zfs-fuse's daemon runs while there is a pool."""

    _daemon: Daemon | None = None  # of all pools
    _pools = 0

    def __init__(self, recipe: Recipe, path: Path, work: Path, *, size: int, inodes: int) -> None:
        kind = type(self)
        if not in_kernel() and kind._daemon is None:
            private_places("zfs-fuse")
            for directory in (SOCKET.parent, LOCKS):
                directory.mkdir(parents=True, exist_ok=True)
            options = ("--no-daemon", "--no-kstat-mount", "--pidfile", str(SOCKET.parent / "pid"))
            command = [find_program("zfs-fuse") or "zfs-fuse", *options]
            kind._daemon = Daemon(command, SOCKET.exists)
        self.pool = f"{POOL}-{os.getpid()}-{kind._pools}"
        kind._pools += 1
        self.path = path
        try:
            super().__init__(recipe, path, work, size=size, inodes=inodes)
        except BaseException:
            self._end()
            raise

    def _mkfs(self, inodes: int) -> list[str]:
        options = ("-f", "-o", "cachefile=none", "-O", "atime=off", "-m", str(self.path))
        return [find_program("zpool") or "zpool", "create", *options, self.pool, self.device.path]

    def _mount(self) -> None:
        """Zpool create has mounted it."""

    def remount(self) -> Support:
        """Export the pool and import it again, which drops its caches.

        zpool is shown this device alone: a search of /dev fails if the devices of others go meanwhile.
        """
        zfs("export", self.pool, program="zpool")
        with tempfile.TemporaryDirectory() as devices:
            Path(devices, Path(self.device.path).name).symlink_to(self.device.path)
            zfs("import", "-d", devices, "-o", "cachefile=none", self.pool, program="zpool")
        return Support.yes()

    def usage(self) -> Usage:
        """Return the bytes allocated by the pool, which does not count inodes."""
        self.sync()
        return Usage(None, int(float(zfs("get", "-Hp", "-o", "value", "used", self.pool))))

    def close(self) -> None:
        """Destroy the pool, close the device and, after the last pool, stop the daemon."""
        with suppress(BenchError):
            zfs("destroy", "-f", self.pool, program="zpool")
        self.device.close()
        self._end()

    def _end(self) -> None:
        kind = type(self)
        kind._pools -= 1
        if kind._pools == 0 and kind._daemon is not None:
            kind._daemon.process.kill()  # when asked to end it takes 3 s, and there is no pool that it could lose
            kind._daemon.stop()
            kind._daemon = None


VOLUME = ZfsRecipe(
    name="zfs",
    title="zfs" if in_kernel() else "zfs (zfs-fuse, in user space)",
    filesystem="zfs",
    program="zpool",
    packages=(Package("zfs-fuse", "zfs-fuse", "zfs volumes and the zfs driver (and a system service)", ENGINES),),
    arguments=(),
    clones=False,
    overlays=in_kernel(),
    counts=False,
    directory_bytes=0,  # a few objects of metadata, compressed
    minimum_bytes=512 << 20,
    inode_bytes=2048,
    profile="standard",
    differences=(
        Difference(
            "a listing that is under way while a name is made may leave out another name, or not",
            "seen with zfs-fuse 0.7, in a plain dataset: the place in a listing moves with what is made",
            ("readdir-while-changing",),
        ),
    ),
    drivers=("zfs",),  # a unit of other drivers would also take a second
    order=5,
)
