"""Examining this machine leaves nothing, and what fails has a reason and a way to fix it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench import discovery, doctor
from bench.doctor import attempt, examine
from bench.host import engines
from bench.kernel import mounts
from bench.measure.support import driver_support
from bench.model import Support
from tests.host.isolated import needs_root

if TYPE_CHECKING:
    from pathlib import Path


def test_every_check_has_a_name_and_every_refusal_a_reason(tmp_path: Path) -> None:
    checks = examine(tmp_path)
    areas = {"privilege", "work directory", "mount API", "volume", "driver", "program", "engine"}
    assert {check.area for check in checks} == areas
    assert all(check.support.reason for check in checks if not check.support.ok)
    assert len({(check.area, check.name) for check in checks}) == len(checks)


@needs_root
def test_a_driver_that_needs_a_volume_of_its_own_works_where_that_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = discovery.volume("btrfs")
    monkeypatch.setattr(type(volume), "probe", lambda self: Support.yes())
    assert driver_support("btrfs").ok
    monkeypatch.setattr(type(volume), "probe", lambda self: Support.no("no mkfs.btrfs", "apt-get"))
    assert driver_support("btrfs") == Support.no("no mkfs.btrfs", "apt-get")


@needs_root
def test_a_device_that_cannot_be_had_gives_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.kernel.loop.CONTROL", str(tmp_path / "loop-control"))
    support = attempt(lambda: doctor._loop_device(tmp_path), user_namespace=False)
    assert not support.ok
    words = f"no loop device: {tmp_path}/loop-control: No such file or directory; modprobe loop"
    assert support.reason == words


def test_nothing_is_left(tmp_path: Path) -> None:
    before = mounts.mount_table()
    examine(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert mounts.mount_table() == before


def test_a_bad_work_directory_is_one_failed_check(tmp_path: Path) -> None:
    checks = examine(tmp_path / "nothing")
    [check] = [check for check in checks if check.area == "work directory"]
    assert check.support.reason == "it does not exist"
    assert "mkdir" in check.support.fix


@needs_root
def test_overlay_is_mounted_for_real(tmp_path: Path) -> None:
    checks = {check.name: check.support for check in examine(tmp_path) if check.area == "mount API"}
    assert checks["mount(2)"].ok
    assert "lowerdir×2" in checks["mount(2)"].reason


@needs_root
def test_a_trial_that_fails_gives_the_kernels_reason() -> None:
    def work() -> str:
        raise OSError(22, "Invalid argument")

    support = attempt(work, user_namespace=False)
    assert not support.ok
    assert support.reason == "Invalid argument"


def test_refused_namespaces_give_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_work: object, *, user_namespace: bool) -> int:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(doctor, "run_isolated", refuse)
    support = attempt(lambda: "", user_namespace=True)
    assert support.reason == "the kernel refuses new namespaces: unshare: Operation not permitted"
    assert support.fix


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_program", lambda program: None)
    support = doctor._program("mkfs.xfs")
    assert support.reason == "not installed; it adds xfs and xfs-noreflink volumes"
    assert support.fix == "apt-get install xfsprogs"
    assert doctor._compiler().fix == "apt-get install gcc libc6-dev"


def test_a_compiler_without_headers_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'time.h: No such file or directory' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(doctor, "find_program", lambda program: str(compiler))
    support = doctor._compiler()
    assert support.reason == f"{compiler} cannot compile: time.h: No such file or directory"


def engine(name: str) -> engines.InstalledEngine:
    return next(item for item in engines.ENGINES if item.name == name)


def test_docker_as_its_files_say(tmp_path: Path) -> None:
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / "etc/docker/daemon.json").write_text('{"data-root": "/srv/docker", "storage-driver": "overlay2"}')
    for name in ("overlay2", "vfs", "image"):
        (tmp_path / "srv/docker" / name).mkdir(parents=True)
    found = engines.storage(engine("docker"), root=tmp_path)
    assert found.root == tmp_path / "srv/docker"
    assert found.driver == "overlay2"
    assert found.present == ("overlay2", "vfs")
    assert found.filesystem == mounts.mount_entry(tmp_path).fstype
    assert f"driver overlay2 (directories: overlay2, vfs) root {found.root} on " in found.text


def test_an_engine_without_files_has_its_defaults(tmp_path: Path) -> None:
    found = engines.storage(engine("docker"), root=tmp_path)
    assert found.root == tmp_path / "var/lib/docker"
    assert found.driver is None
    assert found.present == ()
    assert "driver not configured (directories: none yet)" in found.text


@pytest.mark.parametrize("text", ["{", "[]", '{"data-root": 3}'])
def test_a_strange_file_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / "etc/docker/daemon.json").write_text(text)
    found = engines.storage(engine("docker"), root=tmp_path)
    assert found.driver is None
    assert bool(found.problems) == (text == "{")


def test_the_users_podman_file_comes_first(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for file, driver in ((home / ".config/containers", "vfs"), (tmp_path / "etc/containers", "overlay")):
        file.mkdir(parents=True)
        (file / "storage.conf").write_text(f'[storage]\ndriver = "{driver}"\ngraphroot = "/srv/{driver}"\n')
    assert engines.storage(engine("podman"), root=tmp_path, home=home).driver == "vfs"
    assert engines.storage(engine("podman"), root=tmp_path, home=tmp_path / "other").root == tmp_path / "srv/overlay"


def test_rootless_podman_stores_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = engines.storage(engine("podman"), root=tmp_path, home=tmp_path / "home")
    assert found.root == tmp_path / "home/.local/share/containers/storage"


def test_containerd(tmp_path: Path) -> None:
    (tmp_path / "etc/containerd").mkdir(parents=True)
    (tmp_path / "etc/containerd/config.toml").write_text(
        'root = "/srv/c"\n[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "native"\n'
    )
    (tmp_path / "srv/c/io.containerd.snapshotter.v1.overlayfs").mkdir(parents=True)
    found = engines.storage(engine("containerd"), root=tmp_path)
    assert (found.driver, found.present) == ("native", ("overlayfs",))


@pytest.mark.parametrize(
    ("filesystem", "overlay", "fuse", "words"),
    [
        ("ext4", True, True, "overlay2 for Debian on ext4: the kernel mounts it"),
        ("btrfs", True, True, "overlay2 for Debian on btrfs: it is what is maintained; Docker 20.10 takes btrfs there"),
        ("xfs", False, True, "fuse-overlayfs for Debian on xfs: the kernel does not mount overlay (no)"),
        (None, False, False, "vfs for Debian on an unknown file system: neither overlay (no) nor fuse-overlayfs (no)"),
    ],
)
def test_a_driver_is_recommended_by_what_works(filesystem: str | None, overlay: bool, fuse: bool, words: str) -> None:
    works = {True: Support.yes(), False: Support.no("no")}
    told = engines.recommend_driver("Debian", filesystem, overlay=works[overlay], fuse=works[fuse])
    assert told.ok
    assert told.reason.startswith(words)
