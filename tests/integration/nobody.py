"""Run `python -m bench` as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import ROOT, Bench

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Nobody"]


class Nobody(Bench):
    """Commands of an ordinary user, on a copy of this checkout that he can read."""

    def __init__(self, place: Path) -> None:
        user = pwd.getpwnam("nobody")
        self.user, self.group = user.pw_uid, user.pw_gid
        place.chmod(0o755)
        self.home = place / "home"
        self.home.mkdir()
        os.chown(self.home, self.user, self.group)
        code = place / "code"
        for name in ("bench", "scenarios"):
            shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.path = os.pathsep.join([str(code), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        super().__init__(self.home)
        os.chown(self.work, self.user, self.group)
        self.python = self._interpreter()

    def variables(self) -> Mapping[str, str]:
        return {**super().variables(), "PYTHONPATH": self.path, "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}

    def _as_him(self, *command: str) -> list[str]:
        who = ["setpriv", f"--reuid={self.user}", f"--regid={self.group}", "--clear-groups"]
        return ["unshare", "--net", *who, *command]

    def _interpreter(self) -> str:
        """Return a Python of this version that he may run and that finds the packages, or skip."""
        version = f"python3.{sys.version_info.minor}"
        said = ""
        for python in dict.fromkeys([sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}"]):
            command = self._as_him(python, "-c", "import bench.measure.session, bench.report.product")
            try:
                tried = subprocess.run(
                    command, env=self.variables(), cwd=self.home, capture_output=True, text=True, check=False
                )
            except FileNotFoundError as error:
                pytest.skip(f"{error.filename} is not installed")
            if tried.returncode == 0:
                return python
            said = tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else said
        pytest.skip(f"nobody can run no {version} with the packages: {said}")

    def command(self, *arguments: str, code: str = "") -> list[str]:
        return self._as_him(self.python, "-m", "bench", *arguments)
