"""Union file systems in user space: one daemon per container, in the foreground, so that it ends with the run."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar

from bench.drivers.base import Container
from bench.drivers.layout import LinkedLayout
from bench.errors import BenchError
from bench.host.processors import allow_all
from bench.kernel import mounts
from bench.model import Support
from bench.volumes.base import Recipe, require_program

__all__ = ["FuseUnion"]

ARGUMENT_BYTES = 32 * os.sysconf("SC_PAGE_SIZE")  # with its NUL; include/uapi/linux/binfmts.h, MAX_ARG_STRLEN
START_SECONDS = STOP_SECONDS = 10.0


class FuseUnion(LinkedLayout):
    """A driver on overlay2's layout whose daemon mounts the container."""

    mounts_layers = True
    default_program: ClassVar[str]

    @property
    def program(self) -> str:
        """The program of this arm; a path is made absolute, independent of later working directories."""
        chosen = self.chosen.get("binary", self.default_program)
        return os.path.abspath(chosen) if "/" in chosen else chosen

    @abstractmethod
    def command(self, lower: Sequence[str], upper: str, work: str) -> list[str]:
        """Return the foreground command without the mount point; `lower` has the topmost layer first."""

    def probe(self, volume: Recipe) -> Support:
        """Tell whether the program and /dev/fuse are available."""
        if self.rootless:
            return Support.no(f"not measured without root: {self.name} needs a device mount", "run as root")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            return Support.no("/dev/fuse is missing or not accessible", "modprobe fuse")
        if self.launcher and shutil.which(self.launcher[0]) is None:
            return Support.no(f"the program {self.launcher[0]} is not installed", "apt-get install util-linux")
        if "binary" in self.chosen and shutil.which(self.program) is None:
            return Support.no(f"{self.program} is no program that can be run", "give the path of a build of it")
        return require_program(self.program)

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Start the daemon, wait for its mount, and at the end unmount and stop it."""
        home, path = container.stack.home, container.path
        lower = [str(home / link) for link in self.lower(container)]
        with self.merged(container) as merged, tempfile.TemporaryFile() as log:
            command = [*self.launcher, *self.command(lower, str(path / "diff"), str(path / "work")), str(merged)]
            longest = max(len(os.fsencode(argument)) for argument in command)
            if longest >= ARGUMENT_BYTES:
                raise BenchError(
                    f"{self.program} cannot be told of {len(lower)} layers in {home}",
                    why=f"their paths take {longest} bytes, and one argument of a program at most {ARGUMENT_BYTES - 1}",
                    fix="choose a directory with a shorter path, or fewer layers",
                )
            # A session of its own, so that ^C at the terminal reaches the run and not the daemon.
            daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                allow_all(daemon.pid)
                try:
                    self._wait(daemon, merged, log)
                    container.how["mount"] = f"{self.program} -f"
                    container.how["options"] = mounts.mount_table()[-1].summary
                    yield merged
                except OSError as error:
                    if _is_dead(daemon, error):
                        raise self._death_error(daemon, log) from error
                    raise
                finally:
                    _unmount(merged, daemon)
                daemon.wait(STOP_SECONDS)
            finally:
                if daemon.poll() is None:
                    daemon.kill()
                    daemon.wait()

    def _wait(self, daemon: subprocess.Popen[bytes], merged: Path, log: IO[Any]) -> None:
        outside = merged.parent.stat().st_dev
        end = time.monotonic() + START_SECONDS
        while merged.stat().st_dev == outside:
            if daemon.poll() is not None:
                raise self._death_error(daemon, log)
            if time.monotonic() > end:
                raise BenchError(f"{self.program} did not mount within {START_SECONDS:g} s")
            time.sleep(0.001)

    def _death_error(self, daemon: subprocess.Popen[bytes], log: IO[Any]) -> BenchError:
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        return BenchError(
            f"the {self.program} daemon died (status {daemon.returncode})",
            why=lines[-1] if lines else "it said nothing",
            fix="its unit is recorded as an error; run again, or leave the driver out",
        )


def _is_dead(daemon: subprocess.Popen[bytes], error: OSError) -> bool:
    """Tell whether the daemon is dead; its mount may report it before the kernel's process table does."""
    try:
        daemon.wait(STOP_SECONDS if error.errno in {errno.ENOTCONN, errno.ECONNABORTED} else 0)
    except subprocess.TimeoutExpired:
        return False
    return True


def _unmount(merged: Path, daemon: subprocess.Popen[bytes]) -> None:
    try:
        mounts.unmount(merged, detach=daemon.poll() is not None)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: it had not mounted yet
            raise
