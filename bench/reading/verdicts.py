"""Verdicts on the claims, from the findings of all scenarios of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.reading.analysis import Analysis
from bench.reading.claims import CLAIMS, Claim, Finding, Outcome
from bench.reading.contract import Reading

__all__ = ["ClaimVerdict", "verdicts"]


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim with all its findings and their common outcome."""

    claim: Claim
    outcome: Outcome
    findings: tuple[Finding, ...]


def verdicts(analysis: Analysis, readings: Mapping[str, Reading]) -> list[ClaimVerdict]:
    """Collect the findings of every scenario of the run, and return a verdict on each claim."""
    findings: dict[str, list[Finding]] = {claim.id: [] for claim in CLAIMS}
    for name in analysis.scenarios:
        reading = readings.get(name)
        for claim_id, judge in reading.claims.items() if reading else ():
            for finding in judge(analysis):
                findings[claim_id].append(Finding(finding.where, finding.outcome, finding.evidence, name))
    return [_sum_up(claim, findings[claim.id]) for claim in CLAIMS]


def _sum_up(claim: Claim, findings: list[Finding]) -> ClaimVerdict:
    outcomes = {finding.outcome for finding in findings} - {Outcome.UNTESTED}
    if not findings:
        findings = [Finding("", Outcome.UNTESTED, claim.untested)]
    if not outcomes:
        return ClaimVerdict(claim, Outcome.UNTESTED, tuple(findings))
    outcome = outcomes.pop() if len(outcomes) == 1 else Outcome.QUALIFIED
    return ClaimVerdict(claim, outcome, tuple(findings))
