"""Every reason to refuse a work directory, met for real."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest

from bench.errors import BenchError
from bench.host import workdir
from bench.kernel import mounts
from tests.host.isolated import isolated, needs_root

MS_RDONLY = 1


def refusal(path: Path) -> str:
    with pytest.raises(BenchError) as caught:
        workdir.check(path)
    assert caught.value.what == f"cannot work in {path}"
    assert caught.value.fix
    return caught.value.why


def test_an_own_directory_is_accepted_and_resolved(tmp_path: Path) -> None:
    (tmp_path / "real" / "work").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    assert workdir.check(tmp_path / "link" / "work") == tmp_path / "real" / "work"


def test_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing") == "it does not exist"


def test_not_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file") == "it is not a directory"


def test_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "below") == "Not a directory"


def test_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert refusal(tmp_path / "link") == "it is a symbolic link"


def test_dangling_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert refusal(tmp_path / "link") == "it is a symbolic link"


def test_world_writable_without_sticky(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert refusal(tmp_path) == "everybody may rename and delete everybody's files in it"
    tmp_path.chmod(0o1777)
    assert workdir.check(tmp_path) == tmp_path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert refusal(tmp_path) == "no permission to write in it"


@needs_root
def test_no_permission_of_another_user() -> None:
    def work() -> None:
        mounts.mount("none", workdir.DEFAULT, "tmpfs")  # one that an ordinary user reaches, unlike root's tmp_path
        own = workdir.DEFAULT / "own"
        own.mkdir(mode=0o500)
        os.chown(own, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        assert refusal(own) == "no permission to write in it"

    isolated(work)


@needs_root
def test_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    assert refusal(tmp_path).startswith("it belongs to user 65534")


@needs_root
def test_roots_is_an_ordinary_users_only_if_sticky() -> None:
    def work() -> None:
        mounts.mount("none", workdir.DEFAULT, "tmpfs", options="mode=1777")
        (workdir.DEFAULT / "roots").mkdir(mode=0o755)
        os.setresuid(65534, 65534, 65534)
        assert refusal(workdir.DEFAULT / "roots").startswith("it belongs to user 0")
        assert workdir.check(workdir.DEFAULT) == workdir.DEFAULT

    isolated(work)


@needs_root
def test_read_only_file_system(tmp_path: Path) -> None:
    def work() -> None:
        mounts.mount("none", tmp_path, "tmpfs", flags=MS_RDONLY)
        assert refusal(tmp_path) == "its file system is mounted read-only"

    isolated(work)


@needs_root
def test_overlay(tmp_path: Path) -> None:
    def work() -> None:
        mounts.mount("none", tmp_path, "tmpfs")
        for name in ("lower", "upper", "work", "merged"):
            (tmp_path / name).mkdir()
        options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
        mounts.mount("overlay", tmp_path / "merged", "overlay", options=options)
        inside = tmp_path / "merged" / "inside"
        inside.mkdir()
        assert refusal(inside).startswith("it lies on overlay")

    isolated(work)


def test_space_says_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Mock(free=5 << 20))
    workdir.require_space(tmp_path, 5 << 20)
    with pytest.raises(BenchError, match="the run needs 6 MiB and 5 MiB are free"):
        workdir.require_space(tmp_path, 6 << 20)


def test_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_WORKDIR", raising=False)
    assert workdir.default() == Path("/var/tmp")
    monkeypatch.setenv("BENCH_WORKDIR", "/somewhere")
    assert workdir.default() == Path("/somewhere")
