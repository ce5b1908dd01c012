"""Read a run from disk into tidy pandas frames; needs no root, no Linux and no driver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.errors import BenchError, no_run
from bench.model import Arm, RunWarning
from bench.store.effects import without_effect
from bench.store.records import SCHEMA, Provenance, upgraded
from bench.store.rows import RESERVED, read, rows_of
from bench.store.typed import fault

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "latest", "load"]

COMPARISON = "comparison"  # the parameter that every row of a comparison has
MARKS = (COMPARISON, "side", "setup", "delay")


@dataclass(frozen=True)
class Run:
    """A run as read.

    `provenance` is run.json, `whole` all that the file has; `arms`: those of the units by name.
    `times`: one row per unit and metric, columns sequence, block, scenario, arm, driver, stack (the
    driver with its options), volume, depth, temperature, metric, value, operations, and one column
    per parameter (missing where a scenario has none). Units with an error are not in it.
    `counters`: one row per unit and counter: the same keys, counter, value, expected_low,
    expected_high (NaN where nothing was expected), ok.
    `units`: one row per unit: the same keys, error, mismatches, proofs, how, started, and the row's pace
    (cpu, slowness, slowness_after, waited; missing where the run did not record it). `how` is a mapping.
    `warnings`: what was odd about the files themselves, and options of arms that had no effect.
    Text columns are categories, temperatures in the order of their kind; parameters are Int64 where
    all values are whole numbers, else categories.
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
        """The run's name, that of its directory."""
        return self.directory.name

    @property
    def samples(self) -> Path:
        """The file of its rows; of a self-test whose rows are kept elsewhere, that of its pairs."""
        return rows_of(self.directory)

    @property
    def following(self) -> int:
        """The number (`sequence`) of a unit that would be measured next."""
        return 0 if self.units.empty else int(self.units["sequence"].max()) + 1

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of all scenarios of the run, each a column of the three frames."""
        return tuple(str(column) for column in self.units.columns if column not in RESERVED)

    @property
    def surveyed(self) -> Run:
        """The run without the units of comparisons (bench.measure.compare), whose cells are told apart by side."""
        if COMPARISON not in self.units:
            return self
        frames = (
            frame[frame[COMPARISON].isna()].drop(columns=[name for name in MARKS if name in frame])
            for frame in (self.times, self.counters, self.units)
        )
        times, counters, units = frames
        return replace(self, times=times, counters=counters, units=units)


def load(directory: Path) -> Run:
    """Read results/<run-id>, its rows packed or not; raises BenchError for what cannot be read or is not a run."""
    provenance, whole = _provenance(directory)
    columns, warnings = read(rows_of(directory))
    units = columns.units()
    warned = (*warnings, *without_effect(units))
    return Run(directory, provenance, whole, columns.arms, columns.times(), columns.counters(), units, warned)


def _provenance(directory: Path) -> tuple[Provenance, dict[str, Any]]:
    """Return what run.json says, as a record and whole."""
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
    """Return the newest run below `results`, by name (which begins with its time)."""
    runs = sorted(path.parent for path in results.glob("*/run.json") if path.parent.name[:1].isdigit())
    if not runs:
        raise BenchError(f"no run in {results}", fix="`python -m bench run` makes one")
    return runs[-1]
