"""The command ab: whether two arms differ, and by how much."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bench.commands.comparing import measured
from bench.commands.options import JSON, RESULTS_OPTION, WORKDIR, listed, print_json
from bench.errors import EXIT_INCONCLUSIVE, BenchError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.stats.compared import Compared
    from bench.stats.estimate import Estimate

__all__ = ["ab"]

BUDGET = "2m"  # of ab, for all its comparisons


@click.command()
@click.argument("a", metavar="ARM")
@click.argument("b", metavar="ARM")
@click.option("--scenario", metavar="NAME,…", help="Only these scenarios. [default: all whose times are compared]")
@click.option("--metric", metavar="NAME", help="Judge this metric. [default: the scenario's own]")
@click.option("--depth", metavar="N", help="Layers of both arms.")
@click.option("--size", metavar="SIZE", help="File size for both arms: 4KiB, 1MiB.")
@click.option("--temperature", metavar="NAME", help="hot, new or cold, for both arms.")
@click.option("--set", "others", multiple=True, metavar="PARAMETER=VALUE", help="Any other parameter; repeatable.")
@click.option("--delta", type=float, default=0.03, show_default=True, help="Ratios within 1 + DELTA are the same.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Error of the answer, over all looks.")
@click.option("--pairs", type=int, metavar="N", help="Give up after N pairs. [default: 384]")
@click.option("--apart", is_flag=True, help="Run the units of a pair one after the other, not in turns.")
@click.option("--budget", metavar="TIME", default=BUDGET, show_default=True, help="Give up after this time.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content and of all random orders.")
@RESULTS_OPTION
@WORKDIR
@JSON
def ab(a: str, b: str, as_json: bool, results: Path, workdir: Path | None, **asked: Any) -> int:
    """Tell whether the second ARM is slower or faster than the first, and by how much.

    An arm is DRIVER[,option=value…]@VOLUME[,parameter=value…]; the parameter mkfs is an argument for mkfs.
    Pairs of fresh units are measured until it is known; a difference is confirmed on new volumes. The two
    of a pair run in turns, which takes fewer pairs but shares the processor's caches (docs/trust.md says what
    that changes). Exit status: 0 with an answer, 3 if all is inconclusive.

    \b
    Examples:
      python -m bench ab overlay2@ext4 overlay2,volatile=on@ext4 --scenario copy_up --size 4KiB
      python -m bench ab overlay2@ext4,depth=64 overlay2@ext4,depth=10 --scenario lookup
      python -m bench ab fuse-overlayfs@xfs fuse-overlayfs,binary=./fuse-overlayfs@xfs
      python -m bench ab overlay2@ext4 "overlay2@ext4,mkfs=-O ^has_journal" --scenario copy_up
    """  # noqa: D301  click wants the character, not its name
    from bench.measure.arms import parse_arm
    from bench.model import parse_seconds

    for arm in (a, b):
        parse_arm(arm)  # refused before anything heavy is imported
    from bench.measure import compare
    from bench.stats.compared import compared
    from bench.store.reader import load

    rootless = os.geteuid() != 0
    comparisons = compare.make(
        a,
        b,
        scenarios=listed(asked["scenario"], str),
        where=_where(asked),
        metric=asked["metric"],
        procedure=compare.procedure_of(asked["alpha"], asked["delta"], asked["pairs"]),
        apart=asked["apart"],
        rootless=rootless,
    )
    plan = compare.plan_of(comparisons, seed=asked["seed"], budget=parse_seconds(asked["budget"]), rootless=rootless)
    directory, status = measured(comparisons, plan, results, workdir, "ab", quiet=as_json)
    if status:
        return status
    told = compared(load(directory))
    if as_json:
        print_json({"run": directory.name, "comparisons": [answer(one) for one in told]})
    else:
        for one in told:
            click.echo(text_of(one))
        click.echo(f"rows: {directory / 'samples.jsonl'}")
    return EXIT_INCONCLUSIVE if all(one.verdict.word == "inconclusive" for one in told) else 0


def _where(asked: dict[str, Any]) -> dict[str, str]:
    """Return the parameters that both arms get."""
    where = {key: asked[key] for key in ("depth", "size", "temperature") if asked[key] is not None}
    for text in asked["others"]:
        key, equals, value = text.partition("=")
        if not equals:
            raise BenchError(f"{text!r} is not PARAMETER=VALUE", fix="write it like --set position=top")
        where[key] = value
    return where


def answer(told: Compared) -> dict[str, Any]:
    """Return a comparison as JSON."""
    verdict = told.verdict
    return {
        "scenario": told.scenario,
        "metric": told.metric,
        "a": told.a,
        "b": told.b,
        "where": told.where,
        "word": verdict.word.value,
        "ratio": _estimate(verdict.ratio),
        "p": verdict.p,
        "pairs": verdict.pairs,
        "units_of_a_pair": told.way,
        "reason": verdict.reason,
        "times": [_estimate(one) for one in told.times] if told.times else None,
        "control": {"word": told.control.word, "ratio": _estimate(told.control.ratio), "pairs": told.control.pairs},
        "failed_units": told.failed,
        "without_effect": list(told.without_effect),
        "seconds": round(told.seconds, 3),
    }


def _estimate(told: Estimate) -> list[float] | None:
    """Return [value, low, high]; None where nothing was told yet."""
    return [told.value, told.low, told.high] if told.has_interval else None


def text_of(told: Compared) -> str:
    """Return a comparison for a reader, with what it rests on."""
    verdict, control = told.verdict, told.control
    lines = [f"{told.scenario} {told.metric}: {told.b} against {told.a} ({told.where})", f"  {told.sentence()}"]
    if told.times:
        a, b = (one.text("ns") for one in told.times)
        lines.append(
            f"  {a} against {b}, {verdict.pairs} pairs, {told.way}, in {told.seconds:.1f} s, p = {verdict.p:.2g}"
        )
    if told.control_moved:
        lines.append(f"  the control moved: a plain directory beside itself came out {control.ratio.text('×')}")
    elif control.ratio.n:
        lines.append(f"  control: a plain directory beside itself {control.ratio.text('×')}")
    lines += [f"  {text}" for text in told.without_effect]
    if told.failed:
        lines.append(f"  {told.failed} units failed; their rows say why")
    return "\n".join(lines)
