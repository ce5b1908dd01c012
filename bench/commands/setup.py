"""The command setup: install missing system packages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.host.packages import Group

__all__ = ["setup"]

KERNEL = "6.1"  # of Debian 12; tests boot it


@click.command(short_help="Install the system packages that are missing.")
@click.option("--tests", "group", flag_value="tests", help="Also what the tests need.")
@click.option("--aa", "group", flag_value="aa", help="Also what aa asks for a second opinion.")
@click.option("--guests", "group", flag_value="guests", help="Also what runs other kernels.")
@click.option("--engines", "group", flag_value="engines", help="Also container engines; no service is started.")
def setup(group: Group | None) -> None:
    """Install the system packages that are missing (as root, with apt-get), saying what and why first.

    BENCH_NO_INSTALL=1 turns this off; without root or apt-get it says what each would add.
    """
    from bench.host import packages

    packages.install(packages.missing(group or "bench"))
    if group == "tests" and not os.environ.get(packages.OPT_OUT):
        _fetch_kernel()


def _fetch_kernel() -> None:
    """Fetch the kernel that tests boot; without it they are skipped."""
    from bench.errors import BenchError
    from bench.guest import archive

    try:
        archive.obtain(KERNEL)
    except BenchError as error:
        click.echo(f"no kernel {KERNEL} for the tests of guests: {error}", err=True)
