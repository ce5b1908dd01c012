"""Interface of an engine: load images; create, start, stop and remove a container; locate its files.

An engine is a private instance: its data is below `home` on a volume of the run, its sockets and state on a tmpfs of
the run's mount namespace (bench.host.daemon, `private_places`).
"""

from __future__ import annotations

import errno
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from bench.errors import BenchError
from bench.host import cgroups
from bench.host.daemon import Daemon, private_places
from bench.host.packages import Package, find_program, install_hint
from bench.kernel import mounts
from bench.model import Support

__all__ = ["BUSYBOX", "ContainerPaths", "Engine", "static_busybox"]

STATE = Path("/run/layer-bench")
BUSYBOX = "busybox"
INTERPRETER = b"/ld-"  # in the head of a dynamically linked program; the images have no shared libraries
HEAD_BYTES = 4096
LAST_LINES = 2  # of a command's message, in an error
SECONDS = 300.0  # timeout of a command of an engine: loading 124 layers of 1,000 files took 22 s here
OWN_PATHS = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"  # the distribution's programs come first


@dataclass(frozen=True)
class ContainerPaths:
    """The paths of a running container: its root, its writable layer (None: in place), and its directory."""

    merged: Path
    upper: Path | None
    path: Path


@dataclass(frozen=True)
class Storage:
    """A storage driver of an engine, and the driver by hand that it is compared with.

    `cumulative`: a layer's directory also holds the files of all layers below. By default it is measured on `volumes`
    only, because an engine takes seconds for each.
    """

    name: str
    counterpart: str
    cumulative: bool = False
    volumes: tuple[str, ...] = ("ext4", "xfs")
    programs: tuple[str, ...] = ()  # that the engine runs for this one
    leaves: str = ""  # what it leaves behind when it is killed, for which it is measured in guests only


class Engine(ABC):
    """An engine with one of its storage drivers, below `home`."""

    name: ClassVar[str]
    order: ClassVar[int]  # of its drivers in lists, after the drivers by hand
    programs: ClassVar[tuple[str, ...]]
    in_guests: ClassVar[bool] = False  # whether these are all that it needs besides a kernel
    packages: ClassVar[tuple[Package, ...]]  # that install them, besides the packages that all engines need
    storages: ClassVar[tuple[Storage, ...]]
    most_layers: ClassVar[int | None] = None  # the engine's limit, whatever the storage driver's is
    versions: ClassVar[tuple[str, ...]]  # prefixes of the versions whose directory layout is known

    def __init__(self, home: Path, driver: str) -> None:
        self.home, self.driver = home, driver
        self.state = STATE / home.name
        self.daemon: Daemon | None = None
        self.known_version = ""  # set by start

    @classmethod
    def probe(cls) -> Support:
        """Tell whether its programs are installed, without starting one."""
        if os.geteuid() != 0:
            return Support.no("a private engine needs root", "run as root")
        for program in (*cls.programs, BUSYBOX):
            if find_program(program) is None:
                return Support.no(f"the program {program} is not installed", install_hint(program))
        return static_busybox()

    @abstractmethod
    def start(self) -> None:
        """Start its daemon, if it has one, on the directory `home`; raises BenchError if it does not run."""

    @abstractmethod
    def load(self, archive: Path) -> None:
        """Load the images of an archive written by bench.engines.images."""

    @abstractmethod
    def create(self, image: str) -> str:
        """Create a container; return its id."""

    @abstractmethod
    def run(self, container: str) -> ContainerPaths:
        """Start a container; return its paths."""

    @abstractmethod
    def halt(self, container: str) -> None:
        """Stop a container, which unmounts its root."""

    @abstractmethod
    def remove(self, container: str) -> None:
        """Remove a container and its writable layer."""

    @abstractmethod
    def commit(self, container: str, target: Path) -> None:
        """Write a container's changes to `target` as a layer archive, made by the engine itself."""

    @abstractmethod
    def layers(self, diff_ids: Sequence[str]) -> list[Path]:
        """Return the directory of each layer of an image, bottom first."""

    @abstractmethod
    def version(self) -> str:
        """Return the version that the engine reports."""

    @property
    def root(self) -> Path:
        """The directory of its data."""
        return self.home / "root"

    @property
    def storage_home(self) -> Path:
        """The directory of its storage driver."""
        return self.root / self.driver

    def stop(self) -> None:
        """Stop its daemon, unmount what it left mounted, and remove the control group of its containers."""
        if self.daemon is not None:
            self.daemon.stop()
        prefix = f"{os.path.realpath(self.home)}/"
        for entry in reversed(mounts.mount_table()):
            if entry.target.startswith(prefix):
                try:
                    mounts.unmount(entry.target, detach=True)
                except OSError as error:
                    if error.errno != errno.EINVAL:  # not mounted any more: what the daemon started may still end
                        raise
        cgroups.remove()

    def ask(self, *command: str, action: str = "") -> str:
        """Run a command of the engine; return its output without trailing newlines."""
        return self._run(command, subprocess.PIPE, action).decode(errors="replace").rstrip("\n")

    def write(self, target: IO[bytes], *command: str, action: str = "") -> None:
        """Run a command of the engine; write its output to `target`."""
        self._run(command, target, action)

    def _run(self, command: Sequence[str], stdout: int | IO[bytes], action: str) -> bytes:
        environment = {**os.environ, "PATH": OWN_PATHS, **self.environment()}
        what = action or command[-1]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                check=False,
                env=environment,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{self.name} did not answer in {SECONDS:g} s to {what}") from error
        except OSError as error:
            raise BenchError(f"{command[0]} cannot be run", why=error.strerror or str(error)) from error
        if done.returncode != 0:
            if self.daemon is not None:
                self.daemon.require()
            output = (done.stderr or done.stdout or f"status {done.returncode}".encode()).decode(errors="replace")
            lines = output.strip().splitlines()[-LAST_LINES:]  # docker's reason is not the last one
            raise BenchError(f"{self.name} refused to {what}", why=" / ".join(line.strip() for line in lines))
        return done.stdout or b""

    def daemon_output(self) -> str:
        """Return all output of its daemon; empty if it has none."""
        return self.daemon.output() if self.daemon else ""

    def environment(self) -> dict[str, str]:
        """Return the environment variables of its commands, besides PATH."""
        return {}

    def require_version(self) -> None:
        """Raise BenchError for a version whose directory layout is not known."""
        self.known_version = version = self.version()
        if not version.startswith(self.versions):
            raise BenchError(
                f"{self.name} {version} is not known here",
                why=f"where it keeps a container's files is known of {', '.join(self.versions)}",
                fix=f"leave {self.name}/{self.driver} out",
            )

    def make_private(self) -> None:
        """Mount empty directories over the host's engine state, in this mount namespace, once."""
        private_places(self.name)
        self.state.mkdir(parents=True, exist_ok=True)


def static_busybox() -> Support:
    """Tell whether busybox is statically linked, so that it runs in an image without libraries."""
    path = find_program(BUSYBOX)
    if path is None:
        return Support.no(f"the program {BUSYBOX} is not installed", install_hint(BUSYBOX))
    with open(path, "rb") as file:
        if INTERPRETER in file.read(HEAD_BYTES):
            return Support.no(f"{path} is no static program", "apt-get install busybox-static")
    return Support.yes()
