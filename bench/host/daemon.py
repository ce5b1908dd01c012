"""A daemon run in the foreground: start, wait until ready, stop; its output is kept for error messages."""

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
LAST_LINES = 3  # of its output, in an error
# Directories in which daemons keep locks, sockets and state regardless of their options: /run/containerd, /run/zfs,
# /dev/shm/libpod_lock; /var/lib/zfs/zpool.cache has the user's pools.
PRIVATE = (Path("/run"), Path("/dev/shm"), Path("/var/lib/zfs"))  # noqa: S108
SOURCE = "layer-bench"  # the mount source of the tmpfs over them


def private_places(name: str) -> None:
    """Mount a tmpfs over the host's directories of daemons, in this mount namespace, once.

    Raises BenchError in a namespace that the suite did not create, where the directories are the user's.
    """
    if mounts.mount_entry(PRIVATE[0]).source == SOURCE:
        return
    if not namespaces.is_private():
        raise BenchError(f"{name} is not started here", why="this is the host's own mount namespace")
    for place in PRIVATE:
        if place.is_dir():
            mounts.mount(SOURCE, place, "tmpfs", options="mode=0755")
    mounts.mount("proc", "/proc", "proc")  # of the new PID namespace, because runc reads its children there


class DaemonError(BenchError):
    """A daemon does not run; `output` is its complete output."""

    def __init__(self, what: str, output: str) -> None:
        lines = output.strip().splitlines()
        super().__init__(what, why=" / ".join(line.strip() for line in lines[-LAST_LINES:]) or "it said nothing")
        self.output = output


class Daemon:
    """A running daemon, started by the constructor, which returns when `ready` returns true.

    Raises DaemonError with the last lines of its output if it ends first or is not ready after START_SECONDS.
    """

    def __init__(
        self, command: Sequence[str], ready: Callable[[], bool], environment: Mapping[str, str] | None = None
    ) -> None:
        tether = namespaces.TETHER if shutil.which(namespaces.TETHER[0]) else ()  # if no PID namespace ends it
        self.command = [*tether, *command]
        self.name = os.path.basename(command[0])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop
        try:
            # A session of its own, so that ^C at the terminal reaches the run and not the daemon.
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
        """Return its output so far; pread leaves the file offset, at which it writes, unchanged."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")

    def stop(self) -> None:
        """Terminate it; kill it after STOP_SECONDS."""
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
