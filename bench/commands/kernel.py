"""The command kernel: which kernels a guest can boot; fetching and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import JSON, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["kernel"]


@click.group(short_help="List, fetch and remove kernels that guests boot.")
def kernel() -> None:
    """Which kernels a guest can boot (`run --kernel`), here and in the distribution's archive.

    \b
    Examples:
      python -m bench kernel list
      python -m bench kernel fetch 6.12
      python -m bench kernel clean
    """  # noqa: D301  click wants the character, not its name


@kernel.command("list")
@JSON
def list_kernels(as_json: bool) -> None:
    """Show the kernels on this machine, and those of the archive.

    Of the archive the newest of each version.
    """
    from bench.errors import BenchError
    from bench.guest import archive, kernels

    here = [*kernels.installed(), *kernels.cached()]
    try:
        offered, why = archive.offers(), ""
    except BenchError as error:
        offered, why = [], str(error)
    present = {found.release for found in here}
    newest = {archive.short(offer.release): offer for offer in offered}
    rows = [
        *((found.release, found.origin, _mib(kernels.size_of(found.modules)), "here") for found in here),
        *(
            (offer.release, f"Debian {offer.suite}", _mib(offer.bytes), f"kernel fetch {version}")
            for version, offer in newest.items()
            if offer.release not in present
        ),
    ]
    if as_json:
        print_json([dict(zip(("release", "origin", "size", "how"), row, strict=True)) for row in rows])
        return
    _table(rows)
    if why:
        click.echo(f"archive: {why}")


@kernel.command()
@click.argument("version")
def fetch(version: str) -> None:
    """Fetch the newest kernel of VERSION into the cache.

    It comes from the distribution's archive; nothing is installed.
    """
    from bench.guest import archive

    found = archive.fetch(version)
    click.echo(f"{found.release} from {found.origin}: {found.image.parent}")


@kernel.command()
@click.argument("versions", nargs=-1)
def clean(versions: tuple[str, ...]) -> None:
    """Remove fetched kernels.

    Those of VERSIONS; if none is given, all of them and the archive's lists.
    """
    from bench.guest import archive, kernels

    for found in list(kernels.cached()):
        if not versions or any(kernels.matches(found.release, version) for version in versions):
            click.echo(f"removed {found.release}, {_mib(kernels.remove(found))}")
    if not versions:
        archive.forget()


def _mib(size: float) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _table(rows: Iterable[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="none")
    for heading in ("kernel", "from", "size", "how"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
