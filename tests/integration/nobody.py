"""Run `python -m bench` as an ordinary user."""

from __future__ import annotations

import compileall
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.host import workdir
from tests.cli.command import ROOT, Bench

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Nobody", "as_him", "readable_checkout"]


def his() -> tuple[int, int]:
    """Return his numbers as a user and as a group."""
    user = pwd.getpwnam("nobody")
    return user.pw_uid, user.pw_gid


def as_him(*command: str) -> list[str]:
    user, group = his()
    return ["unshare", "--net", "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command]


@contextmanager
def readable_checkout() -> Iterator[Path]:
    """Copy what he needs of this checkout to where he can read it, compiled."""
    place = Path(tempfile.mkdtemp(prefix="bench-test-", dir=workdir.default()))
    place.chmod(0o755)
    try:
        for name in ("bench", "scenarios"):
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(place, quiet=2)
        yield place
    finally:
        shutil.rmtree(place)


@cache
def interpreter(path: str) -> str:
    """Return a Python of this version that he may run and that finds the packages on `path`; else skip the test."""
    version, said = f"python3.{sys.version_info.minor}", ""
    for python in dict.fromkeys([sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}"]):
        command = as_him(python, "-c", "import bench.measure.session, bench.report.product")
        environment = {**os.environ, "PYTHONPATH": path}
        try:
            tried = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            pytest.skip(f"{error.filename} is not installed")
        if tried.returncode == 0:
            return python
        said = tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else said
    pytest.skip(f"nobody can run no {version} with the packages: {said}")


class Nobody(Bench):
    """Commands of an ordinary user, on a copy of this checkout that he can read."""

    def __init__(self, place: Path, code: Path) -> None:
        self.user, self.group = his()
        place.chmod(0o755)
        self.home = place / "home"
        self.home.mkdir()
        os.chown(self.home, self.user, self.group)
        self.path = os.pathsep.join([str(code), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        super().__init__(self.home)
        os.chown(self.work, self.user, self.group)
        self.python = interpreter(self.path)

    def variables(self) -> Mapping[str, str]:
        return {**super().variables(), "PYTHONPATH": self.path, "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, *arguments: str, code: str = "") -> list[str]:
        return as_him(self.python, "-m", "bench", *arguments)
