"""One boot that several tests look at."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bench.guest import kernels, machine
from bench.host.packages import find_program
from bench.store.reader import load

if TYPE_CHECKING:
    from pathlib import Path

    from bench.guest.kernels import Kernel
    from bench.store.reader import Run

VERSION = "6.1"  # of Debian 12
BOOT = ("--boots", "1", "--scenario", "lookup,inodes", "--depth", "3")
ARMS = ("--driver", "native", "--driver", "overlay2", "--driver", "devicemapper", "--volume", "ext4,thin-ext4")


@dataclass(frozen=True)
class Boot:
    """A run of one boot: where it and its page lie, its rows, and what `--json` said."""

    directory: Path
    run: Run
    rows: list[dict[str, Any]]
    told: dict[str, Any]


@pytest.fixture(scope="session")
def kernel() -> Kernel:
    """A kernel that was fetched; tests have no network."""
    if find_program(machine.PROGRAM) is None:
        pytest.skip(f"{machine.PROGRAM} is not installed")
    found = kernels.find(VERSION)
    if found is None:
        pytest.skip(f"`python -m bench kernel fetch {VERSION}` was not run")
    return found


@pytest.fixture(scope="session")
def boot(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    directory = tmp_path_factory.mktemp("boot")
    command = [sys.executable, "-m", "bench", "run", "--kernel", kernel.release, *BOOT, *ARMS, "--json"]
    done = subprocess.run(
        [*command, "--results", directory, "--reports", directory], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = load(next(directory.glob("*/run.json")).parent)
    rows = [json.loads(line) for line in run.samples.read_text().splitlines()]
    return Boot(directory, run, rows, json.loads(done.stdout))
