"""Reads and writes after copy_up: of a file in the image, of one in the upper layer, and of a plain one.

fio runs in its own process, and times and percentiles are its own.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.host.answers import answered, ended, last_words
from bench.host.packages import Package
from bench.layers.content import Directory, File, Layer
from bench.model import Temperature
from bench.scenario.contract import Grid, Params, Scenario, Unit
from bench.scenario.temperature import read_in
from scenarios.steady.reading import DEPTH, READING

FILE_BYTES = 8 << 20
RUN_MS = 200  # per pattern; the file is in the page cache, so this is about 10^5 operations
TIMEOUT = 60.0
PATTERNS = ("randread", "read", "randwrite", "write")
BLOCK_BYTES = {"randread": "4k", "randwrite": "4k", "read": "128k", "write": "128k"}
PERCENTILES = {"50.000000": "p50", "99.000000": "p99"}


def grids(profile: str) -> Iterable[Grid]:
    """Location of the file and pattern of access."""
    if profile == "quick":
        yield Grid((DEPTH,), (Temperature.HOT,), {"state": ("lower",), "pattern": ("randread",)}, drivers=("overlay2",))
        yield Grid(
            (DEPTH,), (Temperature.HOT,), {"state": ("upper",), "pattern": ("randwrite",)}, drivers=("overlay2",)
        )
        return
    if profile == "standard":
        # fio's open for writing copies a file of the image up, so `lower` is measured with reads.
        drivers = ("overlay2", "fuse-overlayfs")
        lower, upper = ("randread", "read"), ("randread", "randwrite", "write")
        yield Grid((DEPTH,), (Temperature.HOT,), {"state": ("lower",), "pattern": lower}, drivers=drivers)
        yield Grid((DEPTH,), (Temperature.HOT,), {"state": ("upper",), "pattern": upper}, drivers=drivers)
        return
    yield Grid((DEPTH,), (Temperature.HOT,), {"state": ("lower", "upper"), "pattern": PATTERNS})


def layer(index: int, params: Params) -> Layer:
    """One file in the bottom layer."""
    return (Directory("data"), File("data/file", FILE_BYTES)) if index == 0 else (Directory("data"),)


def touch(unit: Unit) -> None:
    """Read the file; with state `upper`, open it for writing first, which copies it up."""
    path = unit.merged / "data/file"
    if unit.params["state"] == "upper":
        os.close(os.open(path, os.O_RDWR))
    read_in(path)


def operate(unit: Unit) -> None:
    """One fio job on the page cache: no fsync and no direct I/O, so that the file system's code dominates."""
    pattern = str(unit.params["pattern"])
    command = [
        "fio", "--name=steady", f"--filename={unit.merged / 'data/file'}", f"--rw={pattern}",
        f"--bs={BLOCK_BYTES[pattern]}", f"--size={FILE_BYTES}", "--ioengine=psync", "--time_based",
        f"--runtime={RUN_MS}ms", "--invalidate=0", "--randrepeat=1", f"--randseed={unit.seed}", "--thread",
        "--clocksource=clock_gettime",  # else it calibrates the CPU's own counter first, for 65 ms
        "--percentile_list=50:99", "--output-format=json",
    ]  # fmt: skip
    home = str(unit.container.path)
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=TIMEOUT,
            cwd=home,
        )
    except subprocess.TimeoutExpired as error:
        errors = (error.stderr or b"").decode(errors="replace")
        raise BenchError(f"fio did not end within {TIMEOUT:g} s", why=last_words(errors)) from error
    ended("fio", process)
    result = answered("fio", process.stdout, partial(job, pattern), said=process.stderr)
    if result.error or not result.operations:
        problem = f"fio ended with error {result.error}" if result.error else "fio did no operation"
        raise BenchError(problem, why=last_words(process.stderr))
    unit.notes["job"] = result


@dataclass(frozen=True)
class Job:
    """fio's results of a job in one direction: error (0: none), number of operations, and figures."""

    error: int
    operations: int
    figures: Mapping[str, float]


def job(pattern: str, document: Any) -> Job:
    """Parse fio's JSON; raises KeyError, IndexError, TypeError or ValueError if it is not of a job.

    For a job without operations fio has no percentiles; the result then has no figures.
    """
    [entry] = document["jobs"]
    direction = entry["read" if "read" in pattern else "write"]
    latency, operations = direction["clat_ns"], int(direction["total_ios"])
    if not operations or not int(latency["N"]):
        return Job(int(entry["error"]), 0, {})
    figures = {name: float(latency["percentile"][key]) for key, name in PERCENTILES.items()}
    figures |= {"mean": float(latency["mean"]), "throughput": float(direction["bw_bytes"])}
    if not all(map(math.isfinite, figures.values())):
        raise ValueError("a figure is not a number")
    return Job(int(entry["error"]), operations, figures)


def prove(unit: Unit) -> None:
    """Fio succeeded and the file is in the expected layer; then take fio's figures."""
    result: Job = unit.notes["job"]
    reads = "read" in str(unit.params["pattern"])
    unit.require_proof(result.error == 0 and result.operations > 0, "fio ended without an error")
    upper = unit.container.upper
    if upper is not None:
        copied = Path(upper, "data/file").exists()
        unit.require_proof(copied == (unit.params["state"] == "upper" or not reads), "the file is where the cell says")
    unit.metrics.update(result.figures)
    unit.operations.update(dict.fromkeys(unit.metrics, result.operations))


SCENARIO = Scenario(
    reading=READING,
    weight=0.22,
    gated=False,  # it has no counters
    grids=grids,
    layer=layer,
    touch=touch,
    operate=operate,
    prove=prove,
    working_bytes=lambda params: 2 * FILE_BYTES,
    packages=(Package("fio", "fio", "the steady state after copy_up (scenario steady)", version="--version"),),
    changes=True,
)
