"""Programs that the suite and its tests call, and the Debian packages that contain them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Literal

from bench import discovery

__all__ = ["ENGINES", "OPT_OUT", "Group", "Package", "find_program", "install", "install_hint", "missing", "programs"]

OPT_OUT = "BENCH_NO_INSTALL"  # if set, never install system packages
POLICY = "/usr/sbin/policy-rc.d"
LOCK_SECONDS = 120  # apt-get waits this long for another apt-get, such as a new machine's first upgrade

Group = Literal["bench", "tests", "aa", "engines", "guests"]
ALL: frozenset[Group] = frozenset({"bench", "tests", "aa"})
TESTS: frozenset[Group] = frozenset({"tests"})
PEERS: frozenset[Group] = frozenset({"tests", "aa"})
GUESTS: frozenset[Group] = frozenset({"tests", "guests"})
ENGINES: frozenset[Group] = frozenset({"tests", "engines"})  # not of `bench`: they install services on the host


@dataclass(frozen=True)
class Package:
    """A program, its Debian package (and `also`), what it adds, and the groups that need it."""

    program: str
    package: str
    adds: str
    groups: frozenset[Group] = ALL
    also: tuple[str, ...] = ()
    version: str = ""  # the argument that prints its version, if a run records it

    @property
    def names(self) -> tuple[str, ...]:
        """The Debian packages for apt-get."""
        return (self.package, *self.also)


# Packages that no driver, volume, engine or scenario declares.
COMMON = (
    Package("chromium", "chromium", "tests of the report in a real browser", TESTS),
    Package("chromedriver", "chromium-driver", "tests of the report in a real browser", TESTS),
    # without recommended packages gcc does not install the C library's headers
    Package("cc", "gcc", "the comparison of the clock with C", PEERS, also=("libc6-dev",), version="--version"),
    Package("debootstrap", "debootstrap", "tests of images of Debian's packages (-m debian)", TESTS),
    Package("runc", "runc", "the containers of all engines", ENGINES),
    Package("busybox", "busybox-static", "what runs in the engines' containers", ENGINES),
    Package("qemu-system-x86_64", "qemu-system-x86", "guests with other kernels (kernels, run --kernel)", GUESTS),
    Package("hyperfine", "hyperfine", "what hyperfine says beside the suite (aa)", PEERS),
)


@cache
def programs() -> dict[str, Package]:
    """Return every program that the suite may call, by name: those declared by its parts, and COMMON."""
    return {package.program: package for package in (*discovery.packages(), *COMMON)}


def find_program(program: str) -> str | None:
    """Return the path of `program` from PATH or the sbin directories, which are not in an ordinary user's PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def install_hint(program: str) -> str:
    """Return the command that installs `program`."""
    package = programs().get(program)
    return f"apt-get install {' '.join(package.names)}" if package else f"install {program}"


def missing(group: Group = "bench") -> list[Package]:
    """Return the packages of `group` whose program is not on PATH or in the sbin directories."""
    return [entry for entry in programs().values() if group in entry.groups and find_program(entry.program) is None]


def install(packages: list[Package]) -> bool:
    """Print and install `packages` with apt-get as root; return whether anything was installed.

    If that is impossible or turned off, print what each package adds and the command.
    """
    if not packages:
        return False
    for package in packages:
        print(f"missing: {' and '.join(package.names)}, which adds {package.adds}", file=sys.stderr)
    names = sorted({name for package in packages for name in package.names})
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if os.environ.get(OPT_OUT):
        print(f"{OPT_OUT} is set; to add them: {' '.join(command)}", file=sys.stderr)
        return False
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        reason = "needs root" if shutil.which("apt-get") else "this machine has no apt-get"
        print(f"not installed ({reason}); as root: {' '.join(command)}", file=sys.stderr)
        return False
    print(f"installing {', '.join(names)} ({OPT_OUT}=1 turns this off)", file=sys.stderr)
    _apt_get("update", "-qq")
    with _no_services():
        status, errors = _apt_get(*command[1:])
    if status != 0:
        reason = errors[-1] if errors else f"status {status}"
        print(f"apt-get failed ({reason}); going on without", file=sys.stderr)
    return status == 0


@contextmanager
def _no_services() -> Iterator[None]:
    """Context in which packages start no service: the suite does not need a dockerd of the host.

    By the policy program of invoke-rc.d(8), unless the administrator has installed one.
    """
    try:
        descriptor = os.open(POLICY, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    except OSError:  # there is one, or none can be created
        yield
        return
    try:
        os.write(
            descriptor,
            b"#!/bin/sh\n# made by layer-bench while it installs packages; delete it\nexit 101\n",
        )
        os.close(descriptor)
        yield
    finally:
        os.unlink(POLICY)


def _apt_get(*arguments: str) -> tuple[int, list[str]]:
    """Run apt-get noninteractively; return its status and the lines of its standard error."""
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    result = subprocess.run(
        command, check=False, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return result.returncode, result.stderr.strip().splitlines()
