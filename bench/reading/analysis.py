"""A run, analysed: cells, ratios to native, counters and laws, with look-ups by name.

What report, verdicts and gate ask goes through here, so that they all say the same of a run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import special

from bench.model import NATIVE, Arm, Param
from bench.reading.laws import HasLaws, Law
from bench.stats.between import allowing, between
from bench.stats.estimate import CONFIDENCE, Estimate, ratio
from bench.stats.fit import Line, line
from bench.stats.frames import cell_frame, counter_frame, ratio_frame
from bench.store.reader import Run

__all__ = ["Analysis", "FittedLaw", "Row", "Wanted"]

Row = Mapping[str, Any]
Wanted = Mapping[str, Any]  # depth, temperature or a parameter: a value, or a tuple for any of these
_Index = dict[tuple[str, str, str], list[Row]]


@dataclass(frozen=True)
class FittedLaw:
    """A scenario's law on one arm: the line through its cells."""

    scenario: str
    law: Law
    arm: Arm
    line: Line


class Analysis:
    """What a run says. Frames are made when first asked for, and shared: do not change them.

    All frames have the key columns scenario, arm, driver, stack, volume, depth, temperature and one
    column per parameter (missing where a scenario has none), and are sorted by scenario (in the
    scenarios' own order), volume, arm (native first), temperature, parameters, depth, metric.
    """

    def __init__(self, run: Run, readings: Mapping[str, HasLaws]) -> None:
        """Analyse `run`; `readings` by name give order and laws, and need not have all of the run's."""
        self.run = run
        self._known = readings
        present = {str(name) for name in run.units["scenario"].unique()}
        last = max((reading.order for reading in readings.values()), default=0) + 1
        self.scenarios: tuple[str, ...] = tuple(
            sorted(present, key=lambda name: (readings[name].order if name in readings else last, name))
        )

    @functools.cached_property
    def cells(self) -> pd.DataFrame:
        """One row per cell and metric, with the columns of `cell_frame`."""
        return self._sorted(cell_frame(self.run.times, self.run.parameters), "metric")

    @functools.cached_property
    def ratios(self) -> pd.DataFrame:
        """One row per cell and metric of all arms but native, with the columns of `ratio_frame`."""
        return self._sorted(ratio_frame(self.run.times, self.run.parameters), "metric")

    @functools.cached_property
    def counters(self) -> pd.DataFrame:
        """One row per cell and counter, with the columns of `counter_frame`."""
        return self._sorted(counter_frame(self.run.counters, self.run.parameters), "counter")

    @functools.cached_property
    def laws(self) -> list[FittedLaw]:
        """Every law of every known scenario on every arm with cells at three x or more."""
        fitted = []
        for name in self.scenarios:
            for law in self._known[name].laws if name in self._known else ():
                for arm in self.arms(name):
                    rows = _matching(self._cells.get((name, str(arm), law.metric), []), law.where)
                    rows = [row for row in rows if law.x in row]
                    told = line([float(row[law.x]) for row in rows], [_estimate(row, "value") for row in rows])
                    if told is not None:
                        fitted.append(FittedLaw(name, law, arm, told))
        return fitted

    def arms(self, scenario: str) -> list[Arm]:
        """Return the arms with units of `scenario`, by volume, native first."""
        return list(self._arms.get(scenario, ()))

    def contrasts(
        self, scenario: str, parameter: str, top: Param, bottom: Param
    ) -> Iterator[tuple[dict[str, str], Estimate]]:
        """Yield, for each arm, temperature and metric, the ratio of two values of a parameter, paired by block.

        The dict has the keys arm, temperature and metric. What was not measured with both values, or is
        not positive throughout (a difference may be lost in noise), is left out.
        """
        times = self.run.times
        if parameter not in times:
            return
        keys = ["arm", "temperature", "metric"]
        for names, rows in times[times["scenario"] == scenario].groupby(keys, observed=True):
            wide = rows.pivot_table(index="block", columns=parameter, values="value", observed=True)
            if {top, bottom} <= set(wide.columns):
                pairs = wide[[top, bottom]].dropna()
                if len(pairs) and bool((pairs > 0).all(axis=None)):
                    told = ratio(pairs[top].to_numpy(), pairs[bottom].to_numpy())
                    yield dict(zip(keys, map(str, names), strict=True)), told

    def paired(
        self, scenario: str, one: Wanted, other: Wanted, among: int = 1, controls: Sequence[Estimate] = ()
    ) -> Estimate | None:
        """Return by what factor `one` differs from `other`, paired by block; None where no block has both.

        Each names by column (arm, metric, depth, temperature, a parameter) the value that times of one cell have, in
        as many columns as it takes; raises ValueError where a block has several. With `among`, the interval is so wide
        that as many of them hold what they are of all together (Bonferroni). With `controls`, ratios between two of one
        kind, it holds what is drawn once in a run as well: see `bench.stats.between`.
        """
        times = self.run.times
        times = times[times["scenario"] == scenario]
        sides = []
        for wanted in (one, other):
            rows = times
            for column, value in wanted.items():
                rows = rows[rows[column] == (str(value) if column == "arm" else value)]
            if rows["block"].duplicated().any():
                raise ValueError(f"several cells match {dict(wanted)}")
            sides.append(rows.set_index("block")["value"])
        pairs = pd.concat(sides, axis=1, join="inner")
        values = (pairs.iloc[:, 0].to_numpy(), pairs.iloc[:, 1].to_numpy())
        confidence = 1 - (1 - CONFIDENCE) / among
        return allowing(ratio(*values, confidence), controls, confidence) if len(pairs) else None

    def between(self, controls: Sequence[Estimate]) -> float:
        """Return how far what is drawn once in a run sets two of one kind apart: see `bench.stats.between`."""
        return between(controls)

    def by_chance(self, missing: int, intervals: int) -> float:
        """Return how likely at least `missing` of so many intervals miss by chance what they should hold."""
        return float(special.bdtrc(missing - 1, intervals, 1 - CONFIDENCE))

    def depth(self, scenario: str, preferred: int) -> int:
        """Return `preferred` if `scenario` was measured at that depth, else its largest depth (0: none)."""
        found = {int(depth) for depth in self.units(scenario)["depth"].unique()}
        return preferred if preferred in found else max(found, default=0)

    def units(self, scenario: str) -> pd.DataFrame:
        """Return the rows of `Run.units` of `scenario`, failed ones too."""
        return self.run.units[self.run.units["scenario"] == scenario]

    def cell(self, scenario: str, arm: Arm, metric: str, **where: Param) -> Estimate | None:
        """Return the estimate of a metric in one cell, None if there is none.

        `where` is depth, temperature and parameters, as many as it takes to name one cell; raises
        ValueError if several match.
        """
        row = _only(self._cells.get((scenario, str(arm), metric), []), where)
        return None if row is None else _estimate(row, "value")

    def ratio(self, scenario: str, arm: Arm, metric: str, **where: Param) -> Estimate | None:
        """Return by what factor a cell differs from native; None and ValueError as for `cell`."""
        row = _only(self._ratios.get((scenario, str(arm), metric), []), where)
        return None if row is None or "ratio" not in row else _estimate(row, "ratio")

    def counter(self, scenario: str, arm: Arm, counter: str, **where: Param) -> Row | None:
        """Return the row of a counter in one cell by column; None and ValueError as for `cell`."""
        return _only(self._counters.get((scenario, str(arm), counter), []), where)

    def tally(self, scenario: str, arm: Arm, counter: str) -> tuple[int, int] | None:
        """Return (units whose counter was as expected, units) over all cells of an arm; None if it has none."""
        rows = self._counters.get((scenario, str(arm), counter), [])
        return (sum(row["matching"] for row in rows), sum(row["units"] for row in rows)) if rows else None

    def law(self, scenario: str, metric: str, x: str, arm: Arm, **where: Param) -> FittedLaw | None:
        """Return the law of `metric` over `x` on an arm whose own `where` has these; as for `cell`."""
        found = [
            told
            for told in self.laws
            if (told.scenario, told.law.metric, told.law.x, told.arm) == (scenario, metric, x, arm)
            and all(told.law.where.get(key) == value for key, value in where.items())
        ]
        if len(found) > 1:
            raise ValueError(f"{len(found)} laws of {metric} over {x} match {where}")
        return found[0] if found else None

    @functools.cached_property
    def _arms(self) -> dict[str, list[Arm]]:
        units = self.run.units[["scenario", "arm", "driver", "volume"]].drop_duplicates()
        arms: dict[str, list[tuple[str, bool, str]]] = {}
        for scenario, arm, driver, volume in units.itertuples(index=False):
            arms.setdefault(str(scenario), []).append((str(volume), driver != NATIVE, str(arm)))
        return {scenario: [self.run.arms[arm] for *_, arm in sorted(told)] for scenario, told in arms.items()}

    @functools.cached_property
    def _cells(self) -> _Index:
        return _index(self.cells, "metric")

    @functools.cached_property
    def _ratios(self) -> _Index:
        return _index(self.ratios, "metric")

    @functools.cached_property
    def _counters(self) -> _Index:
        return _index(self.counters, "counter")

    def _sorted(self, frame: pd.DataFrame, last: str) -> pd.DataFrame:
        place = frame["scenario"].map({name: index for index, name in enumerate(self.scenarios)}).astype("int64")
        other = (frame["driver"] != NATIVE).astype("int64")
        helper = frame.assign(_place=place, _other=other, _last=frame[last].astype(str))
        by = ["_place", "volume", "_other", "arm", "temperature", *self.run.parameters, "depth", "_last"]
        return frame.loc[helper.sort_values(by, kind="stable").index].reset_index(drop=True)


def _index(frame: pd.DataFrame, last: str) -> _Index:
    """Return the rows by scenario, arm and metric or counter, each without what it has not."""
    index: _Index = {}
    columns = list(frame.columns)
    present = frame.notna().to_numpy(dtype=bool)
    for values, known in zip(frame.astype(object).to_numpy(), present, strict=True):
        row = {column: value for column, value, has in zip(columns, values, known, strict=True) if has}
        index.setdefault((str(row["scenario"]), str(row["arm"]), str(row[last])), []).append(row)
    return index


def _matching(rows: Iterable[Row], where: Wanted) -> list[Row]:
    wanted = {key: value if isinstance(value, tuple) else (value,) for key, value in where.items()}
    return [row for row in rows if all(key in row and row[key] in values for key, values in wanted.items())]


def _only(rows: Sequence[Row], where: Wanted) -> Row | None:
    found = _matching(rows, where)
    if len(found) > 1:
        raise ValueError(f"{len(found)} cells match {dict(where)}; name depth, temperature and every parameter")
    return found[0] if found else None


def _estimate(row: Row, value: str) -> Estimate:
    """Return a row's estimate; the columns that are missing from it are NaN."""
    low, high = (float(row.get(key, "nan")) for key in ("low", "high"))
    return Estimate(float(row[value]), low, high, int(row["n"]), str(row["method"]))
