"""The command kernels: the same plan on several kernels, and one page with each figure against the kernel."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bench.commands.options import JSON, REPORTS_OPTION, RESULTS_OPTION, directory_of, listed, print_json, session_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kernels"]


@click.command()
@click.argument("versions", nargs=-1, metavar="[KERNEL]…")
@click.option("--scenario", metavar="NAME,…", help="These scenarios. [default: lookup,copy_up,whiteouts]")
@click.option("--volume", metavar="NAME,…", help="These volumes. [default: ext4,xfs]")
@click.option("--depth", metavar="N,…", help="These numbers of layers.")
@click.option("--size", metavar="SIZE,…", help="These file sizes: 0, 4KiB, 1MiB.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the content, of all orders and of the guests.")
@click.option(
    "--boots", type=click.IntRange(1, 999), default=3, show_default=True, help="Guests a kernel, a block each."
)
@click.option("--memory", metavar="SIZE", help="Of each guest. [default: 4GiB]")
@click.option("--markdown", is_flag=True, help="Print the table in Markdown.")
@click.option("--runs", metavar="RUN,…", help="Measure nothing; make the page of these runs.")
@RESULTS_OPTION
@REPORTS_OPTION
@JSON
def kernels(
    versions: tuple[str, ...],
    scenario: str | None,
    volume: str | None,
    depth: str | None,
    size: str | None,
    seed: int,
    boots: int,
    memory: str | None,
    markdown: bool,
    runs: str | None,
    results: Path,
    reports: Path,
    as_json: bool,
) -> int:
    """Measure on each KERNEL (a version, or the path of a bzImage), in instructions, and compare.

    Each kernel runs in guests without hardware virtualisation, whose clock counts instructions: figures repeat exactly
    with a seed, on any machine, however busy. A kernel that is not here is fetched from the distribution's archive.

    \b
    Examples:
      python -m bench kernels 5.10 6.1 6.12 7.2
      python -m bench kernels 6.12 ./linux/arch/x86/boot/bzImage --scenario lookup
      python -m bench kernels --runs 20260102T030405Z-quick-6.12-s1,20260102T030905Z-quick-7.2-s1
    """  # noqa: D301  click wants the character, not its name
    from bench.report import kernels as page
    from bench.store.reader import load

    status = 0
    if runs:
        directories = [directory_of(results, name) for name in runs.split(",") if name]
    else:
        from bench.errors import BenchError
        from bench.guest import archive
        from bench.guest import boots as guests
        from bench.measure import request
        from bench.model import parse_size

        if not versions:
            raise BenchError("no kernel is named", fix="`python -m bench kernel list` shows which there are")
        asked = request.Request(
            seed=seed,
            scenarios=listed(scenario, str) or guests.SCENARIOS,
            volumes=listed(volume, str),
            depths=listed(depth, request.parse_depth),
            sizes=listed(size, parse_size),
        )
        found = [archive.obtain(version) for version in versions]
        context = session_of(results, None, asked.seconds, quiet=as_json)
        mib = parse_size(memory) >> 20 if memory else guests.MEMORY_MIB
        directories = []
        for kernel in found:
            fresh = replace(context, started=time.monotonic())
            directory, ended = guests.execute(asked, kernel, fresh, boots=boots, memory_mib=mib)
            directories.append(directory)
            status = max(status, ended)
    comparison = page.compared(load(directory) for directory in directories)
    target = page.publish(comparison, reports)
    if as_json:
        print_json(comparison.as_json() | {"page": str(target)})
        return status
    for line in comparison.markdown() if markdown else comparison.lines():
        click.echo(line)
    click.echo(f"page: {target}")
    return status
