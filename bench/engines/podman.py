"""Podman 4: no daemon; a private storage below `home`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.engines.base import ContainerPaths, Engine, Storage
from bench.engines.images import top_layer
from bench.errors import BenchError
from bench.host import cgroups
from bench.host.answers import answered
from bench.host.packages import ENGINES, Package

__all__ = ["ENGINE", "Podman"]

# Locks in files instead of /dev/shm, no journal, none of the user's files; containers.conf(5).
SETTINGS = """[containers]
log_driver = "none"
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
"""
STORAGE = """[storage]
driver = "{driver}"
graphroot = "{root}"
runroot = "{run}"
"""
POLICY = {"default": [{"type": "insecureAcceptAnything"}]}


class Podman(Engine):
    """containers/storage: its overlay driver has overlay2's layout, its vfs driver one directory per layer."""

    name = "podman"
    order = 200
    programs: ClassVar = ("podman", "conmon", "runc")
    packages: ClassVar = (
        Package("podman", "podman", "podman's own containers", ENGINES),
        Package("conmon", "conmon", "podman's own containers", ENGINES),
    )
    storages: ClassVar = (
        Storage("overlay", "overlay2"),
        Storage("vfs", "vfs", cumulative=True),
    )
    versions: ClassVar = ("4.", "5.")

    def start(self) -> None:
        """Write its settings; there is no daemon."""
        self.make_private()
        (self.state / "containers.conf").write_text(SETTINGS, encoding="utf-8")
        storage = STORAGE.format(driver=self.driver, root=self.root, run=self.state / "run")
        (self.state / "storage.conf").write_text(storage, encoding="utf-8")
        (self.state / "policy.json").write_text(json.dumps(POLICY), encoding="utf-8")
        self.require_version()

    def environment(self) -> dict[str, str]:
        """Replace the settings of the user and of the host."""
        return {
            "CONTAINERS_CONF": str(self.state / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.state / "storage.conf"),
            "HOME": str(self.state),
            "XDG_RUNTIME_DIR": str(self.state),
        }

    def _podman(self, *arguments: str, action: str) -> str:
        options = (
            f"--root={self.root}",
            f"--runroot={self.state / 'run'}",
            f"--tmpdir={self.state / 'tmp'}",
            f"--storage-driver={self.driver}",
        )
        return self.ask("podman", *options, *arguments, action=action)

    def version(self) -> str:
        """Return the program's version."""
        return self.ask("podman", "version", "--format={{.Client.Version}}", action="tell its version")

    def load(self, archive: Path) -> None:
        """Podman load."""
        policy = f"--signature-policy={self.state / 'policy.json'}"
        self._podman("load", "--quiet", policy, f"--input={archive}", action="load the image")

    def create(self, image: str) -> str:
        """Podman create."""
        group = f"--cgroup-parent=/{cgroups.NAME}"
        return self._podman("create", "--network=none", "--pull=never", group, image, action=f"create one of {image}")

    def run(self, container: str) -> ContainerPaths:
        """Podman start."""
        self._podman("start", container, action="start a container")
        output = self._podman("inspect", "--type=container", container, action="tell of a container")
        data = answered("podman inspect", output, lambda document: document[0]["GraphDriver"]["Data"] or {})
        if "MergedDir" in data:
            upper = Path(data["UpperDir"])
            return ContainerPaths(Path(data["MergedDir"]), upper, upper.parent)
        merged = Path(self._podman("mount", container, action="tell where a container is mounted"))
        return ContainerPaths(merged, None, merged)

    def halt(self, container: str) -> None:
        """Podman stop without a grace period, which waits until it is unmounted."""
        self._podman("stop", "--time=0", container, action="end a container")

    def remove(self, container: str) -> None:
        """Podman rm."""
        self._podman("rm", "--force", "--time=0", container, action="remove a container")

    def commit(self, container: str, target: Path) -> None:
        """Podman commit, and the topmost layer of podman save."""
        image = self._podman("commit", "--quiet", "--pause=false", container, action="commit a container")
        with tempfile.TemporaryDirectory(dir=self.home) as directory:
            archive = Path(directory, "image.tar")
            policy = f"--signature-policy={self.state / 'policy.json'}"
            output = ("--format=docker-archive", f"--output={archive}")
            self._podman("save", "--quiet", policy, *output, image, action="save an image")
            top_layer(archive, target)
        self._podman("rmi", image, action="remove an image")

    def layers(self, diff_ids: Sequence[str]) -> list[Path]:
        """Return each layer's directory, from the storage's list of layers (containers/storage, layers.go)."""
        template = {"overlay": "overlay/{}/diff", "vfs": "vfs/dir/{}"}[self.driver]
        text = (self.root / f"{self.driver}-layers" / "layers.json").read_text(encoding="utf-8")
        known = answered("podman's list of layers", text, _layers)
        paths, parent = [], ""
        for identity in diff_ids:
            if (parent, identity) not in known:
                raise BenchError(f"podman's list of layers has no {identity}", why="it loaded another image")
            parent = known[parent, identity]
            paths.append(self.root / template.format(parent))
        return paths


def _layers(records: Any) -> dict[tuple[str, str], str]:
    """Map (parent id, digest) to the id of each layer (containers/storage, layers.go)."""
    return {(record.get("parent", ""), record["diff-digest"]): record["id"] for record in records}


ENGINE = Podman
