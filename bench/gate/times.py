"""What a run's comparisons say: arms interleaved in one job, judged together."""

from __future__ import annotations

from collections.abc import Sequence

from bench.gate.config import GateConfig
from bench.gate.verdict import GateVerdict, Status, Tier
from bench.stats.compared import Compared
from bench.stats.paired import Word

__all__ = ["judge_times"]


def judge_times(told: Sequence[Compared], config: GateConfig) -> list[GateVerdict]:
    """Judge every comparison: it fails if B is slower, on a fresh set-up again, beyond doubt among all that block.

    All verdicts that block share the error alpha evenly (Bonferroni), over all runs that are judged together; one that
    does not block is judged for itself. A run's own comparisons were measured until they knew at that level already.
    """
    family = max(sum(config.blocks(one.scenario) for one in told), 1)
    levels = [config.alpha / (family if config.blocks(one.scenario) else 1) for one in told]
    return [_judged(one, config, stands=one.verdict.p <= level) for one, level in zip(told, levels, strict=True)]


def _judged(told: Compared, config: GateConfig, *, stands: bool) -> GateVerdict:
    verdict, bound = told.verdict, 1 + told.procedure.delta
    if verdict.word is Word.SLOWER:
        status = Status.FAIL if stands else Status.INCONCLUSIVE
    else:
        status = Status.INCONCLUSIVE if verdict.word is Word.INCONCLUSIVE else Status.PASS
    reason = verdict.reason or told.verdict.word.value
    if verdict.word is Word.SLOWER and not stands:
        reason = f"slower, but not beyond doubt among all that this gate judges (p = {verdict.p:.2g})"
    if told.control_moved:
        reason += f"; the control moved too, to {told.control.ratio.text('×')}: read it with care"
    if told.failed:
        reason += f"; {told.failed} units failed"
    return GateVerdict(
        scenario=told.scenario,
        name=told.name,
        tier=Tier.TIMES,
        status=status,
        blocking=config.blocks(told.scenario),
        seen=f"{verdict.ratio.text('×')} in {verdict.pairs} pairs" if verdict.ratio.n else "no pair",
        expected=f"at most {bound:.3g}×",
        reason=reason,
        severity=verdict.ratio.value / bound if status is Status.FAIL else 0.0,
    )
