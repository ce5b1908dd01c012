"""Read a run from disk into pandas frames; needs no root, no Linux and no driver."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.errors import BenchError, no_run
from bench.model import NANOSECONDS, NATIVE, Arm, RunWarning
from bench.store.effects import without_effect
from bench.store.records import SCHEMA, Provenance, upgraded
from bench.store.rows import RESERVED, read, rows_of
from bench.store.typed import fault

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "latest", "load"]

COMPARISON = "comparison"  # the parameter that marks rows of comparisons
MARKS = (COMPARISON, "side", "setup", "delay")


@dataclass(frozen=True)
class Run:
    """A run, as read from its directory.

    `provenance` is run.json as a record, `whole` its full content; `arms` are those of the units, by name.
    `times` has one row per unit and metric, with columns sequence, block, scenario, arm, driver, stack (the
    driver with its options), volume, depth, temperature, metric, value, operations, disturbed (whether the unit's CPU
    was, before or after the operation), and one column per parameter (missing if the scenario does not have it). It
    does not include units with an error.
    `counters` has one row per unit and counter: the same keys, counter, value, expected_low,
    expected_high (NaN if nothing was expected), ok.
    `units` has one row per unit: the same keys, error, mismatches, proofs, how, started, and the row's pace
    (cpu, slowness, slowness_after, waited; missing if the run did not record it). `how` is a mapping.
    `warnings` are problems of the files, and options of arms that had no effect.
    Text columns are categories, with temperatures in the order of their type; parameters are Int64 if
    all values are integers, else categories.
    """

    directory: Path
    provenance: Provenance
    whole: dict[str, Any]
    arms: dict[str, Arm]
    times: pd.DataFrame
    counters: pd.DataFrame
    units: pd.DataFrame
    warnings: tuple[RunWarning, ...]

    @property
    def id(self) -> str:
        """The name of the run, which is that of its directory."""
        return self.directory.name

    @property
    def time_unit(self) -> str:
        """What the run's clock counted: nanoseconds, or the instructions of a guest."""
        return self.provenance.place.clock if self.provenance.place else NANOSECONDS

    @property
    def samples(self) -> Path:
        """The file of the run's rows, or of a self-test's pairs if its rows are stored elsewhere."""
        return rows_of(self.directory)

    @property
    def following(self) -> int:
        """The number (`sequence`) of the next unit of the run."""
        return 0 if self.units.empty else int(self.units["sequence"].max()) + 1

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of all scenarios of the run, which are columns of the three frames."""
        return tuple(str(column) for column in self.units.columns if column not in RESERVED)

    def only(self, scenario: str, arms: Collection[Arm], names: Collection[str]) -> Run:
        """The run with the units of one scenario on these arms and on native only, and of their values those named."""
        own = {str(arm) for arm in arms}
        times, counters, units = (
            frame[(frame["scenario"] == scenario) & (frame["arm"].isin(own) | (frame["driver"] == NATIVE))]
            for frame in (self.times, self.counters, self.units)
        )
        times, counters = times[times["metric"].isin(names)], counters[counters["counter"].isin(names)]
        return replace(self, times=times, counters=counters, units=units)

    @property
    def surveyed(self) -> Run:
        """The run without the units of comparisons (bench.measure.compare), whose cells differ by side."""
        if COMPARISON not in self.units:
            return self
        frames = (
            frame[frame[COMPARISON].isna()].drop(columns=[name for name in MARKS if name in frame])
            for frame in (self.times, self.counters, self.units)
        )
        times, counters, units = frames
        return replace(self, times=times, counters=counters, units=units)


def load(directory: Path) -> Run:
    """Read results/<run-id>, with plain or packed rows; raises BenchError if it cannot be read or is not a run."""
    provenance, whole = _provenance(directory)
    columns, warnings = read(rows_of(directory))
    units = columns.units()
    warned = (*warnings, *without_effect(units))
    return Run(directory, provenance, whole, columns.arms, columns.times(), columns.counters(), units, warned)


def _provenance(directory: Path) -> tuple[Provenance, dict[str, Any]]:
    """Return the content of run.json, as a record and in full."""
    path = directory / "run.json"
    if not directory.is_dir():
        raise no_run(directory)
    try:
        whole = msgspec.json.decode(path.read_bytes())
        provenance = msgspec.convert(upgraded(whole), Provenance)
    except FileNotFoundError:
        raise BenchError(f"{directory} is not a run", why="it has no run.json") from None
    except msgspec.ValidationError as error:
        if isinstance(whole, dict) and isinstance(whole.get("schema"), int) and whole["schema"] > SCHEMA:
            raise _newer(path, whole["schema"]) from None
        raise BenchError(f"{path} is not a run's provenance", why=fault(error), fix="restore the file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"cannot read {path}", why=str(error), fix="restore the file, or run again") from error
    if provenance.schema > SCHEMA:
        raise _newer(path, provenance.schema)
    return provenance, whole


def _newer(path: Path, schema: int) -> BenchError:
    return BenchError(
        f"{path} was written by a newer version",
        why=f"schema {schema}, this version reads up to {SCHEMA}",
        fix="use that version to read it",
    )


def latest(results: Path) -> Path:
    """Return the newest run below `results`, by name, which begins with the time."""
    runs = sorted(path.parent for path in results.glob("*/run.json") if path.parent.name[:1].isdigit())
    if not runs:
        raise BenchError(f"no run in {results}", fix="`python -m bench run` makes one")
    return runs[-1]
