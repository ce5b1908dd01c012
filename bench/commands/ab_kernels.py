"""The command ab where its arms name kernels: each side in guests, compared in instructions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import listed, print_json, session_of
from bench.errors import EXIT_INCONCLUSIVE, BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.guest.kernels import Kernel
    from bench.measure.compare import Comparison
    from bench.stats.exact import ExactAnswer
    from bench.store.reader import Run

__all__ = ["compare_kernels"]

SIDES = ("a", "b")


def compare_kernels(
    arms: tuple[str, str],
    named: Sequence[str | None],
    where: Mapping[str, str],
    params: Mapping[str, Any],
    results: Path,
    *,
    as_json: bool,
) -> int:
    """Measure both arms, each on its kernel, and print whether they differ; return the exit status of ab."""
    from bench.guest import archive
    from bench.measure import compare
    from bench.stats.exact import answer

    if None in named:
        raise BenchError(
            "one arm names a kernel and the other none", why="counts and times are no pair", fix="name both"
        )
    a, b = (re.sub(r",kernel=[^,]*", "", arm) for arm in arms)
    comparisons = compare.make(a, b, scenarios=listed(params["scenario"], str), where=where, metric=params["metric"])
    kernels = [archive.obtain(str(name)) for name in named]
    runs: list[Run] = []
    for side, kernel in zip(SIDES, kernels, strict=True):
        run = _measured(side, comparisons, kernel, params, results, quiet=as_json)
        if run is None:
            return EXIT_INCONCLUSIVE
        runs.append(run)
    counts = [[_counts(run, comparison) for run in runs] for comparison in comparisons]
    answers = [answer(*sides) for sides in counts]
    if as_json:
        documents = [_document(*each) for each in zip(comparisons, counts, answers, strict=True)]
        kernel_names = [kernel.release for kernel in kernels]
        told = {"runs": [run.id for run in runs], "arms": list(arms), "kernels": kernel_names}
        print_json({**told, "comparisons": documents})
    else:
        for comparison, sides, found in zip(comparisons, counts, answers, strict=True):
            click.echo(f"{comparison.scenario} {comparison.metric}: {arms[1]} against {arms[0]}")
            click.echo(f"  {found.word}, {found.ratio.value:.4f} times: {found.reason}")
            click.echo(f"  {min(sides[1]):,.1f} instructions against {min(sides[0]):,.1f}, the least of its boots")
        click.echo(f"rows: {', '.join(str(run.samples) for run in runs)}")
    return EXIT_INCONCLUSIVE if all(found.word == "inconclusive" for found in answers) else 0


def _measured(
    side: str,
    comparisons: Sequence[Comparison],
    kernel: Kernel,
    params: Mapping[str, Any],
    results: Path,
    *,
    quiet: bool,
) -> Run | None:
    """Measure the cells of one side; return the run, or None if units failed."""
    from bench.guest import boots
    from bench.measure.request import Request
    from bench.store.reader import load

    cells = [getattr(comparison, side) for comparison in comparisons]
    request = Request(
        "comparison",
        params["seed"],
        scenarios=tuple(cell.scenario for cell in cells),
        drivers=(cells[0].arm.stack,),
        volumes=(cells[0].arm.volume,),
    )
    context = session_of(results, None, 0.0, quiet=quiet)
    directory, status = boots.execute(
        boots.GuestRequest(request, params["boots"], cells=cells, kind=f"ab-{side}"), kernel, context
    )
    return None if status else load(directory)


def _counts(run: Run, comparison: Comparison) -> list[float]:
    """Return the judged metric of each boot."""
    times = run.times
    chosen = (times["scenario"] == comparison.scenario) & (times["metric"] == comparison.metric)
    return [float(value) for value in times[chosen].sort_values("block")["value"]]


def _document(comparison: Comparison, sides: Sequence[Sequence[float]], found: ExactAnswer) -> dict[str, Any]:
    """Return a comparison as a JSON object; an interval needs more than one boot."""
    ratio = found.ratio
    return {
        "scenario": comparison.scenario,
        "metric": comparison.metric,
        "word": found.word,
        "ratio": ratio.value,
        "interval": [ratio.low, ratio.high] if ratio.has_interval else None,
        "reason": found.reason,
        "counts": {"a": list(sides[0]), "b": list(sides[1])},
    }
