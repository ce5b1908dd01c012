"""Container engines installed on this machine, from their files only: no engine is started or queried."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.host.fingerprint import tool_version
from bench.kernel import mounts
from bench.model import Support

__all__ = ["ENGINES", "InstalledEngine", "InstalledStorage", "recommend_driver", "storage"]


@dataclass(frozen=True)
class InstalledEngine:
    """An engine's configuration files and default storage directory."""

    name: str
    program: str  # prints its version without contacting the engine
    process: str  # name of its daemon; empty: it has none
    package: str
    configurations: tuple[str, ...]  # the first that exists counts; ~ is the user's home
    root: str
    keys: tuple[tuple[str, ...], tuple[str, ...]]  # configuration keys of the root directory and of the driver
    drivers: Mapping[str, str]  # directory below the root, by driver


@dataclass(frozen=True)
class InstalledStorage:
    """An engine's storage according to its files; `problems` are about files that could not be read."""

    root: Path
    driver: str | None  # as configured
    present: tuple[str, ...]  # drivers whose directory exists
    filesystem: str | None  # that the root lies on, or would
    problems: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """A one-line description."""
        present = ", ".join(self.present) or "none yet"
        parts = [f"driver {self.driver or 'not configured'} (directories: {present})", f"root {self.root}"]
        parts.append(f"on {self.filesystem or 'an unknown file system'}")
        return " ".join([*parts, *(f"[{problem}]" for problem in self.problems)])


_GRAPHDRIVERS = ("overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "aufs", "overlay", "devicemapper")
_SNAPSHOTTERS = ("overlayfs", "native", "btrfs", "zfs", "devmapper", "erofs")

ENGINES = (
    InstalledEngine(
        "docker",
        "docker",
        "dockerd",
        "docker.io",
        ("/etc/docker/daemon.json",),
        "/var/lib/docker",
        (("data-root",), ("storage-driver",)),
        {name: name for name in _GRAPHDRIVERS},
    ),
    InstalledEngine(
        "podman",
        "podman",
        "",
        "podman",
        ("~/.config/containers/storage.conf", "/etc/containers/storage.conf", "/usr/share/containers/storage.conf"),
        "/var/lib/containers/storage",
        (("storage", "graphroot"), ("storage", "driver")),
        {name: name for name in ("overlay", "vfs", "btrfs", "zfs")},
    ),
    InstalledEngine(
        "containerd",
        "containerd",
        "containerd",
        "containerd",
        ("/etc/containerd/config.toml",),
        "/var/lib/containerd",
        (("root",), ("plugins", "io.containerd.grpc.v1.cri", "containerd", "snapshotter")),
        {name: f"io.containerd.snapshotter.v1.{name}" for name in _SNAPSHOTTERS},
    ),
)

ROOTLESS_PODMAN = "~/.local/share/containers/storage"


def find(engine: InstalledEngine) -> str | None:
    """Return the path of the engine's program; the distribution's takes precedence over others on PATH."""
    return shutil.which(engine.program, path="/usr/bin:/usr/sbin:/bin:/sbin") or shutil.which(engine.program)


def version(engine: InstalledEngine) -> str | None:
    """Return the version that the program prints; None if it is not installed."""
    path = find(engine)
    return None if path is None else tool_version(path)


def running(engine: InstalledEngine) -> bool | None:
    """Tell whether the engine's daemon is running; None: it has no daemon."""
    if not engine.process:
        return None
    return any(process.info["name"] == engine.process for process in psutil.process_iter(["name"]))


# File systems on which Docker 20.10 prefers their own drivers (daemon/graphdriver/driver_linux.go); its maintainers
# recommend overlay2 for all supported distributions (Docker's documentation, "Select a storage driver").
SNAPSHOTTING = ("btrfs", "zfs")


def recommend_driver(distribution: str | None, filesystem: str | None, *, overlay: Support, fuse: Support) -> Support:
    """Recommend a storage driver, with reasons, for the distribution, the root's file system and the kernel.

    `overlay` and `fuse`: whether the kernel mounts overlay, and whether fuse-overlayfs works.
    """
    place = f"for {distribution or 'this distribution'} on {filesystem or 'an unknown file system'}"
    if overlay.ok and filesystem in SNAPSHOTTING:
        return Support.yes(
            f"overlay2 {place}: it is what is maintained; Docker 20.10 takes {filesystem} there unless told otherwise"
        )
    if overlay.ok:
        return Support.yes(f"overlay2 {place}: the kernel mounts it, and Docker documents it for every distribution")
    if fuse.ok:
        return Support.yes(f"fuse-overlayfs {place}: the kernel does not mount overlay ({overlay.reason})")
    return Support.yes(f"vfs {place}: neither overlay ({overlay.reason}) nor fuse-overlayfs ({fuse.reason}) works")


def storage(engine: InstalledEngine, *, root: Path = Path("/"), home: Path | None = None) -> InstalledStorage:
    """Return the engine's storage according to its files below `root`."""
    problems: list[str] = []
    below = _resolver(root, home or Path.home())
    settings: dict[str, Any] = {}
    for name in engine.configurations:
        file = below(name)
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{file}: {error.strerror}")
            break
        try:
            settings = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
        except ValueError as error:
            problems.append(f"{file}: {error}")
        break
    configured, driver = (_dig(settings, keys) for keys in engine.keys)
    default = ROOTLESS_PODMAN if engine.name == "podman" and os.geteuid() != 0 else engine.root
    place = below(configured or default)
    return InstalledStorage(place, driver, _present(engine, place, problems), _filesystem(place), tuple(problems))


def _resolver(root: Path, home: Path) -> Callable[[str], Path]:
    def place(name: str) -> Path:
        return home / name[2:] if name.startswith("~/") else root / name.lstrip("/")

    return place


def _dig(settings: Any, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        settings = settings.get(key) if isinstance(settings, dict) else None
    return settings if isinstance(settings, str) and settings else None


def _present(engine: InstalledEngine, place: Path, problems: list[str]) -> tuple[str, ...]:
    try:
        entries = {entry.name for entry in place.iterdir()}
    except FileNotFoundError:
        return ()
    except OSError as error:
        problems.append(f"{place}: {error.strerror}")
        return ()
    return tuple(driver for driver, directory in engine.drivers.items() if directory in entries)


def _filesystem(place: Path) -> str | None:
    """The file system of `place`, or of its nearest existing parent."""
    try:
        return mounts.mount_entry(place).fstype
    except OSError:
        return None
