"""The command ab: compare two arms."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bench.commands.comparing import measure_comparisons
from bench.commands.options import JSON, RESULTS_OPTION, WORKDIR, list_option, listed, print_json
from bench.errors import EXIT_INCONCLUSIVE, BenchError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.stats.compared import Compared
    from bench.stats.estimate import Estimate

__all__ = ["ab"]

BUDGET = "2m"  # for all comparisons together


@click.command(short_help="Tell whether one arm is slower or faster than another.")
@click.argument("a", metavar="ARM")
@click.argument("b", metavar="ARM")
@list_option("--scenario", metavar="NAME,…", help="Only these scenarios. [default: all whose times are compared]")
@click.option("--metric", metavar="NAME", help="Judge this metric. [default: the scenario's own]")
@click.option("--depth", metavar="N", help="Layers of both arms.")
@click.option("--size", metavar="SIZE", help="File size for both arms: 4KiB, 1MiB.")
@click.option("--temperature", metavar="NAME", help="hot, new or cold, for both arms.")
@click.option("--set", "others", multiple=True, metavar="PARAMETER=VALUE", help="Any other parameter; repeatable.")
@click.option("--delta", type=float, default=0.03, show_default=True, help="Ratios within 1 + DELTA are the same.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Error of the answer, over all looks.")
@click.option("--pairs", type=int, metavar="N", help="Give up after N pairs. [default: 384]")
@click.option("--apart", is_flag=True, help="Run the units of a pair one after the other, not in turns.")
@click.option(
    "--boots", type=click.IntRange(1, 999), default=3, show_default=True, help="Of each side, where arms name kernels."
)
@click.option("--budget", metavar="TIME", default=BUDGET, show_default=True, help="Give up after this time.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content and of all random orders.")
@RESULTS_OPTION
@WORKDIR
@JSON
def ab(a: str, b: str, as_json: bool, results: Path, workdir: Path | None, **params: Any) -> int:
    """Tell whether the second ARM is slower or faster than the first, and by how much.

    An arm is DRIVER[,option=value…]@VOLUME[,parameter=value…]; the parameter mkfs is an argument for mkfs.
    Pairs of fresh units are measured until it is known; a difference is confirmed on new volumes. The two
    of a pair run in turns, which takes fewer pairs but shares the processor's caches (docs/trust.md says what
    that changes). Exit status: 0 with an answer, 3 if all is inconclusive.

    With the parameter kernel (a version, or the path of a bzImage) for both arms, each runs on its kernel in guests
    whose clock counts instructions; a seed gives the same counts each time.

    \b
    Examples:
      python -m bench ab overlay2@ext4 overlay2,volatile=on@ext4 --scenario copy_up --size 4KiB
      python -m bench ab overlay2@ext4,depth=64 overlay2@ext4,depth=10 --scenario lookup
      python -m bench ab fuse-overlayfs@xfs fuse-overlayfs,binary=./fuse-overlayfs@xfs
      python -m bench ab overlay2@ext4,kernel=6.1 overlay2@ext4,kernel=7.2 --scenario lookup
      python -m bench ab overlay2@ext4 "overlay2@ext4,mkfs=-O ^has_journal" --scenario copy_up
    """  # noqa: D301  click wants the character, not its name
    from bench.measure.arms import parse_arm
    from bench.model import parse_seconds

    kernels = [parse_arm(arm)[1].get("kernel") for arm in (a, b)]  # reports errors before the slow imports
    if any(kernels):
        from bench.commands.ab_kernels import compare_kernels

        return compare_kernels((a, b), kernels, _parameters(params), params, results, as_json=as_json)
    from bench.measure import compare
    from bench.stats.compared import compared
    from bench.store.reader import load

    rootless = os.geteuid() != 0
    comparisons = compare.make(
        a,
        b,
        scenarios=listed(params["scenario"], str),
        where=_parameters(params),
        metric=params["metric"],
        procedure=compare.procedure_of(params["alpha"], params["delta"], params["pairs"]),
        apart=params["apart"],
        rootless=rootless,
    )
    plan = compare.plan_of(comparisons, seed=params["seed"], budget=parse_seconds(params["budget"]), rootless=rootless)
    directory, status = measure_comparisons(comparisons, plan, results, workdir, "ab", quiet=as_json)
    if status:
        return status
    answers = compared(load(directory))
    if as_json:
        print_json({"run": directory.name, "comparisons": [as_document(answer) for answer in answers]})
    else:
        for answer in answers:
            click.echo(text_of(answer))
        click.echo(f"rows: {directory / 'samples.jsonl'}")
    return EXIT_INCONCLUSIVE if all(answer.verdict.word == "inconclusive" for answer in answers) else 0


def _parameters(params: dict[str, Any]) -> dict[str, str]:
    """Return the parameters given for both arms."""
    parameters = {key: params[key] for key in ("depth", "size", "temperature") if params[key] is not None}
    for text in params["others"]:
        key, equals, value = text.partition("=")
        if not equals:
            raise BenchError(f"{text!r} is not PARAMETER=VALUE", fix="write it like --set position=top")
        parameters[key] = value
    return parameters


def as_document(answer: Compared) -> dict[str, Any]:
    """Return a comparison as a JSON object."""
    verdict, control = answer.verdict, answer.control
    return {
        "scenario": answer.scenario,
        "metric": answer.metric,
        "a": answer.a,
        "b": answer.b,
        "where": answer.where,
        "word": verdict.word.value,
        "ratio": _estimate(verdict.ratio),
        "p": verdict.p,
        "pairs": verdict.pairs,
        "units_of_a_pair": answer.way,
        "reason": verdict.reason,
        "times": [_estimate(estimate) for estimate in answer.times] if answer.times else None,
        "control": {"word": control.word, "ratio": _estimate(control.ratio), "pairs": control.pairs},
        "failed_units": answer.failed,
        "without_effect": list(answer.without_effect),
        "seconds": round(answer.seconds, 3),
    }


def _estimate(estimate: Estimate) -> list[float] | None:
    """Return [value, low, high]; None if there is no interval."""
    return [estimate.value, estimate.low, estimate.high] if estimate.has_interval else None


def text_of(answer: Compared) -> str:
    """Return a comparison as text, with pairs, p and control."""
    verdict, control = answer.verdict, answer.control
    arms = f"{answer.b} against {answer.a} ({answer.where})"
    lines = [f"{answer.scenario} {answer.metric}: {arms}", f"  {answer.sentence()}"]
    if answer.times:
        a, b = (estimate.text("ns") for estimate in answer.times)
        lines.append(
            f"  {a} against {b}, {verdict.pairs} pairs, {answer.way}, in {answer.seconds:.1f} s, p = {verdict.p:.2g}"
        )
    if answer.control_moved:
        lines.append(f"  the control moved: a plain directory beside itself came out {control.ratio.text('×')}")
    elif control.ratio.n:
        lines.append(f"  control: a plain directory beside itself {control.ratio.text('×')}")
    lines += [f"  {text}" for text in answer.without_effect]
    if answer.failed:
        lines.append(f"  {answer.failed} units failed; their rows say why")
    return "\n".join(lines)
