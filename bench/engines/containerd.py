"""containerd 1.6 and later, through ctr: a private daemon without the CRI plugin."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from bench.engines.base import OWN_PATHS, ContainerPaths, Engine, Storage
from bench.engines.images import chain_ids
from bench.errors import BenchError
from bench.host import cgroups
from bench.host.answers import answered
from bench.host.daemon import Daemon
from bench.host.packages import ENGINES, Package, find_program
from bench.kernel import mounts

__all__ = ["ENGINE", "SOCKET", "Containerd", "serve"]

SOCKET = "containerd.sock"
NAMESPACE = cgroups.NAME  # ctr makes a container's control group below one named like the containerd namespace
SETTINGS = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{socket}"
[ttrpc]
address = "{socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{state}/opt"
"""


class Containerd(Engine):
    """Its snapshotters keep layers in `snapshots/<number>/fs`."""

    name = "containerd"
    order = 300
    programs: ClassVar = ("containerd", "ctr", "runc")
    packages: ClassVar = (
        Package("containerd", "containerd", "containerd's own containers (and a system service)", ENGINES),
        Package("ctr", "containerd", "containerd's own containers", ENGINES),
    )
    storages: ClassVar = (
        Storage("overlayfs", "overlay2"),
        Storage("native", "vfs", cumulative=True),
    )
    versions: ClassVar = ("1.6.", "1.7.")
    _made = 0

    @property
    def storage_home(self) -> Path:
        """The snapshotter's home."""
        return self.root / f"io.containerd.snapshotter.v1.{self.driver}"

    @property
    def socket(self) -> Path:
        """The socket that it listens on."""
        return self.state / SOCKET

    def start(self) -> None:
        """Start containerd."""
        self.make_private()
        self.daemon = serve(self.root, self.state)
        self.require_version()

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return ("ctr", f"--address={self.socket}", f"--namespace={cgroups.NAME}", *arguments)

    def _ctr(self, *arguments: str, action: str) -> str:
        return self.ask(*self._command(*arguments), action=action)

    def version(self) -> str:
        """Return the daemon's version."""
        lines = self._ctr("version", action="tell its version").partition("Server:")[2].splitlines()
        return next(line.split()[1] for line in lines if line.strip().startswith("Version:")).removeprefix("v")

    def load(self, archive: Path) -> None:
        """Ctr images import, which unpacks into the snapshotter."""
        self._ctr("images", "import", f"--snapshotter={self.driver}", str(archive), action="load the image")

    def create(self, image: str) -> str:
        """Ctr containers create."""
        self._made += 1
        name = f"c{self._made}"
        self._ctr(
            "containers", "create", f"--snapshotter={self.driver}", image, name, action=f"create a container of {image}"
        )
        return name

    def run(self, container: str) -> ContainerPaths:
        """Ctr tasks start."""
        self._ctr("tasks", "start", "--detach", "--null-io", container, action="start a container")
        merged = self.state / "state" / "io.containerd.runtime.v2.task" / NAMESPACE / container / "rootfs"
        if self.driver == "native":
            return ContainerPaths(merged, None, merged)
        entry = mounts.mount_entry(merged)
        upper = next(
            Path(option.removeprefix("upperdir="))
            for option in entry.options.split(",")
            if option.startswith("upperdir=")
        )
        return ContainerPaths(merged, upper, upper.parent)

    def halt(self, container: str) -> None:
        """Ctr tasks delete --force."""
        self._ctr("tasks", "delete", "--force", container, action="end a container")

    def remove(self, container: str) -> None:
        """Ctr containers delete, which deletes its snapshot."""
        self._ctr("containers", "delete", container, action="remove a container")

    def commit(self, container: str, target: Path) -> None:
        """Ctr snapshots diff, between the container's snapshot and its parent."""
        snapshots = ("snapshots", f"--snapshotter={self.driver}")
        output = self._ctr(*snapshots, "info", container, action="tell of a snapshot")
        parent = answered("ctr snapshots info", output, lambda document: str(document["Parent"]))
        view = f"view-{container}"
        self._ctr(*snapshots, "prepare", view, parent, action="make a snapshot")
        try:
            diff = ("diff", "--media-type", "application/vnd.oci.image.layer.v1.tar")
            with target.open("xb") as file:
                self.write(file, *self._command(*snapshots, *diff, view, container), action="tell a difference")
        finally:
            self._ctr(*snapshots, "remove", view, action="remove a snapshot")

    def layers(self, diff_ids: Sequence[str]) -> list[Path]:
        """Return each layer's directory, from the mount options of a view of it."""
        snapshots = ("snapshots", f"--snapshotter={self.driver}")
        paths = []
        for chain in chain_ids(diff_ids):
            view = f"view-{chain}"
            command = self._ctr(*snapshots, "view", "--mounts", "--target=/", view, chain, action="view a layer")
            with suppress(BenchError):  # the garbage collector may have removed the unreferenced view already
                self._ctr(*snapshots, "remove", view, action="end a view")
            paths.append(_lowest(command))
        return paths


def serve(root: Path, state: Path) -> Daemon:
    """Start containerd with its data in `root`, and its socket in `state`; it accepts requests when this returns.

    It listens only when all its plugins are loaded (cmd/containerd/command/main.go).
    """
    settings = state / "config.toml"
    text = SETTINGS.format(root=root, state=state / "state", socket=state / SOCKET)
    settings.write_text(text, encoding="utf-8")

    def listens() -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            return client.connect_ex(str(state / SOCKET)) == 0

    command = [find_program("containerd") or "containerd", f"--config={settings}", "--log-level=warn"]
    return Daemon(command, listens, {"PATH": OWN_PATHS})


def _lowest(command: str) -> Path:
    """Return the topmost layer's directory in the mount(8) command of a read-only snapshot."""
    arguments = command.split()
    if "lowerdir=" not in command:
        return Path(arguments[arguments.index("bind") + 1] if "bind" in arguments else arguments[-2])
    options = arguments[arguments.index("-o") + 1]
    lower = next(option for option in options.split(",") if option.startswith("lowerdir="))
    return Path(lower.removeprefix("lowerdir=").split(":")[0])


ENGINE = Containerd
