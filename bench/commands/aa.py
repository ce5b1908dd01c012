"""The command aa: the suite tests its own verdicts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.commands.comparing import measured
from bench.commands.options import DIRECTORY, REPORTS_OPTION, RESULTS_OPTION, WORKDIR, directory_of, listed, session_of
from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.measure.plan import Plan
    from bench.measure.stream import Stream
    from bench.model import Skip
    from bench.store.reader import Run

__all__ = ["aa"]


@dataclass(frozen=True)
class Tested:
    """An operation whose verdicts are tested: a scenario, and the parameters of both sides.

    `work`: for an injected share, what B has instead where the same is done in real work (from the laws of lookup and
    copy_up as they were here: 0.4 µs a layer of 14 µs, 0.6 ms a MiB of 0.6 ms). `others` are arms that A is held
    against in turns and one after the other; so are A itself, the work of 10 % and A on the other volumes.
    """

    scenario: str
    where: Mapping[str, str] = field(default_factory=dict)
    work: Mapping[float, str] = field(default_factory=dict)
    others: Sequence[str] = ("overlay2,volatile=on@{volume}", "fuse-overlayfs@{volume}", "native@{volume}")


# Each scenario that gates, where its point is; first writes at two sizes.
TESTED = {
    "lookup": Tested(
        "lookup",
        work={0.05: "depth=34", 0.10: "depth=36", 0.20: "depth=40"},
        others=("overlay2@{volume},depth=64", "fuse-overlayfs@{volume}", "native@{volume}"),
    ),
    "first write, 4 KiB": Tested("copy_up", {"size": "4KiB"}),
    "first write, 1 MiB": Tested("copy_up", {"size": "1MiB"}, {0.10: "size=1200KiB", 0.20: "size=1400KiB"}),
    "unlink": Tested("whiteouts"),
}
# Where other tools are asked too, and units of a side: at least the time that ours takes to find PROMISED[0]. For
# larger delays they get half as many trials, of SHORT units; so does a tool that times whole programs.
PEERS = {"lookup": 180, "first write, 4 KiB": 180, "first write, 1 MiB": 240}
SHORT = 60
SHARES = (0.03, 0.05, 0.10, 0.20)
PROMISED = (0.05, 0.10)  # delays for which all trials are made; other shares, and real work, get a quarter of them
GATE_PAIRS = 24  # of a comparison of equal arms: many small gates tell more of false alarms than a few large ones
QUICK = {"gates": 20, "trials": 5, "shares": (0.10,), "different": 12, "batch": 60, "budget": "8m"}
KIND = "aa"  # of the run
PREFIX = ("python", "-m", "bench", "aa")  # of the command in run.json
GOING_ON = {"resumed", "budget", "results", "reports", "workdir", "markdown"}  # what may be said where a run goes on
COMMAND_LINE = ParameterSource.COMMANDLINE
FULL = {"gates": 200, "trials": 40, "shares": SHARES, "different": 48, "batch": None, "budget": "6h"}


@click.command()
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
    **asked: Any,
) -> int:
    """Tell how often the suite cries wolf, and how small a slowdown it finds, on this machine.

    Without RUN it measures long streams of pairs of equal arms and of arms with a known difference, and cuts them
    into comparisons and gates; and some of arms that differ, in turns and one after the other.

    \b
    Examples:
      python -m bench aa --quick
      python -m bench aa --markdown docs/trust.md
      python -m bench aa RUN
      python -m bench aa --resume RUN --budget 20m
    """  # noqa: D301  click wants the character, not its name
    from bench.report.product import publish_trust
    from bench.store.reader import load

    status = 0
    if run is None:
        directory, status = (
            _measure(asked, results, workdir) if resumed is None else _go_on(directory_of(results, resumed), workdir)
        )
        if status > 2:
            return status
    else:
        directory = directory_of(results, run)
    told = publish_trust(load(directory), reports)
    text = "\n".join(told.lines) + "\n"
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
    click.echo(text, nl=False)
    click.echo(f"page: {told.page}")
    return status


def _measure(asked: dict[str, Any], results: Path, workdir: Path | None) -> tuple[Path, int]:
    from bench.measure.stream import Streams
    from bench.model import parse_seconds

    wanted, streams, skips = _wanted(asked)
    plan = _plan(asked, streams, parse_seconds(wanted["budget"]))
    plan.skips += skips
    facts = _facts(asked, streams)
    return measured([], plan, results, workdir, KIND, quiet=False, work=Streams(streams), facts=facts)


def _go_on(directory: Path, workdir: Path | None) -> tuple[Path, int]:
    """Measure what the streams of a run lack, as that run was asked to, in the time that is given now."""
    from bench.measure import session
    from bench.measure.stream import Streams
    from bench.model import parse_seconds
    from bench.store.reader import load

    context = click.get_current_context()
    given = [one for one in context.command.params if context.get_parameter_source(one.name or "") is COMMAND_LINE]
    if others := [one.opts[0] for one in given if one.name not in GOING_ON]:
        raise BenchError(f"--resume takes no {', '.join(others)}", why="a run goes on with its own options")
    run = load(directory)
    asked, streams = _asked_of(run)
    work = Streams(streams, run)
    if not work.open:
        raise BenchError(f"run {run.id} has all of its verdicts", mend="start a new one")
    seconds = parse_seconds(context.params["budget"] or _wanted(asked)[0]["budget"])
    plan = _plan(asked, streams, run.provenance.seconds + seconds)
    where = session_of(directory.parent, workdir or asked["workdir"], seconds, quiet=False)
    return session.extend(run, plan, where, work, kind=KIND, **_facts(asked, streams))


def _asked_of(run: Run) -> tuple[dict[str, Any], list[Stream]]:
    """Return the options of a run's command and the streams that they mean here; refuse where these are not its own."""
    from bench.gate.baseline import Machine
    from bench.host.fingerprint import fingerprint
    from bench.store.records import SCHEMA, Provenance

    told = run.provenance
    if told.kind != KIND:
        raise BenchError(f"run {run.id} does not test the suite", mend="`python -m bench run --resume` goes on with it")
    if other := Machine.of(told).difference(Machine.of(Provenance(schema=SCHEMA, host=fingerprint()))):
        raise BenchError(f"run {run.id} is from another machine", why=other, mend="start a new one")
    try:
        asked = aa.make_context("aa", [str(word) for word in told.command[len(PREFIX) :]]).params
        _, streams, _ = _wanted(asked)
        same = _facts(asked, streams)["streams"] == told.streams
    except (KeyError, TypeError, click.ClickException) as error:
        raise BenchError(f"{run.directory / 'run.json'} does not say what was asked for", why=str(error)) from error
    if not same:
        raise BenchError(f"run {run.id} is from another version", why="its streams differ", mend="start a new one")
    return asked, streams


def _facts(asked: dict[str, Any], streams: list[Stream]) -> dict[str, Any]:
    """Return what run.json says of the streams."""
    return {"streams": [stream.described() for stream in streams], "alpha": asked["alpha"]}


def _plan(asked: dict[str, Any], streams: list[Stream], seconds: float) -> Plan:
    from bench.measure.compare import plan_of

    comparisons = [stream.comparison for stream in streams]
    return plan_of(comparisons, seed=asked["seed"], budget=seconds, rootless=os.geteuid() != 0)


def _wanted(asked: dict[str, Any]) -> tuple[dict[str, Any], list[Stream], list[Skip]]:
    """Return what was asked for, the presets' values where nothing was, the streams of it, and what cannot be here."""
    preset = QUICK if asked["quick"] else FULL
    wanted: dict[str, Any] = {key: value if asked[key] in {None, ()} else asked[key] for key, value in preset.items()}
    peers = asked["peer_trials"]
    wanted["peer_trials"] = -(-wanted["trials"] // 2) if peers is None else peers
    skips: list[Skip] = []
    streams = list(_streams(asked, wanted, skips))
    if not streams:
        raise BenchError(
            "nothing to test", why="no gates, no trials and no pairs of arms that differ", mend="ask for some"
        )
    return wanted, streams, skips


def _streams(asked: dict[str, Any], wanted: dict[str, Any], skips: list[Skip]) -> Iterator[Stream]:
    """Yield one stream of equal arms per point and volume, one per known slowdown, two per arm that differs.

    Adds the arms that cannot run here to `skips`.
    """
    from bench import discovery
    from bench.commands.comparing import procedure_of
    from bench.measure import compare
    from bench.measure.stream import Stream
    from bench.model import Skip
    from bench.stats.ways import DIFFERENT

    only = listed(asked["scenario"], str)
    for name in only:
        discovery.scenario(name)
    volumes = listed(asked["volume"], str)
    places = [
        (label, tested, volume)
        for label, tested in TESTED.items()
        for volume in volumes
        if not only or tested.scenario in only
    ]
    alpha, pairs = asked["alpha"] / max(len(places), 1), asked["pairs"]
    procedure = procedure_of(alpha, asked["delta"], pairs)
    small = procedure_of(alpha, asked["delta"], min(asked["gate_pairs"], procedure.cap))
    number = count()
    for label, tested, volume in places:
        arm = f"overlay2@{volume}"
        make = partial(compare.make, arm, scenarios=(tested.scenario,), where=dict(tested.where))
        cloned = tested.scenario == "copy_up" and discovery.volume(volume).clones  # then more bytes are no more work
        kinds = list(_kinds(wanted, tested.work if asked["work"] and not cloned else {}))
        if asked["peers"] and label in PEERS:
            kinds += _peers(wanted, PEERS[label], programs=volume == volumes[0])
        for kind, share, parameters, trials, more in kinds:
            if trials:
                judged = small if kind == "equal" else procedure
                (one,) = make(arm + parameters, procedure=judged, first=next(number))
                yield Stream(one, f"{label}, {volume}", kind, trials, share, **more)
        for other in _others(tested, volume, volumes) if wanted["different"] else ():
            try:
                both = [make(other, procedure=small, first=next(number), apart=apart) for apart in (False, True)]
            except BenchError as error:
                skips.append(Skip(f"{label}, {volume}: {other}", f"{error.what}: {error.why}", error.mend))
                continue
            for (one,) in both:
                yield Stream(one, f"{label}, {volume}", DIFFERENT, pairs=wanted["different"])


Kind = tuple[str, float, str, int, dict[str, Any]]  # kind, share, parameters of B, trials, and how it is measured


def _others(tested: Tested, volume: str, volumes: Sequence[str]) -> Iterator[str]:
    """Yield the arms that A is held against in turns and one after the other; of two volumes only once."""
    yield f"overlay2@{volume}"
    if PROMISED[1] in tested.work:
        yield f"overlay2@{volume},{tested.work[PROMISED[1]]}"
    yield from (text.format(volume=volume) for text in tested.others)
    yield from (f"overlay2@{other}" for other in volumes[volumes.index(volume) + 1 :])


def _kinds(wanted: dict[str, Any], work: Mapping[float, str]) -> Iterator[Kind]:
    """Yield the streams of pairs at one point."""
    trials = wanted["trials"]
    fewer = -(-trials // 4)
    yield "equal", 0.0, "", wanted["gates"], {}
    for share in wanted["shares"]:
        yield "delay", share, "", trials if share in PROMISED else fewer, {}
        if share in work:
            yield "work", share, f",{work[share]}", fewer, {}


def _peers(wanted: dict[str, Any], usual: int, *, programs: bool) -> Iterator[Kind]:
    """Yield the streams for other tools at one point, of `usual` units of a side unless others were asked for."""
    trials = wanted["peer_trials"]
    fewer = -(-trials // 2)
    size = wanted["batch"] or usual
    short = min(size, SHORT)
    shares = [share for share in wanted["shares"] if share in PROMISED] or [0.0]
    for share in dict.fromkeys((0.0, *shares)):
        kind = "delay" if share else "equal"
        if share <= shares[0]:
            yield kind, share, "", trials, {"batch": size}
        else:
            yield kind, share, "", fewer, {"batch": short}
        if programs:
            yield kind, share, "", fewer, {"batch": short, "program": True}
