"""Overhead of the harness: the same system calls on the same stack from Python and from C.

Both run on new containers in one block in random order; the reference is started before its clock
and times itself. Without a compiler the scenario reports that, and only the timer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from time import perf_counter_ns

from bench.drivers.base import Driver
from bench.layers.content import Directory, File, Layer
from bench.model import NATIVE, Cell, Temperature
from bench.scenario import clock, reference
from bench.scenario.contract import Grid, Params, ProofError, Scenario, Unit
from scenarios.harness.reading import DEPTH, READING

NAMES, FILES = 32, 4
FILE_BYTES = PAYLOAD_BYTES = 4096


def grids(profile: str) -> Iterable[Grid]:
    """Python and C, hot and in a new container."""
    both = {"clock": ("python", "c")}
    yield Grid((DEPTH,), (Temperature.HOT, Temperature.NEW), both, drivers=("overlay2",))


def layer(index: int, params: Params) -> Layer:
    """Names to look up and files to write in the bottom layer, their directories in every layer."""
    if index:
        return (Directory("every"), Directory("data"))
    names = [File(f"every/{number}", 0) for number in range(NAMES)]
    files = [File(f"data/{number}", FILE_BYTES) for number in range(FILES)]
    return (Directory("every"), *names, Directory("data"), *files)


def names() -> list[str]:
    """Return the names to look up."""
    return [f"every/{number}" for number in range(NAMES)]


def touch(unit: Unit) -> None:
    """Look up every name and read every file."""
    for name in names():
        os.access(unit.merged / name, os.F_OK)
    for number in range(FILES):
        (unit.merged / f"data/{number}").read_bytes()


def operate(unit: Unit) -> None:
    """The lookups, then the first writes, in Python or C."""
    files = [str(unit.merged / f"data/{number}") for number in range(FILES)]
    hot = unit.cell.temperature is Temperature.HOT  # if so, passes are timed, as in scenario lookup
    calls = NAMES if hot else 1
    if unit.params["clock"] == "c":
        program = unit.tools.get(reference.NAME)
        if not program:
            raise ProofError("the C reference is not there")
        for metric in ("lookup", "refused"):
            unit.settle()
            mode = f"{metric}-passes" if hot else metric
            unit.record(metric, reference.run(program, mode, str(unit.merged), names()), calls=calls)
        unit.metrics["net"] = unit.metrics["lookup"] - unit.metrics["refused"]
        unit.record("first_write", reference.run(program, "first-write", str(PAYLOAD_BYTES), files))
        return
    clock.accesses([b"every/first"], unit.merged)
    timed = clock.passes if hot else clock.accesses
    encoded = [name.encode() for name in names()]
    unit.record("lookup", timed(encoded, unit.merged), calls=calls)
    unit.settle()
    unit.record("refused", timed(encoded, unit.merged, clock.REFUSED), calls=calls)
    unit.metrics["net"] = unit.metrics["lookup"] - unit.metrics["refused"]
    payload = bytes(PAYLOAD_BYTES)
    times = []
    for path in map(os.fsencode, files):
        start = perf_counter_ns()
        descriptor = os.open(path, os.O_RDWR)
        opened = perf_counter_ns() - start
        start = perf_counter_ns()
        os.pwrite(descriptor, payload, 0)
        times.append(opened + perf_counter_ns() - start)
        os.close(descriptor)
    unit.record("first_write", times)
    unit.metrics["timer"] = clock.overhead()
    unit.operations["timer"] = clock.OVERHEAD_READINGS


def prove(unit: Unit) -> None:
    """The files have the written content."""
    for number in range(FILES):
        content = (unit.merged / f"data/{number}").read_bytes()
        unit.require_proof(content == bytes(PAYLOAD_BYTES), "every file holds what was written")


def applies(cell: Cell, driver: Driver) -> str:
    """Native and overlay2; with FUSE the daemon's time would mask the harness's."""
    return "" if driver.name in {"overlay2", NATIVE} else "the harness's share is told on overlay2"


SCENARIO = Scenario(
    reading=READING,
    weight=0.04,
    gated=False,  # it has no counters
    grids=grids,
    layer=layer,
    touch=touch,
    applies=applies,
    changes=True,
    operate=operate,
    prove=prove,
)
