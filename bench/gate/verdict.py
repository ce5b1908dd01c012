"""What a gate says: one verdict per figure, and an exit status for all of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bench.errors import EXIT_INCONCLUSIVE, EXIT_REGRESSION

__all__ = ["GateResult", "GateVerdict", "Status", "Tier"]


class Tier(enum.StrEnum):
    """Where a verdict comes from."""

    COUNTERS = "counters"  # exact figures against a stored baseline, on any machine
    TIMES = "times"  # two arms interleaved in one run
    STORED = "stored times"  # ratios to native against a stored baseline, on the same machine


class Status(enum.StrEnum):
    """What one verdict says."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class GateVerdict:
    """One figure judged.

    `name` tells the figure within its scenario: `first_write overlay2@ext4 hot depth=8 size=4096`. `seen` and
    `expected` are for the reader, with units; `reason` is one sentence. `severity` orders the worst first: by what
    factor the figure is beyond what was allowed (1: just at it). One that does not block never fails the gate.
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
    """All verdicts of a gate; `warnings` are what a reader should know before any of them."""

    verdicts: tuple[GateVerdict, ...]
    inconclusive_fails: bool
    warnings: tuple[str, ...] = ()

    def worst_first(self) -> list[GateVerdict]:
        """Return the verdicts as they are shown: failures, then what is inconclusive, blocking ones before others."""
        order = {Status.FAIL: 0, Status.INCONCLUSIVE: 1, Status.PASS: 2}
        return sorted(
            self.verdicts,
            key=lambda one: (order[one.status], not one.blocking, -one.severity, one.scenario, one.name),
        )

    @property
    def exit_status(self) -> int:
        """0: pass, 1: a regression that blocks, 3: no regression, but something that blocks is inconclusive."""
        blocking = {one.status for one in self.verdicts if one.blocking}
        if Status.FAIL in blocking:
            return EXIT_REGRESSION
        if Status.INCONCLUSIVE in blocking and self.inconclusive_fails:
            return EXIT_INCONCLUSIVE
        return 0
