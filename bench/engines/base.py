"""What every engine can be asked: load images, create, start, end and remove a container, and where its files are.

An engine is a private instance: its data below `home` on a volume of the run, its sockets and state on a tmpfs that
only the run's mount namespace has (bench.host.daemon, `private_places`).
"""

from __future__ import annotations

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

__all__ = ["BUSYBOX", "Engine", "Placed", "static_busybox"]

STATE = Path("/run/layer-bench")
BUSYBOX = "busybox"
INTERPRETER = b"/ld-"  # of a program that needs shared libraries, which an image of ours does not have
HEAD_BYTES = 4096
SECONDS = 300.0  # that one command of an engine may take: loading 124 layers of 1,000 files took 22 s here
OWN_PATHS = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"  # the distribution's programs, before any other's


@dataclass(frozen=True)
class Placed:
    """Where a running container's files are: what it sees, its own layer (None: in place), and their directory."""

    merged: Path
    upper: Path | None
    path: Path


@dataclass(frozen=True)
class Storage:
    """A storage driver of an engine, and the driver by hand that it stands beside.

    `cumulative`: a layer's directory holds what all below it hold. It is measured unasked on `volumes`: an engine takes
    seconds for each.
    """

    name: str
    beside: str
    cumulative: bool = False
    volumes: tuple[str, ...] = ("ext4", "xfs")


class Engine(ABC):
    """An engine with one of its storage drivers, below `home`."""

    name: ClassVar[str]
    order: ClassVar[int]  # of its drivers, after those that are built by hand
    programs: ClassVar[tuple[str, ...]]
    packages: ClassVar[tuple[Package, ...]]  # that bring them, beside those of all engines
    storages: ClassVar[tuple[Storage, ...]]
    most_layers: ClassVar[int | None] = None  # that it takes whatever its storage driver does
    versions: ClassVar[tuple[str, ...]]  # what its version begins with, for those whose files are known here

    def __init__(self, home: Path, driver: str) -> None:
        self.home, self.driver = home, driver
        self.state = STATE / home.name
        self.daemon: Daemon | None = None
        self.known_version = ""  # once it was started

    @classmethod
    def probe(cls) -> Support:
        """Tell whether its programs are here, without starting one."""
        if os.geteuid() != 0:
            return Support.no("a private engine needs root", "run as root")
        for program in (*cls.programs, BUSYBOX):
            if find_program(program) is None:
                return Support.no(f"the program {program} is not installed", install_hint(program))
        return static_busybox()

    @abstractmethod
    def start(self) -> None:
        """Start its daemon, if it has one, on the directory `home`; raises BenchError where it does not run."""

    @abstractmethod
    def load(self, archive: Path) -> None:
        """Load the images of an archive that bench.engines.images made."""

    @abstractmethod
    def create(self, image: str) -> str:
        """Create a container and return its identity."""

    @abstractmethod
    def run(self, container: str) -> Placed:
        """Start a container; return where its files are."""

    @abstractmethod
    def halt(self, container: str) -> None:
        """End a container's process, which unmounts its files."""

    @abstractmethod
    def remove(self, container: str) -> None:
        """Delete a container with its layer."""

    @abstractmethod
    def commit(self, container: str, target: Path) -> None:
        """Write what a container changed to `target`, as the engine's own way to make a layer of it says."""

    @abstractmethod
    def layers(self, diff_ids: Sequence[str]) -> list[Path]:
        """Return the directory of each layer of an image, bottom first."""

    @abstractmethod
    def version(self) -> str:
        """Return the version that it says of itself."""

    @property
    def root(self) -> Path:
        """Its data."""
        return self.home / "root"

    @property
    def storage_home(self) -> Path:
        """The directory of its storage driver."""
        return self.root / self.driver

    def stop(self) -> None:
        """End its daemon, unmount what it leaves mounted, and remove the control group of its containers."""
        if self.daemon is not None:
            self.daemon.stop()
        below = f"{os.path.realpath(self.home)}/"
        for entry in reversed(mounts.mount_table()):
            if entry.target.startswith(below):
                mounts.unmount(entry.target, detach=True)
        cgroups.remove()

    def ask(self, *command: str, told: str = "") -> str:
        """Run a command of the engine; return what it prints, without the last newline."""
        return self._run(command, subprocess.PIPE, told).decode(errors="replace").rstrip("\n")

    def write(self, target: IO[bytes], *command: str, told: str = "") -> None:
        """Run a command of the engine whose output is a file's content."""
        self._run(command, target, told)

    def _run(self, command: Sequence[str], output: int | IO[bytes], told: str) -> bytes:
        environment = {**os.environ, "PATH": OWN_PATHS, **self.environment()}
        what = told or command[-1]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
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
            said = (done.stderr or done.stdout or f"status {done.returncode}".encode()).decode(errors="replace")
            raise BenchError(f"{self.name} refused to {what}", why=said.strip().splitlines()[-1])
        return done.stdout or b""

    def said(self) -> str:
        """Return all that its daemon said; nothing, if it has none."""
        return self.daemon.words() if self.daemon else ""

    def environment(self) -> dict[str, str]:
        """Return what its commands need beside PATH."""
        return {}

    def require_version(self) -> None:
        """Refuse a version whose files may lie elsewhere than they do here."""
        self.known_version = told = self.version()
        if not told.startswith(self.versions):
            raise BenchError(
                f"{self.name} {told} is not known here",
                why=f"where it keeps a container's files is known of {', '.join(self.versions)}",
                fix=f"leave {self.name}/{self.driver} out",
            )

    def make_private(self) -> None:
        """Hide the host's state of engines behind empty directories of this mount namespace, once."""
        private_places(self.name)
        self.state.mkdir(parents=True, exist_ok=True)


def static_busybox() -> Support:
    """Tell whether busybox runs in an image that has nothing else."""
    path = find_program(BUSYBOX)
    if path is None:
        return Support.no(f"the program {BUSYBOX} is not installed", install_hint(BUSYBOX))
    with open(path, "rb") as file:
        if INTERPRETER in file.read(HEAD_BYTES):
            return Support.no(f"{path} is no static program", "apt-get install busybox-static")
    return Support.yes()
