"""A baseline: what a run counted, how it was mounted and what it cost beside native."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.gate.figures import Figure, rows
from bench.gate.mounted import mount_options
from bench.reading.analysis import Analysis
from bench.reading.contract import Reading
from bench.stats.frames import VARIES
from bench.store.records import Provenance

__all__ = ["Baseline", "Machine", "Ratio", "check_suite", "counted", "make_baseline", "timed"]

GIB = 1 << 30
DIGITS = 4  # of a stored ratio; its interval is never narrower than a few per mille


@dataclass(frozen=True)
class Machine:
    """What a time depends on; None: not known."""

    cpu_model: str | None
    machine: str | None
    cores: int | None
    memory_gib: int | None
    hypervisor: bool | None
    kernel: str | None

    @staticmethod
    def of(provenance: Provenance) -> Machine:
        """Return the machine of a run."""
        host = provenance.host
        memory = host.get("memory_bytes")
        return Machine(
            cpu_model=host.get("cpu_model"),
            machine=host.get("machine"),
            cores=(host.get("cores") or {}).get("logical"),
            memory_gib=None if memory is None else round(memory / GIB),
            hypervisor=(host.get("virtualisation") or {}).get("hypervisor"),
            kernel=host.get("kernel"),
        )

    def difference(self, other: Machine) -> str:
        """Return the first fact in which they differ, in words; "" if none does."""
        for (name, mine), theirs in zip(asdict(self).items(), asdict(other).values(), strict=True):
            if mine != theirs:
                return f"{name} {_fact(mine)}, not {_fact(theirs)}"
        return ""


@dataclass(frozen=True)
class Ratio:
    """By what factor a cell differs from native, with its interval, from n pairs."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Baseline:
    """What a run is judged against.

    `counters`: the least and the largest value of the units of a cell. `options`: the distinct mount options of
    the units by `SCENARIO ARM`. `ratios`: those of each scenario's judged metric, where they have an interval.
    """

    version: str
    scenarios: tuple[str, ...]
    machine: Machine
    options: Mapping[str, tuple[str, ...]]
    counters: Mapping[Figure, tuple[float, float]]
    ratios: Mapping[Figure, Ratio]


def make_baseline(analysis: Analysis, readings: Mapping[str, Reading]) -> Baseline:
    """Return what a run says as a baseline; `readings` by name say which metric is judged.

    Raises BenchError if it says nothing: no counter and no ratio.
    """
    run, counters = analysis.run, counted(analysis)
    ratios = {figure: told for figure, told in timed(analysis).items() if _is_judged(figure, readings)}
    if not counters and not ratios:
        raise BenchError(f"run {run.id} makes no baseline", why="it has no counter and no ratio to native")
    options = mount_options(run.units)
    named = {figure.scenario for figure in (*counters, *ratios)} | {key.partition(" ")[0] for key in options}
    version = run.provenance.version
    return Baseline(version, tuple(sorted(named)), Machine.of(run.provenance), options, counters, ratios)


def check_suite(baseline: Baseline, path: Path, analysis: Analysis, readings: Mapping[str, Reading]) -> None:
    """Raise BenchError if the baseline in `path` is from another set of scenarios than `readings` or the run's."""
    if gone := [name for name in baseline.scenarios if name not in readings]:
        raise BenchError(
            f"{path} has figures of scenario {gone[0]!r}",
            why=f"version {baseline.version} had it, this one has not",
            fix="make a new baseline",
        )
    if not set(baseline.scenarios) & set(analysis.scenarios):
        raise BenchError(
            f"{path} has no figure of run {analysis.run.id}",
            why=f"it is about {', '.join(baseline.scenarios)}; the run, about {', '.join(analysis.scenarios)}",
            fix="measure these scenarios, or make a new baseline",
        )


def counted(analysis: Analysis) -> dict[Figure, tuple[float, float]]:
    """Return between what every counter of a run lies.

    Not those of which the suite itself expects a range: a journal flushes now and then, and a file system takes
    chunks; equal runs differ in them, so that only the range can be held against them (bench.gate.expected).
    """
    parameters = analysis.run.parameters
    return {
        Figure.of(row, "counter", parameters): (float(row["minimum"]), float(row["maximum"]))
        for row in rows(analysis.counters)
        if row["expected"] != VARIES and row.get("expected_low") == row.get("expected_high")
    }


def timed(analysis: Analysis) -> dict[Figure, Ratio]:
    """Return every ratio to native of a run that has an interval."""
    parameters = analysis.run.parameters
    return {
        Figure.of(row, "metric", parameters): Ratio(
            _rounded(row["ratio"]), _rounded(row["low"]), _rounded(row["high"]), int(row["n"])
        )
        for row in rows(analysis.ratios)
        if {"ratio", "low", "high"} <= row.keys()
    }


def _is_judged(figure: Figure, readings: Mapping[str, Reading]) -> bool:
    """Tell whether a figure is the judged metric of its scenario, and a time: of a throughput, more is better."""
    reading = readings.get(figure.scenario)
    return reading is not None and figure.what == reading.judged_metric and reading.metric(figure.what).unit == "ns"


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _fact(value: Any) -> str:
    return "unknown" if value is None else str(value)
