"""The result of a gate: one verdict per figure, and an exit status for all of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bench.errors import EXIT_INCONCLUSIVE, EXIT_REGRESSION

__all__ = ["GateResult", "GateVerdict", "Status", "Tier"]


class Tier(enum.StrEnum):
    """The kind of data that a verdict is based on."""

    COUNTERS = "counters"  # exact figures against a stored baseline, on any machine
    TIMES = "times"  # two arms interleaved in one run
    EXACT = "instructions"  # counts of a kernel in a guest against a stored baseline, on any machine
    STORED = "stored times"  # ratios to native against a stored baseline, on the same machine


class Status(enum.StrEnum):
    """The outcome of one verdict."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class GateVerdict:
    """The verdict on one figure.

    `name` is the figure within its scenario: `first_write overlay2@ext4 hot depth=8 size=4096`. `seen` and `expected`
    are texts with units; `reason` is one sentence. `severity`, for sorting, is the factor by which the figure exceeds
    what is allowed (1: just at the limit). A verdict that is not `blocking` never fails the gate.
    """

    scenario: str
    name: str
    tier: Tier
    status: Status
    blocking: bool
    seen: str
    expected: str
    reason: str
    severity: float = 0.0


@dataclass(frozen=True)
class GateResult:
    """All verdicts of a gate; `warnings` are shown before them."""

    verdicts: tuple[GateVerdict, ...]
    inconclusive_fails: bool
    warnings: tuple[str, ...] = ()

    def worst_first(self) -> list[GateVerdict]:
        """Return the verdicts as shown: failures, inconclusive ones, passes; in each, blocking ones first."""
        order = {Status.FAIL: 0, Status.INCONCLUSIVE: 1, Status.PASS: 2}
        by_name = sorted(self.verdicts, key=lambda verdict: (verdict.scenario, verdict.name))
        return sorted(by_name, key=lambda verdict: (order[verdict.status], not verdict.blocking, -verdict.severity))

    @property
    def exit_status(self) -> int:
        """0: pass; 1: a blocking regression; 3: no regression, but a blocking inconclusive verdict fails."""
        blocking = {verdict.status for verdict in self.verdicts if verdict.blocking}
        if Status.FAIL in blocking:
            return EXIT_REGRESSION
        if Status.INCONCLUSIVE in blocking and self.inconclusive_fails:
            return EXIT_INCONCLUSIVE
        return 0
