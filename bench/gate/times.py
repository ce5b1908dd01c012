"""Verdicts on the comparisons of runs, whose arms were interleaved in one job."""

from __future__ import annotations

from collections.abc import Sequence

from bench.gate.config import GateConfig
from bench.gate.verdict import GateVerdict, Status, Tier
from bench.stats.compared import Compared
from bench.stats.paired import Word

__all__ = ["judge_times"]


def judge_times(comparisons: Sequence[Compared], config: GateConfig) -> list[GateVerdict]:
    """Judge every comparison: it fails if B is slower, confirmed on a fresh set-up, at the level of this family.

    The blocking verdicts of all runs that are judged together share the error probability alpha evenly (Bonferroni); a
    verdict that does not block has its own alpha. The comparisons of one run were already measured to that level.
    """
    family = max(sum(config.blocks(comparison.scenario) for comparison in comparisons), 1)
    return [_judged(comparison, config, family) for comparison in comparisons]


def _judged(comparison: Compared, config: GateConfig, family: int) -> GateVerdict:
    verdict, bound = comparison.verdict, 1 + comparison.procedure.delta
    stands = verdict.p <= config.alpha / (family if config.blocks(comparison.scenario) else 1)
    if verdict.word is Word.SLOWER:
        status = Status.FAIL if stands else Status.INCONCLUSIVE
    else:
        status = Status.INCONCLUSIVE if verdict.word is Word.INCONCLUSIVE else Status.PASS
    reason = verdict.reason or verdict.word.value
    if verdict.word is Word.SLOWER and not stands:
        reason = f"slower, but not beyond doubt among all that this gate judges (p = {verdict.p:.2g})"
    if comparison.control_moved:
        reason += f"; the control moved too, to {comparison.control.ratio.text('×')}: read it with care"
    if comparison.failed:
        reason += f"; {comparison.failed} units failed"
    return GateVerdict(
        scenario=comparison.scenario,
        name=comparison.name,
        tier=Tier.TIMES,
        status=status,
        blocking=config.blocks(comparison.scenario),
        seen=f"{verdict.ratio.text('×')} in {verdict.pairs} pairs" if verdict.ratio.n else "no pair",
        expected=f"at most {bound:.3g}×",
        reason=reason,
        severity=verdict.ratio.value / bound if status is Status.FAIL else 0.0,
    )
