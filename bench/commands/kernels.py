"""The command kernels: the same plan on several kernels, and one page with each figure against the kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import (
    BOOTS,
    JSON,
    REPORTS_OPTION,
    RESULTS_OPTION,
    directory_of,
    list_option,
    listed,
    print_json,
    session_of,
)
from bench.errors import EXIT_USAGE, BenchError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.guest.kernels import Kernel
    from bench.measure.request import Request

__all__ = ["kernels"]


@click.command(short_help="Measure on several kernels, and compare them.")
@click.argument("versions", nargs=-1, metavar="[KERNEL]…")
@list_option("--scenario", metavar="NAME,…", help="These scenarios. [default: lookup,copy_up,whiteouts]")
@list_option("--volume", metavar="NAME,…", help="These volumes. [default: ext4,xfs]")
@list_option("--depth", metavar="N,…", help="These numbers of layers.")
@list_option("--size", metavar="SIZE,…", help="These file sizes: 0, 4KiB, 1MiB.")
@click.option(
    "--claims", is_flag=True, help="Also judge the description's claims, by Docker itself if it is installed."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content, of all orders and of the guests.")
@click.option(
    "--boots", type=click.IntRange(1, 999), default=BOOTS, show_default=True, help="Guests a kernel, a block each."
)
@click.option("--memory", metavar="SIZE", help="Of each guest. [default: 4GiB]")
@click.option("--markdown", is_flag=True, help="Print the table in Markdown.")
@click.option("--runs", metavar="RUN,…", help="Measure nothing; make the page of these runs.")
@RESULTS_OPTION
@REPORTS_OPTION
@JSON
def kernels(
    versions: tuple[str, ...], results: Path, reports: Path, as_json: bool, markdown: bool, **params: Any
) -> int:
    """Measure on each KERNEL (a version, or the path of a bzImage), in instructions, and compare.

    Each kernel runs in guests without hardware virtualisation, whose clock counts instructions: figures repeat exactly
    with a seed, on any machine, however busy. A kernel that is not here is fetched from the distribution's archive.

    \b
    Examples:
      python -m bench kernels 5.10 6.1 6.12 7.2
      python -m bench kernels 5.10 6.1 7.2 --claims
      python -m bench kernels 6.12 ./linux/arch/x86/boot/bzImage --scenario lookup
      python -m bench kernels --runs 20260102T030405Z-quick-6.12-s1,20260102T030905Z-quick-7.2-s1
    """  # noqa: D301  click wants the character, not its name
    from bench.report import kernels as page
    from bench.store.reader import load

    status = 0
    if params["runs"]:
        directories = [directory_of(results, name) for name in params["runs"].split(",") if name]
    else:
        directories, status = _measure(versions, results, params, quiet=as_json)
    comparison = page.compared(load(directory) for directory in directories)
    target = page.publish(comparison, reports)
    if as_json:
        print_json(comparison.as_json() | {"page": str(target)})
        return status
    for line in comparison.markdown() if markdown else comparison.lines():
        click.echo(line)
    click.echo(f"page: {target}")
    return status


def _measure(
    versions: tuple[str, ...], results: Path, params: dict[str, Any], *, quiet: bool
) -> tuple[list[Path], int]:
    """Carry out the request on each kernel; one that fails is said, and the others go on."""
    from bench.guest import archive, boots

    if not versions:
        raise BenchError("no kernel is named", fix="`python -m bench kernel list` shows which there are")
    asked, memory = _request(params)
    also = _for_claims(asked) if params["claims"] else []
    found: list[Kernel] = [archive.obtain(version) for version in versions]
    context = session_of(results, None, asked.seconds, quiet=quiet)
    directories: list[Path] = []
    status = 0
    results_of_each = boots.execute_each(boots.GuestRequest(asked, params["boots"], memory, also=also), found, context)
    failures = [result for result in results_of_each if isinstance(result, BenchError)]
    if len(failures) == len(found):
        raise failures[-1]
    for result in results_of_each:
        if isinstance(result, BenchError):
            click.echo(f"bench: {result}", err=True)
            status = EXIT_USAGE
        else:
            directories.append(result[0])
            status = max(status, result[1])
    return directories, status


def _for_claims(asked: Request) -> list[Request]:
    """Return what the verdicts on the claims need besides; says what is left out."""
    from bench.engines.docker import Docker

    support = Docker.probe()
    if not support.ok:
        click.echo(f"bench: without what Docker does: {support.reason}; {support.fix}", err=True)
    by_hand = replace(asked, scenarios=("inodes", "limits", "types"), drivers=("overlay2", "overlay"))
    by_docker = replace(asked, scenarios=("choice", "layout"), drivers=("docker/vfs", "docker/overlay2"))
    return [by_hand, by_docker] if support.ok else [by_hand]


def _request(params: dict[str, Any]) -> tuple[Request, int]:
    """Return what to measure, and the MiB of a guest."""
    from bench.guest import boots
    from bench.measure import request
    from bench.model import parse_size

    asked = request.Request(
        seed=params["seed"],
        scenarios=listed(params["scenario"], str) or boots.SCENARIOS,
        volumes=listed(params["volume"], str),
        depths=listed(params["depth"], request.parse_depth),
        sizes=listed(params["size"], parse_size),
    )
    return asked, parse_size(params["memory"]) >> 20 if params["memory"] else boots.MEMORY_MIB
