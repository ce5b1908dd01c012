"""devicemapper, by hand and by Docker, in a guest whose kernel has it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bench.host.packages import find_program
from bench.store.places import measured
from bench.store.reader import load

if TYPE_CHECKING:
    from pathlib import Path

    from bench.guest.kernels import Kernel
    from tests.guest.conftest import Boot

pytestmark = pytest.mark.xdist_group("guests")


@pytest.fixture
def release(kernel: Kernel) -> str:
    return kernel.release


def rows(directory: Path, release: str, *arguments: str) -> list[dict[str, Any]]:
    """Run one boot; return its rows, none of which has an error or a mismatch."""
    command = [sys.executable, "-m", "bench", "run", "--kernel", release, "--boots", "1", *arguments]
    done = subprocess.run(
        [*command, "--results", directory, "--reports", directory], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [run] = [load(file.parent) for file in directory.glob("*/run.json")]
    found = [json.loads(line) for line in run.samples.read_text().splitlines()]
    assert [(row["scenario"], row["arm"], row["error"], row["mismatches"]) for row in found if row["error"]] == []
    assert [(row["scenario"], row["arm"], row["mismatches"]) for row in found if row["mismatches"]] == []
    return found


def test_its_layers_hold_what_the_image_has_and_take_what_the_formula_says(boot: Boot, release: str) -> None:
    own = [row for row in boot.rows if row["arm"] == "devicemapper@thin-ext4"]
    assert [
        (row["scenario"], row["error"], row["mismatches"]) for row in own if row["error"] or row["mismatches"]
    ] == []
    assert {row["scenario"] for row in own} == {"inodes", "lookup"}
    [least, *_] = [row["counters"]["bytes"] for row in own if row["scenario"] == "inodes"]
    assert least % (64 << 10) == 0
    assert {row["temperature"] for row in own if row["scenario"] == "lookup"} == {"hot", "new container", "cold"}
    [run] = measured(boot.directory)["devicemapper"]
    assert (run.guest, run.kernel) == (True, release)


@pytest.mark.boots
@pytest.mark.parametrize("volume", ["thin-ext4", "thin-xfs"])
def test_all_scenarios(tmp_path: Path, release: str, volume: str) -> None:
    names = "copy_up,whiteouts,commit,drivers,mounting,inodes,steady,differences"
    arms = ("--driver", "devicemapper", "--driver", "native", "--volume", volume)
    found = rows(
        tmp_path, release, *arms, "--scenario", names, "--depth", "8", "--profile", "standard", "--memory", "8GiB"
    )
    own = [row for row in found if row["arm"] == f"devicemapper@{volume}"]
    assert {row["scenario"] for row in own} == {*names.split(",")}
    assert [row["counters"]["operations"] >= 2000 for row in own if row["scenario"] == "differences"] == [True]


@pytest.mark.boots
@pytest.mark.parametrize("volume", ["thin-ext4", "thin-xfs"])
def test_the_layout_is_what_docker_makes(tmp_path: Path, release: str, volume: str) -> None:
    if find_program("dockerd") is None:
        pytest.skip("no dockerd")
    arms = ("--driver", "docker/devicemapper", "--driver", "devicemapper", "--volume", volume)
    found = rows(tmp_path, release, *arms, "--scenario", "layout,drivers", "--profile", "standard", "--depth", "1,5")
    layouts = [row["counters"] for row in found if row["scenario"] == "layout"]
    assert len(layouts) == 2
    for counters in layouts:
        states = ("at_rest", "running", "stopped", "options")
        assert [counters[f"different_{state}"] for state in states] == [0, 0, 0, 0]
