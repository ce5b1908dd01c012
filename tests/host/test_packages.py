"""What is installed, by whom, and what is said instead."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.host import packages
from bench.host.packages import install, install_hint, missing, programs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake apt-get as root, which notes its arguments and fails if told to."""
    script = tmp_path / "apt-get"
    script.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        'case "$*" in *install*) [ -z "$FAIL" ] || { echo "E: no such package" >&2; exit 100; };; esac\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("BENCH_NO_INSTALL", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "POLICY", str(tmp_path / "policy-rc.d"))
    return tmp_path / "calls"


def test_no_service_is_started_and_the_policy_is_gone_afterwards(
    apt: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy-rc.d"
    seen = []
    real = packages._apt_get

    def apt_get(*arguments: str) -> tuple[int, list[str]]:
        there = policy.exists() and policy.stat().st_mode & 0o111 and "exit 101" in policy.read_text()
        seen.append((arguments[0], bool(there)))
        return real(*arguments)

    monkeypatch.setattr(packages, "_apt_get", apt_get)
    assert install([programs()["dockerd"]])
    assert seen == [("update", False), ("install", True)]
    assert not policy.exists()
    policy.write_text("the administrator's")
    install([programs()["dockerd"]])
    assert policy.read_text() == "the administrator's"


def test_groups() -> None:
    bench = {item.program for item in programs().values() if "bench" in item.groups}
    assert bench == {"mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "fuse-overlayfs", "unionfs", "mergerfs", "fio"}
    tests = {name for item in programs().values() if "tests" in item.groups for name in item.names}
    assert {"e2fsprogs", "xfsprogs", "fuse-overlayfs", "fio", "chromium", "chromium-driver", "gcc"} <= tests
    aa = {item.program for item in programs().values() if "aa" in item.groups}
    assert aa == {*bench, "cc", "hyperfine"}


def test_missing_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_program", lambda program: None if program in {"fio", "cc"} else "/bin/x")
    assert [item.program for item in missing()] == ["fio"]
    assert [item.program for item in missing("tests")] == ["fio", "cc"]


def test_hints() -> None:
    assert install_hint("mkfs.xfs") == "apt-get install xfsprogs"
    assert install_hint("cc") == "apt-get install gcc libc6-dev"
    assert install_hint("other") == "install other"


def test_nothing_wanted_calls_nothing(apt: Path) -> None:
    assert install([]) is False
    assert not apt.exists()


def test_root_installs_after_saying_what_and_why(apt: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert install([programs()["fio"], programs()["cc"]]) is True
    update, call = apt.read_text().splitlines()
    assert update.endswith("update -qq")
    assert call.endswith("install --yes --no-install-recommends fio gcc libc6-dev")
    said = capfd.readouterr()
    assert "missing: fio, which adds the steady state" in said.err
    assert "missing: gcc and libc6-dev, which adds" in said.err
    assert said.out == ""


def test_failure_is_said_and_survived(
    apt: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    assert install([programs()["fio"]]) is False
    assert "apt-get failed (E: no such package); going on without" in capfd.readouterr().err


def test_opt_out(apt: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_NO_INSTALL", "1")
    assert install([programs()["fio"]]) is False
    assert "BENCH_NO_INSTALL is set; to add them: apt-get install" in capfd.readouterr().err
    assert not apt.exists()


def test_an_ordinary_user_gets_the_command(
    apt: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert install([programs()["fio"]]) is False
    assert "not installed (needs root); as root: apt-get install" in capfd.readouterr().err
    assert not apt.exists()


def test_without_apt_get(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_NO_INSTALL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install([programs()["fio"]]) is False
    assert "this machine has no apt-get" in capfd.readouterr().err
