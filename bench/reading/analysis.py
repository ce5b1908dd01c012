"""The analysis of a run: cells, ratios to native, counters and laws, with look-ups by name.

The report, the verdicts and the gate all use it, so that they have the same figures of a run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import special

from bench.model import NANOSECONDS, NATIVE, Arm, Param, volume_order
from bench.reading.laws import HasLaws, Law
from bench.stats.between import allowing, between
from bench.stats.estimate import CONFIDENCE, Estimate, ratio
from bench.stats.fit import Line, line
from bench.stats.frames import cell_frame, counter_frame, ratio_frame
from bench.stats.pooled import Pool
from bench.store.reader import Run

__all__ = ["Analysis", "FittedLaw", "Row", "Wanted"]

Row = Mapping[str, Any]
Wanted = Mapping[str, Any]  # by depth, temperature or parameter: a value, or a tuple that matches any of its values
# The standard deviation of the logarithm of a time between runs of 100 s on a shared host, beyond what a run's units
# show, and how it falls with the length of a run (docs/method.md).
BETWEEN_RUNS = 0.03
OF_SECONDS = 100.0
EXPONENT = -0.25
_Index = dict[tuple[str, str, str], list[Row]]


@dataclass(frozen=True)
class FittedLaw:
    """A scenario's law on one arm, with the line fitted to its cells."""

    scenario: str
    law: Law
    arm: Arm
    line: Line


class Analysis:
    """The analysis of a run. Frames are made on first use and shared: do not change them.

    All frames have the key columns scenario, arm, driver, stack, volume, depth, temperature and one
    column per parameter (missing if the scenario does not have it). They are sorted by scenario (in
    the scenarios' own order), volume, arm (native first), temperature, parameters, depth, metric.
    """

    def __init__(self, run: Run, readings: Mapping[str, HasLaws]) -> None:
        """Analyse `run`; `readings`, by name, give the order and laws of scenarios, and may lack some of the run's."""
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
        return self._sorted(cell_frame(self.run.times, self.run.parameters, self.between_runs**2), "metric")

    @functools.cached_property
    def ratios(self) -> pd.DataFrame:
        """One row per cell and metric of all arms except native, with the columns of `ratio_frame`."""
        return self._sorted(ratio_frame(self.run.times, self.run.parameters), "metric")

    @functools.cached_property
    def counters(self) -> pd.DataFrame:
        """One row per cell and counter, with the columns of `counter_frame`."""
        return self._sorted(counter_frame(self.run.counters, self.run.parameters), "counter")

    @functools.cached_property
    def laws(self) -> list[FittedLaw]:
        """Every law of every scenario with a reading, on every arm that has cells at three or more x."""
        asked = (
            (name, law, arm)
            for name in self.scenarios
            for law in (self._known[name].laws if name in self._known else ())
            for arm in self.arms(name)
        )
        return [FittedLaw(*law, fit) for law in asked if (fit := self._fit(*law)) is not None]

    def arms(self, scenario: str) -> list[Arm]:
        """Return the arms that have units of `scenario`, by volume (ext4 and xfs first), native first."""
        return list(self._arms.get(scenario, ()))

    def contrasts(
        self, scenario: str, parameter: str, numerator: Param, denominator: Param
    ) -> Iterator[tuple[dict[str, str], Estimate]]:
        """Yield, for each arm, temperature and metric, the ratio of two values of a parameter, paired by block.

        The dict has the keys arm, temperature and metric. A metric that was not measured with both values, or
        that is not always positive (a difference may be lost in noise), is left out.
        """
        times = self.run.times
        if parameter not in times:
            return
        keys = ["arm", "temperature", "metric"]
        for names, rows in times[times["scenario"] == scenario].groupby(keys, observed=True):
            wide = rows.pivot_table(index="block", columns=parameter, values="value", observed=True)
            if {numerator, denominator} <= set(wide.columns):
                pairs = wide[[numerator, denominator]].dropna()
                if len(pairs) and bool((pairs > 0).all(axis=None)):
                    estimate = ratio(pairs[numerator].to_numpy(), pairs[denominator].to_numpy())
                    yield dict(zip(keys, map(str, names), strict=True)), estimate

    def paired(
        self, scenario: str, cell: Wanted, base: Wanted, among: int = 1, controls: Sequence[Estimate] = ()
    ) -> Estimate | None:
        """Return the ratio of `cell` to `base`, paired by block; None if no block has both.

        Each selects the times of one cell by the values of as many columns (arm, metric, depth, temperature, a
        parameter) as are needed; raises ValueError if a block has several such times. The interval has the confidence
        that `among` such intervals need to be valid together (Bonferroni). With `controls`, ratios between two set-ups
        of the same kind, it also includes the variance between set-ups: see `bench.stats.between`.
        """
        times = self.run.times
        sides = []
        for conditions in (cell, base):
            names = (scenario, str(conditions.get("arm", "")), str(conditions.get("metric", "")))
            if {"arm", "metric"} <= conditions.keys():
                rows = self._units.get(names, times[:0])
            else:
                rows = times[times["scenario"] == scenario]
            for column, value in conditions.items():
                rows = rows[rows[column] == (str(value) if column == "arm" else value)]
            if rows["block"].duplicated().any():
                raise ValueError(f"several cells match {dict(conditions)}")
            sides.append(rows.set_index("block")["value"])
        pairs = pd.concat(sides, axis=1, join="inner")
        values = (pairs.iloc[:, 0].to_numpy(), pairs.iloc[:, 1].to_numpy())
        confidence = 1 - (1 - CONFIDENCE) / among
        return allowing(ratio(*values, confidence), controls, confidence) if len(pairs) else None

    def between(self, controls: Sequence[Estimate]) -> float:
        """Return the standard deviation between two set-ups of the same kind: see `bench.stats.between`."""
        return between(controls)

    def by_chance(self, missing: int, intervals: int) -> float:
        """Return the probability that at least `missing` of that many intervals miss their true value by chance."""
        return float(special.bdtrc(missing - 1, intervals, 1 - CONFIDENCE))

    def depth(self, scenario: str, preferred: int) -> int:
        """Return `preferred` if `scenario` was measured at that depth, else its largest depth; 0 if there is none."""
        depths = {int(depth) for depth in self.units(scenario)["depth"].unique()}
        return preferred if preferred in depths else max(depths, default=0)

    def units(self, scenario: str) -> pd.DataFrame:
        """Return the rows of `Run.units` of `scenario`, including failed units."""
        return self._by_scenario.get(scenario, self.run.units[:0])

    def cell(self, scenario: str, arm: Arm, metric: str, **where: Param) -> Estimate | None:
        """Return the estimate of a metric in one cell; None if no cell matches.

        `where` gives depth, temperature and parameters, as many as are needed to select one cell; raises
        ValueError if several match.
        """
        row = _only(self._cells.get((scenario, str(arm), metric), []), where)
        return None if row is None else _estimate(row, "value")

    def ratio(self, scenario: str, arm: Arm, metric: str, **where: Param) -> Estimate | None:
        """Return the ratio of a cell to native; None and ValueError as for `cell`."""
        row = _only(self._ratios.get((scenario, str(arm), metric), []), where)
        return None if row is None or "ratio" not in row else _estimate(row, "ratio")

    def counter(self, scenario: str, arm: Arm, counter: str, **where: Param) -> Row | None:
        """Return the row of a counter in one cell; None and ValueError as for `cell`."""
        return _only(self._counters.get((scenario, str(arm), counter), []), where)

    def tally(self, scenario: str, arm: Arm, counter: str) -> tuple[int, int] | None:
        """Return (units whose counter is as expected, units) over all cells of an arm; None if it has no cell."""
        rows = self._counters.get((scenario, str(arm), counter), [])
        return (sum(row["matching"] for row in rows), sum(row["units"] for row in rows)) if rows else None

    def law(self, scenario: str, metric: str, x: str, arm: Arm, **where: Param) -> FittedLaw | None:
        """Return the law of `metric` over `x` on an arm that has these values in its `where`; otherwise as `cell`."""
        matching = [
            fit
            for fit in self.laws
            if (fit.scenario, fit.law.metric, fit.law.x, fit.arm) == (scenario, metric, x, arm)
            and all(fit.law.where.get(key) == value for key, value in where.items())
        ]
        if len(matching) > 1:
            raise ValueError(f"{len(matching)} laws of {metric} over {x} match {where}")
        return matching[0] if matching else None

    def _fit(self, scenario: str, law: Law, arm: Arm) -> Line | None:
        """Return the line through the units of a law's cells; None if they have fewer than three x, or no logarithm."""
        units = self._units.get((scenario, str(arm), law.metric))
        if units is None or law.x not in units:
            return None
        chosen = units[law.x].notna() & (units[law.x] <= law.up_to)
        for column, value in law.where.items():
            chosen &= units[column].isin(value if isinstance(value, tuple) else (value,))
        units = _with_both_ends(units[chosen], law.x)
        if len(units) == 0 or not units["value"].min() > 0:
            return None
        keys = ["depth", "temperature", *self.run.parameters]
        cells = units.groupby(keys, dropna=False, observed=True, sort=True)[law.x]
        pool = Pool(units["value"], cells.ngroup(), units["block"], self.between_runs**2, units["disturbed"])
        return line(pool, cells.first().to_numpy(dtype=float))

    @property
    def time_unit(self) -> str:
        """What the run's clock counted: nanoseconds, or instructions of a guest."""
        return self.run.time_unit

    @functools.cached_property
    def between_runs(self) -> float:
        """The standard deviation of the logarithm of a time between runs of this length; 0 while it is measured.

        Counted instructions do not depend on the host, and have none.
        """
        seconds = self.run.provenance.seconds
        if self.time_unit != NANOSECONDS or seconds <= 0:
            return 0.0
        return float(BETWEEN_RUNS * (seconds / OF_SECONDS) ** EXPONENT)

    @functools.cached_property
    def _by_scenario(self) -> dict[str, pd.DataFrame]:
        """The rows of `Run.units` by scenario."""
        return {str(name): rows for name, rows in self.run.units.groupby("scenario", observed=True)}

    @functools.cached_property
    def _units(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """The rows of `Run.times` by scenario, arm and metric."""
        groups = self.run.times.groupby(["scenario", "arm", "metric"], observed=True)
        return {(str(scenario), str(arm), str(metric)): rows for (scenario, arm, metric), rows in groups}

    @functools.cached_property
    def _arms(self) -> dict[str, list[Arm]]:
        units = self.run.units[["scenario", "arm", "driver", "volume"]].drop_duplicates()
        arms: dict[str, list[tuple[tuple[bool, str], bool, str]]] = {}
        for scenario, arm, driver, volume in units.itertuples(index=False):
            arms.setdefault(str(scenario), []).append((volume_order(str(volume)), driver != NATIVE, str(arm)))
        return {scenario: [self.run.arms[arm] for *_, arm in sorted(keys)] for scenario, keys in arms.items()}

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
        order = frame["scenario"].map({name: index for index, name in enumerate(self.scenarios)}).astype("int64")
        volume, other = frame["volume"].astype(str).map(volume_order), (frame["driver"] != NATIVE).astype("int64")
        helper = frame.assign(_place=order, _volume=volume, _other=other, _last=frame[last].astype(str))
        by = ["_place", "_volume", "_other", "arm", "temperature", *self.run.parameters, "depth", "_last"]
        return frame.loc[helper.sort_values(by, kind="stable").index].reset_index(drop=True)


def _index(frame: pd.DataFrame, last: str) -> _Index:
    """Return the rows by scenario, arm and metric or counter, each without its missing columns."""
    index: _Index = {}
    columns = list(frame.columns)
    present = frame.notna().to_numpy(dtype=bool)
    for values, flags in zip(frame.astype(object).to_numpy(), present, strict=True):
        row = {column: value for column, value, has in zip(columns, values, flags, strict=True) if has}
        index.setdefault((str(row["scenario"]), str(row["arm"]), str(row[last])), []).append(row)
    return index


def _matching(rows: Iterable[Row], where: Wanted) -> list[Row]:
    wanted = {key: value if isinstance(value, tuple) else (value,) for key, value in where.items()}
    return [row for row in rows if all(key in row and row[key] in values for key, values in wanted.items())]


def _only(rows: Sequence[Row], where: Wanted) -> Row | None:
    matching = _matching(rows, where)
    if len(matching) > 1:
        raise ValueError(f"{len(matching)} cells match {dict(where)}; name depth, temperature and every parameter")
    return matching[0] if matching else None


def _estimate(row: Row, value: str) -> Estimate:
    """Return the estimate of a row; a bound that is missing is NaN."""
    low, high = (float(row.get(key, "nan")) for key in ("low", "high"))
    return Estimate(float(row[value]), low, high, int(row["n"]), str(row["method"]))


def _with_both_ends(units: pd.DataFrame, x: str) -> pd.DataFrame:
    """Return the units of the blocks that have the smallest and the largest `x`; all units if no block has both.

    Blocks for figures have some of a law's cells only. If the host is slower in these, the time at those cells rises,
    and the slope changes.
    """
    low, high = units[x].min(), units[x].max()
    blocks = set(units.loc[units[x] == low, "block"]) & set(units.loc[units[x] == high, "block"])
    return units[units["block"].isin(blocks)] if blocks else units
