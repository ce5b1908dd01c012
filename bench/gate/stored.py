"""Verdicts on a run's ratios to native against those of another run on the same machine; times are not compared."""

from __future__ import annotations

from bench.gate.baseline import Baseline, Machine, Ratio, timed
from bench.gate.config import GateConfig, StoredTimes
from bench.gate.figures import Figure
from bench.gate.verdict import GateVerdict, Status, Tier
from bench.quantities import interval
from bench.reading.analysis import Analysis

__all__ = ["judge_stored_times"]


def judge_stored_times(
    baseline: Baseline, analysis: Analysis, config: GateConfig
) -> tuple[list[GateVerdict], list[str]]:
    """Judge the run's ratios to native against the baseline's if both are from the same machine.

    A ratio fails if the intervals do not overlap and it is more than 1 + delta times the stored one. Returns
    the verdicts and warnings.
    """
    if config.stored_times is StoredTimes.OFF or not baseline.ratios:
        return [], []
    if difference := Machine.of(analysis.run.provenance).difference(baseline.machine):
        return [], [f"stored times are not judged, the baseline is from another machine: {difference}"]
    ratios = timed(analysis)
    verdicts = [
        _judged(figure, ratios[figure], base, config) for figure, base in baseline.ratios.items() if figure in ratios
    ]
    missing = len(baseline.ratios) - len(verdicts)
    warning = f"{missing:,} of {len(baseline.ratios):,} stored ratios to native were not measured"
    return verdicts, [warning] if missing else []


def _judged(figure: Figure, seen: Ratio, base: Ratio, config: GateConfig) -> GateVerdict:
    allowed = base.value * (1 + config.delta_of(figure.scenario))
    apart = seen.low > base.high or seen.high < base.low
    slower = apart and seen.value > allowed
    if slower:
        reason = "more beside native than in the baseline, and the intervals do not overlap"
    elif apart and seen.value < base.value:
        reason = "less beside native than in the baseline: update it if meant"
    elif apart:
        reason = "more than in the baseline, by no more than delta"
    else:
        reason = "the intervals overlap"
    return GateVerdict(
        scenario=figure.scenario,
        name=figure.name,
        tier=Tier.STORED,
        status=Status.FAIL if slower else Status.PASS,
        blocking=config.stored_times is StoredTimes.BLOCKING and config.blocks(figure.scenario),
        seen=f"{interval(seen.value, seen.low, seen.high, '×')} native",
        expected=f"{interval(base.value, base.low, base.high, '×')} native",
        reason=reason,
        severity=seen.value / allowed if slower else 0.0,
    )
