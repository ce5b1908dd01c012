"""Verdicts on a run's counters by what its scenarios expect, without a baseline."""

from __future__ import annotations

from collections.abc import Iterator

from bench.gate.config import GateConfig
from bench.gate.figures import Figure, rows
from bench.gate.ranges import severity, words
from bench.gate.verdict import GateVerdict, Status, Tier
from bench.reading.analysis import Analysis, Row

__all__ = ["judge_expectations"]


def judge_expectations(analysis: Analysis, config: GateConfig) -> tuple[list[GateVerdict], list[str]]:
    """Judge the run's counters by what its scenarios expect.

    Returns one failure per cell that has an unexpected count, one pass per scenario and arm that has none,
    and warnings of failed units, which no figure includes.
    """
    verdicts: list[GateVerdict] = []
    matching: dict[tuple[str, str], int] = {}  # number of counts as expected, by scenario and arm
    wrong: set[tuple[str, str]] = set()
    for row in rows(analysis.counters, compared=True):
        key = (str(row["scenario"]), str(row["arm"]))
        if row["matching"] != row["units"]:
            wrong.add(key)
            verdicts.append(_unexpected(row, analysis, config))
        elif row["expected"]:
            matching[key] = matching.get(key, 0) + int(row["units"])
    verdicts += [_as_expected(*key, counts, config) for key, counts in matching.items() if key not in wrong]
    return verdicts, list(_failed_units(analysis))


def _as_expected(scenario: str, arm: str, counts: int, config: GateConfig) -> GateVerdict:
    return GateVerdict(
        scenario=scenario,
        name=f"{arm}: counters as the suite expects",
        tier=Tier.COUNTERS,
        status=Status.PASS,
        blocking=config.blocks(scenario),
        seen=f"{counts:,} counts",
        expected=f"{counts:,} counts",
        reason="all are as expected",
    )


def _unexpected(row: Row, analysis: Analysis, config: GateConfig) -> GateVerdict:
    figure = Figure.of(row, "counter", analysis.run.parameters)
    seen, wrong, units = (float(row["minimum"]), float(row["maximum"])), row["units"] - row["matching"], row["units"]
    return GateVerdict(
        scenario=figure.scenario,
        name=f"{figure.name}, as the suite expects",
        tier=Tier.COUNTERS,
        status=Status.FAIL,
        blocking=config.blocks(figure.scenario),
        seen=words(seen, figure.what),
        expected=str(row["expected"]),
        reason=f"not as the scenario expects in {wrong} of {units} units; their rows say why",
        severity=severity(seen, (row.get("expected_low", seen[0]), row.get("expected_high", seen[1]))) or 1.0,
    )


def _failed_units(analysis: Analysis) -> Iterator[str]:
    units = analysis.run.units
    failed = units[units["error"] != ""]
    for scenario in analysis.scenarios:
        for arm in analysis.arms(scenario):
            errors = failed.loc[(failed["scenario"] == scenario) & (failed["arm"] == str(arm)), "error"]
            if len(errors):
                units_failed = f"{len(errors)} unit{'' if len(errors) == 1 else 's'} of {scenario} on {arm} failed"
                yield f"{units_failed} and tell no figure: {errors.iloc[0]}"
