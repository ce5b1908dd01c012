"""Docker 20.10: a private dockerd beside a private containerd, as a host's services are.

A dockerd that is given no containerd starts its own, and looks only once a second whether that has ended before it ends
itself (libcontainerd/supervisor/remote_daemon_linux.go in moby, stopDaemon): 1.0 s instead of 6 ms.
A container's files are in the graphdriver's directory named by the container's mount id (layer/filestore.go and
daemon/graphdriver in moby).
"""

from __future__ import annotations

import http
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from bench.engines import api
from bench.engines.base import OWN_PATHS, ContainerPaths, Engine, Storage
from bench.engines.containerd import SOCKET, serve
from bench.engines.images import chain_ids, top_layer
from bench.errors import BenchError
from bench.host import cgroups
from bench.host.daemon import Daemon
from bench.host.packages import ENGINES, Package, find_program
from bench.kernel import devmapper, guest
from bench.kernel.devmapper import SECTOR
from bench.volumes.thin import ThinVolume

__all__ = ["ENGINE", "Docker"]


class Docker(Engine):
    """The daemon and its containers have no network."""

    name = "docker"
    order = 100
    programs: ClassVar = ("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker")
    in_guests = True
    packages: ClassVar = (Package("dockerd", "docker.io", "docker's own containers (and a system service)", ENGINES),)
    storages: ClassVar = (
        Storage("overlay2", "overlay2"),
        Storage("fuse-overlayfs", "fuse-overlayfs"),
        Storage("overlay", "overlay", cumulative=True),
        Storage("vfs", "vfs", cumulative=True, volumes=("ext4", "xfs", "btrfs")),
        Storage("btrfs", "btrfs", cumulative=True, volumes=("btrfs",)),
        Storage(
            "devicemapper",
            "devicemapper",
            cumulative=True,
            volumes=("thin-ext4", "thin-xfs"),
            programs=("blkid", "tune2fs"),
            leaves="thin devices",
        ),
        Storage("aufs", "aufs"),
    )
    versions: ClassVar = ("20.10.",)
    most_layers = 125  # layer/layer_store.go, maxLayerDepth
    # Below the driver's home, by the layer's name: an image's files, a container's root, its changes, its directory.
    PLACES: ClassVar[dict[str, tuple[str, str, str | None, str]]] = {
        "overlay2": ("{id}/diff", "{id}/merged", "{id}/diff", "{id}"),
        "fuse-overlayfs": ("{id}/diff", "{id}/merged", "{id}/diff", "{id}"),
        "overlay": ("{id}/root", "{id}/merged", "{id}/upper", "{id}"),
        "vfs": ("dir/{id}", "dir/{id}", None, "dir/{id}"),
        "btrfs": ("subvolumes/{id}", "subvolumes/{id}", None, "subvolumes/{id}"),
        "devicemapper": ("mnt/{id}/rootfs", "mnt/{id}/rootfs", None, "mnt/{id}"),
        "aufs": ("diff/{id}", "mnt/{id}", "diff/{id}", "diff/{id}"),
    }

    def __init__(self, home: Path, driver: str) -> None:
        """As every engine's; nothing is started."""
        super().__init__(home, driver)
        self.containerd: Daemon | None = None

    @property
    def socket(self) -> Path:
        """The socket that it listens on."""
        return self.state / "docker.sock"

    def start(self) -> None:
        """Start containerd, then dockerd."""
        self.make_private()
        beside = self.state / "containerd"
        beside.mkdir(exist_ok=True)
        try:
            self.containerd = serve(self.root / "containerd", beside)
            self.daemon = Daemon(self._dockerd(beside / SOCKET), self._answers, {"PATH": OWN_PATHS})
            self.require_version()
        except BaseException:
            self.stop()
            raise

    def _dockerd(self, containerd: Path) -> list[str]:
        settings = self.state / "daemon.json"  # not the host's
        settings.write_text("{}\n", encoding="utf-8")
        (self.state / "config").mkdir(exist_ok=True)
        return [
            find_program("dockerd") or "dockerd",
            f"--config-file={settings}",
            f"--data-root={self.root}",
            f"--exec-root={self.state / 'exec'}",
            f"--containerd={containerd}",
            f"--host=unix://{self.socket}",
            f"--pidfile={self.state / 'pid'}",
            *([f"--storage-driver={self.driver}"] if self.driver else []),
            *(f"--storage-opt={option}" for option in self._storage_options()),
            f"--cgroup-parent=/{cgroups.NAME}",
            *("--iptables=false", "--ip6tables=false", "--bridge=none", "--log-driver=none", "--log-level=warn"),
        ]

    def _storage_options(self) -> Iterator[str]:
        """Yield the options that give devicemapper a thin pool of its own, like the one of the stacks by hand."""
        if self.driver != "devicemapper" or guest.block() is None:
            return
        yield "dm.override_udev_sync_check=true"  # a guest has no udev: libdevmapper makes the nodes
        volume = ThinVolume.of(self.home)
        if volume is None:  # it makes itself a pool on two sparse files
            return
        pool = volume.lend(self.storage_home)
        devmapper.private_nodes(f"{pool.name}-pool")
        yield f"dm.thinpooldev={pool.name}-pool"
        yield f"dm.basesize={pool.sectors * SECTOR}"
        yield f"dm.fs={volume.recipe.filesystem}"
        yield from (f"dm.mkfsarg={argument}" for argument in volume.command[1:-1])

    def stop(self) -> None:
        """Stop dockerd and its containerd, and take its thin pool apart."""
        for daemon in (self.daemon, self.containerd):
            if daemon is not None:
                daemon.stop()
        super().stop()
        volume = ThinVolume.of(self.home)
        if volume is not None and self.storage_home in volume.lent:
            volume.take_back(self.storage_home)

    def _answers(self) -> bool:
        with suppress(OSError):
            return api.status(self.socket, "GET", "/_ping") == http.HTTPStatus.OK
        return False

    def stat(self, container: str, path: str) -> None:
        """Stat a file in a container; docker mounts and unmounts a container for this if it is not running.

        From daemon/archive.go in moby, containerStatPath. Raises BenchError if there is no such file.
        """
        try:
            status = api.status(self.socket, "HEAD", f"/containers/{container}/archive?path={quote(path)}")
        except OSError as error:
            raise BenchError("docker did not answer", why=error.strerror or str(error)) from error
        if status != http.HTTPStatus.OK:
            raise BenchError(f"docker does not tell of {path} in a container", why=f"it answers with status {status}")

    def _docker(self, *arguments: str, action: str) -> str:
        program = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
        config = f"--config={self.state / 'config'}"
        return self.ask(program, config, f"--host=unix://{self.socket}", *arguments, action=action)

    def version(self) -> str:
        """Return the daemon's version."""
        return self._docker("version", "--format={{.Server.Version}}", action="tell its version")

    def storage(self) -> str:
        """Return the storage driver in use."""
        return self._docker("info", "--format={{.Driver}}", action="tell its storage driver")

    def load(self, archive: Path) -> None:
        """Docker load."""
        self._docker("load", "--quiet", f"--input={archive}", action="load the image")

    def create(self, image: str) -> str:
        """Docker create."""
        return self._docker("create", "--network=none", image, action=f"create a container of {image}")

    def run(self, container: str) -> ContainerPaths:
        """Docker start."""
        self._docker("start", container, action="start a container")
        return self.container_paths(container)

    def container_paths(self, container: str) -> ContainerPaths:
        """Return the paths of a container."""
        mount_id = self.root / "image" / self.driver / "layerdb" / "mounts" / container / "mount-id"
        _, *places = self.PLACES[self.driver]
        identity = mount_id.read_text(encoding="ascii")
        root, changes, path = (self.storage_home / place.format(id=identity) if place else None for place in places)
        assert root is not None
        assert path is not None
        return ContainerPaths(root, changes, path)

    def halt(self, container: str) -> None:
        """Docker kill, and docker wait, after which it is unmounted."""
        self._docker("kill", container, action="end a container")
        self._docker("wait", container, action="wait for a container's end")

    def remove(self, container: str) -> None:
        """Docker rm."""
        self._docker("rm", "--force", container, action="remove a container")

    def commit(self, container: str, target: Path) -> None:
        """Docker commit, and the topmost layer of docker save."""
        image = self._docker("commit", "--pause=false", container, action="commit a container")
        with tempfile.TemporaryDirectory(dir=self.home) as directory:
            archive = Path(directory, "image.tar")
            self._docker("save", f"--output={archive}", image, action="save an image")
            top_layer(archive, target)
        self._docker("rmi", image, action="remove an image")

    def layers(self, diff_ids: Sequence[str]) -> list[Path]:
        """Return each layer's directory, which the layer's cache id names."""
        paths = []
        for chain in chain_ids(diff_ids):
            record = self.root / "image" / self.driver / "layerdb" / "sha256" / chain.partition(":")[2] / "cache-id"
            place, *_ = self.PLACES[self.driver]
            paths.append(self.storage_home / place.format(id=record.read_text(encoding="ascii")))
        return paths


ENGINE = Docker
