"""One of each kind, in one file each, brought by another project: found, measured and written without a change here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.store.reader import load
from tests.cli.command import Bench
from tests.distributions import write_distribution
from tests.integration.places import require

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "layer_bench.drivers": """
from bench.drivers.vfs import Vfs


class Copies(Vfs):
    name = "copies"
    title = "full copies under another name"


DRIVER = Copies
""",
    "layer_bench.volumes": """
from dataclasses import replace

from bench.volumes.ext4 import VOLUME as EXT4

VOLUME = replace(EXT4, name="ext4-plain", title="ext4, small inodes", arguments=(*EXT4.arguments, "-I", "128"))
""",
    "layer_bench.engines": """
from bench.engines.base import Storage
from bench.engines.docker import Docker


class Dock(Docker):
    name = "dock"
    storages = (Storage("vfs", "vfs", cumulative=True),)


ENGINE = Dock
""",
    "layer_bench.outputs": """
from bench.gate.output import Output


def text(result):
    return "".join(f"{one.name}\\n" for one in result.verdicts)


OUTPUT = Output("lines", "Write them as lines too.", text)
""",
}


@pytest.fixture
def other(bench: Bench, tmp_path: Path) -> Bench:
    """Commands of a machine on which another project is installed that brings one of each."""
    groups = {}
    for group, text in FILES.items():
        module = f"other_{group.rpartition('.')[2]}"
        tmp_path.joinpath(f"{module}.py").write_text(text, encoding="utf-8")
        groups[group] = {"other": module}
    write_distribution(tmp_path, "layer_bench_other", groups)
    bench.environment["PYTHONPATH"] = f"{bench.variables()['PYTHONPATH']}:{tmp_path}"
    return bench


@pytest.fixture
def bench(place: Path) -> Bench:
    return Bench(place)


@pytest.mark.root
def test_all_are_found(other: Bench) -> None:
    told = json.loads(other("list", "--json").out)
    assert {"copies", "dock/vfs"} <= {one["name"] for one in told["drivers"]}
    assert "ext4-plain" in {one["name"] for one in told["volumes"]}
    assert "--lines FILE" in other("gate", "--help").out


@pytest.mark.root
def test_a_driver_a_volume_and_a_format_are_used(other: Bench) -> None:
    require(volume="ext4")
    asked = ("--scenario", "inodes", "--driver", "copies", "--volume", "ext4-plain", "--depth", "2")
    with other.nothing_left(results=True):
        done = other("run", *asked, "--budget", "4s")
    assert done.status == 0, done
    [directory] = other.runs()
    run = load(directory)
    assert {*run.units["arm"]} == {"copies@ext4-plain", "native@ext4-plain"}
    assert {*run.units["error"]} == {*run.units["mismatches"]} == {""}
    baseline = ("--baseline", "baseline.json")
    assert other("gate", directory.name, *baseline, "--update").status == 0
    assert other("gate", directory.name, *baseline, "--lines", "lines.txt").status == 0
    assert "inodes copies@ext4-plain" in (other.place / "lines.txt").read_text()


@pytest.mark.root
@pytest.mark.xdist_group("engines")
def test_an_engine_is_measured(other: Bench) -> None:
    require(volume="ext4", driver="docker/vfs")
    asked = ("--scenario", "lookup", "--driver", "dock/vfs", "--volume", "ext4", "--depth", "1")
    with other.nothing_left(results=True):
        done = other("run", *asked, "--budget", "8s")
    assert done.status == 0, done
    [directory] = other.runs()
    units = load(directory).units
    assert {*units["arm"]} == {"dock/vfs@ext4", "native@ext4"}
    assert {*units["error"]} == {""}
