"""What the commands that compare arms share: the procedure of their numbers, and a run of comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.commands.options import session_of
from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.measure.compare import Comparison
    from bench.measure.plan import Plan
    from bench.measure.workshop import Work
    from bench.stats.paired import Procedure

__all__ = ["measured", "procedure_of"]

ALPHA_LEAST = 1e-9  # beyond, 1 - alpha is 1 to a computer; and nothing measured is that certain


def procedure_of(alpha: float, delta: float, pairs: int | None = None, *, mend: str = "") -> Procedure:
    """Return the procedure with these numbers; raises BenchError, with `mend`, where they make no sense."""
    from bench.stats.paired import LOOKS, Procedure

    mend = mend or "see `python -m bench ab --help`"
    if 0 < alpha < ALPHA_LEAST:
        raise BenchError(f"alpha is {alpha:g}", why=f"it must be at least {ALPHA_LEAST:g}", mend=mend)
    looks = LOOKS if pairs is None else (*(look for look in LOOKS if look < pairs), pairs)
    try:
        return Procedure(alpha, delta, looks)
    except ValueError as error:
        raise BenchError(str(error), mend=mend) from error


def measured(
    comparisons: Sequence[Comparison],
    plan: Plan,
    results: Path,
    workdir: Path | None,
    kind: str,
    *,
    quiet: bool,
    work: Work | None = None,
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
