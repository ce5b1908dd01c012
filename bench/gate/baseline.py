"""A baseline: the counters, mount options and ratios to native of a run."""

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
DIGITS = 4  # significant digits of a stored ratio, whose interval is never narrower than a few per mille


@dataclass(frozen=True)
class Machine:
    """The facts of a machine on which times depend; None: not known."""

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
        """Return the first fact in which the machines differ, in words; "" if they are the same."""
        for (name, value), other_value in zip(asdict(self).items(), asdict(other).values(), strict=True):
            if value != other_value:
                return f"{name} {_fact(value)}, not {_fact(other_value)}"
        return ""


@dataclass(frozen=True)
class Ratio:
    """The ratio of a cell to native, with its interval, from n pairs."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Baseline:
    """The figures that a run is judged against.

    `counters`: the smallest and the largest value of the units of each cell. `options`: the distinct mount options of
    the units, by `SCENARIO ARM`. `ratios`: the ratios to native of each scenario's judged metric that have an interval.
    """

    version: str
    scenarios: tuple[str, ...]
    machine: Machine
    options: Mapping[str, tuple[str, ...]]
    counters: Mapping[Figure, tuple[float, float]]
    ratios: Mapping[Figure, Ratio]


def make_baseline(analysis: Analysis, readings: Mapping[str, Reading]) -> Baseline:
    """Make a baseline from a run; `readings`, by name, tell which metric of a scenario is judged.

    Raises BenchError if the run has no counter and no ratio.
    """
    run, counters = analysis.run, counted(analysis)
    ratios = {figure: ratio for figure, ratio in timed(analysis).items() if _is_judged(figure, readings)}
    if not counters and not ratios:
        raise BenchError(f"run {run.id} makes no baseline", why="it has no counter and no ratio to native")
    options = mount_options(run.units)
    scenarios = {figure.scenario for figure in (*counters, *ratios)} | {key.partition(" ")[0] for key in options}
    version = run.provenance.version
    return Baseline(version, tuple(sorted(scenarios)), Machine.of(run.provenance), options, counters, ratios)


def check_suite(baseline: Baseline, path: Path, analysis: Analysis, readings: Mapping[str, Reading]) -> None:
    """Raise BenchError if the baseline has a scenario that `readings` lacks, or none of the run's.

    `path` is the baseline's file, for the message.
    """
    if missing := [name for name in baseline.scenarios if name not in readings]:
        raise BenchError(
            f"{path} has figures of scenario {missing[0]!r}",
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
    """Return the smallest and the largest value of every counter of a run.

    Counters for which a scenario expects a range are left out: a journal flushes at irregular times, and a file system
    allocates in chunks, so they differ between equal runs and are judged by that range only (bench.gate.expected).
    """
    parameters = analysis.run.parameters
    return {
        Figure.of(row, "counter", parameters): (float(row["minimum"]), float(row["maximum"]))
        for row in rows(analysis.counters)
        if row["expected"] != VARIES and row.get("expected_low") == row.get("expected_high")
    }


def timed(analysis: Analysis) -> dict[Figure, Ratio]:
    """Return the ratios to native of a run that have an interval."""
    parameters = analysis.run.parameters
    return {
        Figure.of(row, "metric", parameters): Ratio(
            _rounded(row["ratio"]), _rounded(row["low"]), _rounded(row["high"]), int(row["n"])
        )
        for row in rows(analysis.ratios)
        if {"ratio", "low", "high"} <= row.keys()
    }


def _is_judged(figure: Figure, readings: Mapping[str, Reading]) -> bool:
    """Tell whether a figure is its scenario's judged metric and a time; of a throughput, more would be better."""
    reading = readings.get(figure.scenario)
    return reading is not None and figure.what == reading.judged_metric and reading.metric(figure.what).unit == "ns"


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _fact(value: Any) -> str:
    return "unknown" if value is None else str(value)
