"""A daemon in the foreground: started, waited for, and ended with what it said kept for the reader."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.host.processors import allow_all
from bench.kernel import mounts, namespaces

__all__ = ["Daemon", "DaemonError", "private_places"]

START_SECONDS, STOP_SECONDS = 60.0, 20.0
POLL_SECONDS = 0.02
LAST_LINES = 3  # of what it said, in an error
# Where daemons keep locks, sockets and what they know, whatever they are told: /run/containerd, /run/zfs,
# /dev/shm/libpod_lock; /var/lib/zfs/zpool.cache has the user's pools.
PRIVATE = (Path("/run"), Path("/dev/shm"), Path("/var/lib/zfs"))  # noqa: S108
SOURCE = "layer-bench"  # of the mounts over them


def private_places(name: str) -> None:
    """Hide the host's daemons behind empty directories that only this mount namespace has, once.

    Raises BenchError in a namespace that is not the suite's own: there those places are the user's.
    """
    if mounts.mount_entry(PRIVATE[0]).source == SOURCE:
        return
    if not namespaces.is_private():
        raise BenchError(f"{name} is not started here", why="this is the host's own mount namespace")
    for place in PRIVATE:
        if place.is_dir():
            mounts.mount(SOURCE, place, "tmpfs", options="mode=0755")
    mounts.mount("proc", "/proc", "proc")  # of our PID namespace: runc looks its children up there


class DaemonError(BenchError):
    """A daemon that does not run; `said` is all that it said."""

    def __init__(self, what: str, output: str) -> None:
        lines = output.strip().splitlines()
        super().__init__(what, why=" / ".join(line.strip() for line in lines[-LAST_LINES:]) or "it said nothing")
        self.output = output


class Daemon:
    """A running daemon: started by the constructor, which returns as soon as `ready` says so.

    Raises DaemonError with its own last words where it ends first or is not ready after START_SECONDS.
    """

    def __init__(
        self, command: Sequence[str], ready: Callable[[], bool], environment: Mapping[str, str] | None = None
    ) -> None:
        tether = namespaces.TETHER if shutil.which(namespaces.TETHER[0]) else ()  # where no PID namespace ends it
        self.command = [*tether, *command]
        self.name = os.path.basename(command[0])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop
        try:
            # A session of its own: a ^C at the terminal must reach the run, not the daemon.
            self.process: subprocess.Popen[Any] = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            self._log.close()
            raise BenchError(f"{self.name} cannot be started", why=error.strerror or str(error)) from error
        allow_all(self.process.pid)
        end = time.monotonic() + START_SECONDS
        try:
            while not ready():
                self.require()
                if time.monotonic() > end:
                    raise DaemonError(f"{self.name} was not ready after {START_SECONDS:g} s", self.output())
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.stop()
            raise

    def require(self) -> None:
        """Raise DaemonError unless it runs."""
        if self.process.poll() is not None:
            raise DaemonError(f"{self.name} has ended (status {self.process.returncode})", self.output())

    def output(self) -> str:
        """Return all that it said; it writes on at the end, wherever the reader is."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")

    def stop(self) -> None:
        """End it, with force where it does not listen."""
        if self._log.closed:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()
