"""The command aa: a test of the suite's own verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.commands.comparing import measure_comparisons
from bench.commands.options import DIRECTORY, REPORTS_OPTION, RESULTS_OPTION, WORKDIR, directory_of, listed, session_of
from bench.errors import EXIT_USAGE, BenchError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.selftest.asked import Asked
    from bench.store.reader import Run

__all__ = ["aa"]

GATE_PAIRS = 24  # per comparison of equal arms: many small gates measure false alarms better than a few large ones
KIND = "aa"  # the run's kind in run.json
PREFIX = ("python", "-m", "bench", "aa")  # of the command in run.json
# Options that may be combined with --resume.
GOING_ON = {"resumed", "budget", "results", "reports", "workdir", "markdown", "pack"}
COMMAND_LINE = ParameterSource.COMMANDLINE


@click.command(short_help="Test the suite's own verdicts on this machine.")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--resume", "resumed", metavar="RUN", help="Go on with a run that has fewer verdicts than it asked for.")
@click.option("--quick", is_flag=True, help="Minutes: 20 gates, 5 trials of a delay of 10 %.")
@click.option("--gates", type=click.IntRange(0), help="Gates over equal arms. [default: 200]")
@click.option("--trials", type=click.IntRange(0), help="Comparisons for each known slowdown. [default: 40]")
@click.option("--share", "shares", multiple=True, type=float, help="Injected slowdowns. [default: 0.03 0.05 0.1 0.2]")
@click.option("--scenario", metavar="NAME,…", help="Only these scenarios.")
@click.option("--volume", metavar="NAME,…", default="ext4,xfs", show_default=True, help="On these volumes.")
@click.option("--pairs", type=int, metavar="N", help="Pairs of a comparison, at most. [default: 384]")
@click.option("--gate-pairs", type=int, default=GATE_PAIRS, show_default=True, help="And of one of equal arms.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Ask other tools about the same operation.")
@click.option("--peer-trials", type=click.IntRange(0), metavar="N", help="Of each. [default: half of --trials]")
@click.option(
    "--batch",
    type=click.IntRange(2),
    metavar="N",
    help="Their units a side. [default: 180 or 240; quick: 60]",
)
@click.option("--work/--no-work", default=True, show_default=True, help="Slow down by real work too.")
@click.option(
    "--different",
    type=click.IntRange(0),
    metavar="N",
    help="Pairs of different arms, in turns and one after the other. [default: 48; quick: 12]",
)
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Error of a gate.")
@click.option("--delta", type=float, default=0.03, show_default=True, help="Ratios within 1 + DELTA are the same.")
@click.option("--budget", metavar="TIME", help="Give up after this time. [default: 6h, quick: 8m]")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content and of all random orders.")
@click.option("--markdown", type=DIRECTORY, metavar="FILE", help="Write the page here in Markdown.")
@click.option("--pack", is_flag=True, help="Write the pairs of the page, 0.5 MB of a full run, beside its rows.")
@RESULTS_OPTION
@REPORTS_OPTION
@WORKDIR
def aa(
    run: str | None,
    resumed: str | None,
    results: Path,
    reports: Path,
    workdir: Path | None,
    markdown: Path | None,
    pack: bool,
    **params: Any,
) -> int:
    """Tell how often the suite raises a false alarm, and how small a slowdown it finds, on this machine.

    Without RUN it measures long streams of pairs of equal arms and of arms with a known difference, and cuts them
    into comparisons and gates; and some of arms that differ, in turns and one after the other.

    \b
    Examples:
      python -m bench aa --quick
      python -m bench aa --markdown docs/trust.md
      python -m bench aa RUN --pack
      python -m bench aa --resume RUN --budget 20m
    """  # noqa: D301  click wants the character, not its name
    from bench.selftest import pairs
    from bench.selftest.page import publish
    from bench.store.reader import load

    status = 0
    if run is not None:
        directory = directory_of(results, run)
    elif resumed is not None:
        directory, status = _go_on(directory_of(results, resumed), workdir)
    else:
        directory, status = _measure(_request(params), results, workdir)
    if status > EXIT_USAGE:
        return status
    loaded = load(directory)
    if pack:
        pairs.pack(loaded)
    published = publish(loaded, reports)
    text = "\n".join(published.lines) + "\n"
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
    click.echo(text, nl=False)
    click.echo(f"page: {published.page}")
    return status


def _request(params: dict[str, Any]) -> Asked:
    """Return the options as a request, with the preset's values for options that were not given."""
    from bench.model import parse_seconds
    from bench.selftest.asked import FULL, QUICK, Asked

    values = dict(params)
    for key, value in (QUICK if values.pop("quick") else FULL).items():
        if values[key] in {None, ()}:
            values[key] = value
    values["scenarios"], values["volumes"] = (listed(values.pop(key), str) for key in ("scenario", "volume"))
    return Asked(seconds=parse_seconds(values.pop("budget")), **values)


def _measure(request: Asked, results: Path, workdir: Path | None) -> tuple[Path, int]:
    from bench.selftest.stream import Streams

    work, plan = Streams(request.streams), request.plan(request.seconds)
    return measure_comparisons([], plan, results, workdir, KIND, quiet=False, work=work, facts=request.facts)


def _go_on(directory: Path, workdir: Path | None) -> tuple[Path, int]:
    """Continue the streams of a run with that run's own options, within the budget given now."""
    from bench.measure import session
    from bench.model import parse_seconds
    from bench.selftest.stream import Streams
    from bench.store.reader import load

    context = click.get_current_context()
    used = [param for param in context.command.params if context.get_parameter_source(param.name or "") is COMMAND_LINE]
    if rejected := [param.opts[0] for param in used if param.name not in GOING_ON]:
        raise BenchError(f"--resume takes no {', '.join(rejected)}", why="a run goes on with its own options")
    run = load(directory)
    request = _request_of(run)
    work = Streams(request.streams, run)
    if not work.open:
        raise BenchError(f"run {run.id} has all of its verdicts", fix="start a new one")
    budget = context.params["budget"]
    seconds = parse_seconds(budget) if budget else request.seconds
    plan = request.plan(run.provenance.seconds + seconds)
    session_context = session_of(directory.parent, workdir, seconds, quiet=False)
    return session.extend(run, plan, session_context, work, kind=KIND, **request.facts)


def _request_of(run: Run) -> Asked:
    """Return a run's request; raises BenchError if its streams would differ on this machine or in this version."""
    import msgspec

    from bench.gate.baseline import Machine
    from bench.host.fingerprint import fingerprint
    from bench.selftest.asked import Asked
    from bench.store.records import SCHEMA, Provenance

    provenance = run.provenance
    if provenance.kind != KIND:
        raise BenchError(f"run {run.id} does not test the suite", fix="`python -m bench run --resume` goes on with it")
    if difference := Machine.of(provenance).difference(Machine.of(Provenance(schema=SCHEMA, host=fingerprint()))):
        raise BenchError(f"run {run.id} is from another machine", why=difference, fix="start a new one")
    try:
        request = msgspec.convert(provenance.asked, Asked)
    except msgspec.ValidationError as error:
        raise BenchError(f"{run.directory / 'run.json'} does not say what was asked for", why=str(error)) from error
    if [stream.described() for stream in request.streams] != provenance.streams:
        raise BenchError(f"run {run.id} is from another version", why="its streams differ", fix="start a new one")
    return request
