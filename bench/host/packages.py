"""Programs the suite and its tests call, and the Debian packages that bring them."""

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

__all__ = ["ENGINES", "Group", "Package", "find_program", "install", "install_hint", "missing", "programs"]

OPT_OUT = "BENCH_NO_INSTALL"  # set to anything: never install system packages
POLICY = "/usr/sbin/policy-rc.d"
LOCK_SECONDS = 120  # apt-get waits so long for another apt-get, such as a new machine's first upgrade

Group = Literal["bench", "tests", "aa", "engines"]
ALL: frozenset[Group] = frozenset({"bench", "tests", "aa"})
TESTS: frozenset[Group] = frozenset({"tests"})
PEERS: frozenset[Group] = frozenset({"tests", "aa"})
ENGINES: frozenset[Group] = frozenset({"tests", "engines"})  # not of `bench`: they bring services of the host's own


@dataclass(frozen=True)
class Package:
    """A program, the Debian package that brings it (and `also`), what it adds, and who needs it."""

    program: str
    package: str
    adds: str
    groups: frozenset[Group] = ALL
    also: tuple[str, ...] = ()
    version: str = ""  # the argument with which it tells its version, where a run records that

    @property
    def names(self) -> tuple[str, ...]:
        """Every Debian package to ask apt-get for."""
        return (self.package, *self.also)


# What no driver, volume, engine or scenario declares.
COMMON = (
    Package("chromium", "chromium", "tests of the report in a real browser", TESTS),
    Package("chromedriver", "chromium-driver", "tests of the report in a real browser", TESTS),
    # without recommended packages gcc comes without the C library's headers
    Package("cc", "gcc", "the comparison of the clock with C", PEERS, also=("libc6-dev",), version="--version"),
    Package("runc", "runc", "the containers of all engines", ENGINES),
    Package("busybox", "busybox-static", "what runs in the engines' containers", ENGINES),
    Package("hyperfine", "hyperfine", "what hyperfine says beside the suite (aa)", PEERS),
)


@cache
def programs() -> dict[str, Package]:
    """Return every program that the suite may call, by name: what is declared where it is used, and COMMON."""
    return {item.program: item for item in (*discovery.packages(), *COMMON)}


def find_program(program: str) -> str | None:
    """Return the path of `program` from PATH or the sbin directories, which an ordinary user's PATH lacks."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def install_hint(program: str) -> str:
    """Return the command that would add `program`."""
    known = programs().get(program)
    return f"apt-get install {' '.join(known.names)}" if known else f"install {program}"


def missing(group: Group = "bench") -> list[Package]:
    """Return the packages of `group` whose program is not on PATH or in the sbin directories."""
    return [item for item in programs().values() if group in item.groups and find_program(item.program) is None]


def install(wanted: list[Package]) -> bool:
    """Install `wanted` with apt-get as root after saying what and why; tell whether anything was installed.

    Where that is impossible or turned off, say what each part would add and the command.
    """
    if not wanted:
        return False
    for item in wanted:
        print(f"missing: {' and '.join(item.names)}, which adds {item.adds}", file=sys.stderr)
    names = sorted({name for item in wanted for name in item.names})
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
        status, said = _apt_get(*command[1:])
    if status != 0:
        reason = said[-1] if said else f"status {status}"
        print(f"apt-get failed ({reason}); going on without", file=sys.stderr)
    return status == 0


@contextmanager
def _no_services() -> Iterator[None]:
    """While entered no package starts a service: a dockerd of the host's is nothing that the suite needs.

    By the program that Debian's packages ask (invoke-rc.d(8)), unless the administrator has one.
    """
    try:
        descriptor = os.open(POLICY, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    except OSError:  # there is one, or there can be none
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
    """Run apt-get without questions; return its status and what it said on standard error."""
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, check=False, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return done.returncode, done.stderr.strip().splitlines()
