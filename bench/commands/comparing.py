"""What the commands that compare arms share: a run of comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.commands.options import session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.measure.compare import Comparison
    from bench.measure.plan import Plan
    from bench.measure.workshop import Workload

__all__ = ["measured"]


def measured(
    comparisons: Sequence[Comparison],
    plan: Plan,
    results: Path,
    workdir: Path | None,
    kind: str,
    *,
    quiet: bool,
    work: Workload | None = None,
    facts: Mapping[str, Any] | None = None,
) -> tuple[Path, int]:
    """Measure comparisons (or do other `work` on the plan) as a new run; return its directory and exit status."""
    from bench.measure import session
    from bench.measure.compare import Compare

    where = session_of(results, workdir, plan.request.seconds, quiet=quiet)
    told: dict[str, Any] = {"kind": kind, **(facts or {})}
    if comparisons:
        told["comparisons"] = [one.described() for one in comparisons]
    task = work or Compare(comparisons, plan)
    return session.start(plan, where, session.new_run_id(plan.request, kind), task, **told)
