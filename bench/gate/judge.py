"""Verdicts on counters and mount options against a baseline; these figures are exact on any machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bench.gate.baseline import Baseline, Machine, counted
from bench.gate.config import GateConfig
from bench.gate.figures import Figure
from bench.gate.mounted import mount_options
from bench.gate.ranges import Range, severity, words
from bench.gate.verdict import GateVerdict, Status, Tier
from bench.reading.analysis import Analysis

__all__ = ["judge_counters"]

Names = dict[str, set[str]]


def judge_counters(baseline: Baseline, analysis: Analysis, config: GateConfig) -> list[GateVerdict]:
    """Judge every counter and mount option that both the baseline and the run have.

    For figures that only one of them has, one verdict per scenario and arm tells their number; it never blocks.
    """
    counters, options = counted(analysis), mount_options(analysis.run.units)
    kernels = _kernels(baseline, analysis)
    verdicts = [
        _counter(figure, counters[figure], base, config, kernels)
        for figure, base in baseline.counters.items()
        if figure in counters
    ]
    verdicts += [
        _mounted(key, options[key], base, config, kernels) for key, base in baseline.options.items() if key in options
    ]
    return [*verdicts, *_unmatched(_by_arm(baseline.counters, baseline.options), _by_arm(counters, options))]


def _counter(figure: Figure, seen: Range, base: Range, config: GateConfig, kernels: str) -> GateVerdict:
    tolerance = config.tolerance_of(figure.scenario, figure.what)
    allowed = (base[0] - tolerance * abs(base[0]), base[1] + tolerance * abs(base[1]))
    below, above = seen[0] < allowed[0], seen[1] > allowed[1]
    status = Status.FAIL if below or above else Status.PASS
    if below and above:
        reason = "it varies more than in the baseline"
    elif below:
        reason = "less than the baseline: update it if meant"
    elif above:
        reason = "more than the baseline"
    else:
        reason = "within the baseline"
    if status is Status.FAIL:
        reason += kernels
    within = f" ± {100 * tolerance:.3g} %" if tolerance else ""
    return GateVerdict(
        scenario=figure.scenario,
        name=figure.name,
        tier=Tier.COUNTERS,
        status=status,
        blocking=config.blocks(figure.scenario),
        seen=words(seen, figure.what),
        expected=words(base, figure.what) + within,
        reason=reason,
        severity=severity(seen, allowed),
    )


def _mounted(key: str, seen: tuple[str, ...], base: tuple[str, ...], config: GateConfig, kernels: str) -> GateVerdict:
    """Judge the mount options of a scenario's arm: a run may lack options of the baseline, but have no others."""
    scenario, _, arm = key.partition(" ")
    new = [text for text in seen if text not in base]
    return GateVerdict(
        scenario=scenario,
        name=f"mount options {arm}",
        tier=Tier.COUNTERS,
        status=Status.FAIL if new else Status.PASS,
        blocking=config.blocks(scenario),
        seen="; ".join(new or seen),
        expected="; ".join(base),
        reason=f"mounted otherwise than in the baseline{kernels}" if new else "mounted as in the baseline",
        severity=1.0 if new else 0.0,
    )


def _unmatched(base: Names, measured: Names) -> Iterator[GateVerdict]:
    """Yield verdicts for figures that only the baseline or only the run has, which cannot be judged."""
    for key, names in base.items():
        others = measured.get(key, set())
        if missing := len(names - others):
            reason = f"{_figures(missing)} of the baseline not measured, so nothing is said of them"
            yield _incomparable(key, "not measured", len(names & others), len(names), reason)
    for key, names in measured.items():
        others = base.get(key, set())
        if new := len(names - others):
            reason = f"{_figures(new)} not in the baseline: make a new one to have them judged"
            yield _incomparable(key, "not in the baseline", len(names), len(others), reason)


def _incomparable(key: str, what: str, seen: int, base: int, reason: str) -> GateVerdict:
    scenario, _, arm = key.partition(" ")
    return GateVerdict(
        scenario=scenario,
        name=f"{arm}: {what}",
        tier=Tier.COUNTERS,
        status=Status.INCONCLUSIVE,
        blocking=False,
        seen=_figures(seen),
        expected=_figures(base),
        reason=reason,
    )


def _kernels(baseline: Baseline, analysis: Analysis) -> str:
    """Return a note for the reason of a changed counter if the kernels differ, else ""."""
    then, now = baseline.machine.kernel, Machine.of(analysis.run.provenance).kernel
    return "" if then == now else f" (the baseline's kernel is {then or 'unknown'}, this one {now or 'unknown'})"


def _by_arm(figures: Iterable[Figure], options: Iterable[str]) -> Names:
    """Return the names of figures by `SCENARIO ARM`; all mount options count as one figure."""
    names: Names = {}
    for figure in figures:
        names.setdefault(f"{figure.scenario} {figure.arm}", set()).add(figure.name)
    for key in options:
        names.setdefault(key, set()).add("mount options")
    return names


def _figures(count: int) -> str:
    return f"{count:,} figure{'' if count == 1 else 's'}"
