"""Run comparisons: shared by the commands ab, gate and aa."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.commands.options import session_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.measure.compare import Comparison
    from bench.measure.plan import Plan
    from bench.measure.workshop import Workload

__all__ = ["measure_comparisons"]


def measure_comparisons(
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
    """Measure comparisons, or do `work` if given, as a new run; return its directory and exit status."""
    from bench.measure import session
    from bench.measure.compare import Compare

    context = session_of(results, workdir, plan.request.seconds, quiet=quiet)
    facts_of_run: dict[str, Any] = {"kind": kind, **(facts or {})}
    if comparisons:
        facts_of_run["comparisons"] = [comparison.described() for comparison in comparisons]
    workload = work or Compare(comparisons, plan)
    return session.start(plan, context, session.new_run_id(results, plan.request, kind), workload, **facts_of_run)
