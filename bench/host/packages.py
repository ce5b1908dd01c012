"""Programs the suite calls and the Debian packages that bring them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

__all__ = ["PROGRAMS", "Package", "install", "install_hint", "missing"]

OPT_OUT = "BENCH_NO_INSTALL"  # set to anything: never install system packages


@dataclass(frozen=True)
class Package:
    """A Debian package and what it adds."""

    program: str
    package: str
    adds: str


PROGRAMS = {
    item.program: item
    for item in (
        Package("mkfs.ext4", "e2fsprogs", "ext4 volumes"),
        Package("mkfs.xfs", "xfsprogs", "xfs and xfs-noreflink volumes"),
        Package("fuse-overlayfs", "fuse-overlayfs", "the fuse-overlayfs driver"),
        Package("fio", "fio", "the steady state after copy_up (scenario steady)"),
    )
}


def install_hint(program: str) -> str:
    """Return the command that would add `program`."""
    known = PROGRAMS.get(program)
    return f"apt-get install {known.package}" if known else f"install {program}"


def missing() -> list[Package]:
    """Return the packages whose program is not on PATH or in the sbin directories."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [item for item in PROGRAMS.values() if shutil.which(item.program, path=path) is None]


def install(wanted: list[Package]) -> bool:
    """Install `wanted` with apt-get as root after saying what and why; tell whether anything was installed.

    Where that is impossible or turned off, say what each part would add and the command.
    """
    if not wanted:
        return False
    for item in wanted:
        print(f"missing: {item.package}, which adds {item.adds}", file=sys.stderr)
    names = sorted({item.package for item in wanted})
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if os.environ.get(OPT_OUT):
        print(f"{OPT_OUT} is set; to add them: {' '.join(command)}", file=sys.stderr)
        return False
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        reason = "needs root" if shutil.which("apt-get") else "this machine has no apt-get"
        print(f"not installed ({reason}); as root: {' '.join(command)}", file=sys.stderr)
        return False
    print(f"installing {', '.join(names)} ({OPT_OUT}=1 turns this off)", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = {"stdout": subprocess.DEVNULL, "env": environment}
    subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)  # type: ignore[call-overload]
    done = subprocess.run(command, check=False, **quiet)  # type: ignore[call-overload]
    if done.returncode != 0:
        print(f"apt-get failed with status {done.returncode}; going on without", file=sys.stderr)
    return done.returncode == 0
