"""The command run: measure, write the results and a page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import (
    BOOTS,
    JSON,
    REPORTS_OPTION,
    RESULTS_OPTION,
    WORKDIR,
    directory_of,
    list_option,
    listed,
    session_of,
)
from bench.commands.report import finish
from bench.errors import EXIT_USAGE, BenchError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measure.request import Request
    from bench.measure.workshop import RunContext

__all__ = ["run"]


@click.command(short_help="Measure, and say what was found.")
@click.option(
    "--profile", default="quick", show_default=True, help="quick (2 min), standard (14 min) or full (40 min)."
)
@click.option("--budget", metavar="TIME", help="Stop on time with the best precision that fits: 90s, 5m, 1h.")
@click.option(
    "--precision",
    metavar="SHARE",
    help="End before that if the units make all headline figures so precise. [default: 5%; standard, full: 2%]",
)
@list_option("--scenario", metavar="NAME,…", help="Only these scenarios.")
@click.option(
    "--driver", "drivers", multiple=True, metavar="DRIVER[,option=value…]", help="Only this driver; repeatable."
)
@list_option("--volume", metavar="NAME,…", help="Only these volumes. [default: where the drivers are at home]")
@list_option("--depth", metavar="N,…", help="These numbers of layers.")
@list_option("--size", metavar="SIZE,…", help="These file sizes: 0, 4KiB, 16MiB.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content and of all random orders.")
@click.option("--resume", "resumed", metavar="RUN", help="Go on with a run that was cut short.")
@click.option(
    "--kernel",
    metavar="VERSION|FILE",
    help="On this kernel, in guests whose clock counts instructions (`kernel list`).",
)
@click.option(
    "--boots",
    type=click.IntRange(1, 999),
    default=BOOTS,
    show_default=True,
    help="With --kernel: guests, a block each.",
)
@click.option("--memory", metavar="SIZE", help="With --kernel: of each guest. [default: 4GiB]")
@RESULTS_OPTION
@REPORTS_OPTION
@WORKDIR
@JSON
def run(as_json: bool, resumed: str | None, results: Path, reports: Path, workdir: Path | None, **params: Any) -> int:
    """Measure, write results/ and a page, and say what was found.

    \b
    Examples:
      python -m bench run
      python -m bench run --profile standard --seed 7
      python -m bench run --budget 5m --scenario copy_up,lookup --volume ext4
      python -m bench run --driver overlay2 --driver overlay2,metacopy=on --scenario copy_up
      python -m bench run --kernel 6.12 --scenario lookup,copy_up
      python -m bench run --resume 20260102T030405Z-quick-s1
    """  # noqa: D301  click wants the character, not its name
    from bench.measure import session

    request = _request(params)
    context = session_of(results, workdir, request.seconds, quiet=as_json)
    if params["kernel"] and resumed:
        raise BenchError("--resume goes on where it began", why="guests have no --resume", fix="leave out --kernel")
    if params["kernel"]:
        directory, status = _in_guests(request, context, params)
    elif resumed:
        directory, status = session.resume(directory_of(results, resumed), context)
    else:
        directory, status = session.execute(request, context)
    if status > EXIT_USAGE or not (directory / "samples.jsonl").stat().st_size:
        return status
    finish(directory, reports, as_json=as_json, suites=True)
    return status


def _in_guests(request: Request, context: RunContext, params: dict[str, Any]) -> tuple[Path, int]:
    from bench.guest import archive, boots
    from bench.model import parse_size

    kernel = archive.obtain(params["kernel"])
    memory = parse_size(params["memory"]) >> 20 if params["memory"] else boots.MEMORY_MIB
    return boots.execute(boots.GuestRequest(request, params["boots"], memory), kernel, context)


def _request(params: dict[str, Any]) -> Request:
    from bench.measure import request
    from bench.model import parse_seconds, parse_size

    profile, precision = request.parse_profile(params["profile"]), params["precision"]
    return request.Request(
        profile=profile,
        seed=params["seed"],
        budget=parse_seconds(params["budget"]) if params["budget"] else None,
        precision=request.parse_precision(precision) if precision else request.PROFILES[profile].precision,
        scenarios=listed(params["scenario"], str),
        drivers=params["drivers"],
        volumes=listed(params["volume"], str),
        depths=listed(params["depth"], request.parse_depth),
        sizes=listed(params["size"], parse_size),
        rootless=os.geteuid() != 0,
    )
