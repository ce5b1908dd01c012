"""What the harness itself costs: the same system calls on the same stack from Python and from C.

Both run on fresh containers in one block in random order; the reference is started before its clock
and times itself. Where no compiler is present the scenario says so and the timer alone is reported.
"""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import TYPE_CHECKING

from bench.layers.content import Directory, File, Layer
from bench.measure import clock, reference
from bench.measure.scenario import Grid, Metric, Params, ProofError, Scenario, Unit
from bench.model import Temperature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.stats.analysis import Analysis

NAMES, FILES = 32, 4
FILE_BYTES = PAYLOAD_BYTES = 4096
DEPTH = 8
AGREEMENT = 0.05  # the difference from C that a figure may hide


def grids(profile: str) -> Iterable[Grid]:
    """Python and C, hot and in a new container."""
    both = {"clock": ("python", "c")}
    yield Grid((DEPTH,), (Temperature.HOT, Temperature.NEW), both, drivers=("overlay2",))


def layer(index: int, params: Params) -> Layer:
    """Names to find and files to write in the bottom layer, their directories in every layer."""
    if index:
        return (Directory("every"), Directory("data"))
    names = [File(f"every/{number}", 0) for number in range(NAMES)]
    files = [File(f"data/{number}", FILE_BYTES) for number in range(FILES)]
    return (Directory("every"), *names, Directory("data"), *files)


def names() -> list[str]:
    """Return the names that are looked up."""
    return [f"every/{number}" for number in range(NAMES)]


def touch(unit: Unit) -> None:
    """Look every name up and read every file."""
    for name in names():
        os.access(unit.merged / name, os.F_OK)
    for number in range(FILES):
        (unit.merged / f"data/{number}").read_bytes()


def operate(unit: Unit) -> None:
    """The lookups, then the first writes, by one of the two."""
    files = [str(unit.merged / f"data/{number}") for number in range(FILES)]
    if unit.params["clock"] == "c":
        program = unit.tools.get(reference.NAME)
        if not program:
            raise ProofError("the C reference is not there")
        unit.record("lookup", reference.run(program, "lookup", str(unit.merged), names()))
        unit.record("first_write", reference.run(program, "first-write", str(PAYLOAD_BYTES), files))
        return
    base = os.open(unit.merged, os.O_RDONLY | os.O_DIRECTORY)
    os.access("every/first", os.F_OK, dir_fd=base)
    unit.record("lookup", clock.each(os.access, [(name, os.F_OK) for name in names()], dir_fd=base))
    os.close(base)
    payload = bytes(PAYLOAD_BYTES)
    times = []
    for path in files:
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
    """The writes landed."""
    for number in range(FILES):
        content = (unit.merged / f"data/{number}").read_bytes()
        unit.proven(content == bytes(PAYLOAD_BYTES), "every file holds what was written")


def applies(cell: object, driver: object) -> str:
    """Native and the kernel's driver; through FUSE the daemon's time would hide the harness's."""
    return "" if getattr(driver, "name", "") in {"overlay2", "native"} else "the harness's share is told on overlay2"


def differences(analysis: Analysis) -> Iterator[tuple[str, str, str, object]]:
    """Yield (arm, temperature, metric, ratio Python/C as an Estimate or None)."""
    from bench.stats.estimate import ratio

    times = analysis.run.times
    mine = times[times["scenario"] == SCENARIO.name]
    for (arm, temperature, metric), rows in mine.groupby(["arm", "temperature", "metric"], observed=True):
        wide = rows.pivot_table(index="block", columns="clock", values="value", observed=True)
        if {"python", "c"} <= set(wide.columns):
            pairs = wide.dropna()
            if len(pairs):
                yield str(arm), str(temperature), str(metric), ratio(pairs["python"].to_numpy(), pairs["c"].to_numpy())


SCENARIO = Scenario(
    name="harness",
    question="What does the harness itself cost?",
    method=(
        "The same calls on the same kind of container from Python and from a C program that times itself, each in a "
        "fresh container, in random order in one block; the ratio is Python to C. `timer` is the median of 2,001 pairs "
        "of readings of the clock with nothing between."
    ),
    order=7,
    weight=0.04,
    metrics=(
        Metric("lookup", "lookup of a name in the bottom of 8 layers"),
        Metric("first_write", "first write to a 4 KiB file"),
        Metric("timer", "two readings of the clock"),
    ),
    headline="lookup",
    grids=grids,
    layer=layer,
    touch=touch,
    applies=applies,
    operate=operate,
    prove=prove,
)
