"""The command report: write the page of a run and print its summary."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Protocol

import click

from bench.commands.options import JSON, REPORTS_OPTION, RESULTS_OPTION, directory_of, print_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["finish", "report"]


class Published(Protocol):
    """A page that was written, and its summary."""

    @property
    def page(self) -> Path:
        """The page's file."""

    @property
    def lines(self) -> list[str]:
        """The summary for the terminal."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""


IMAGE = "image"  # the kind of a run of the command image


@click.command(short_help="Make the page of a run.")
@click.argument("runs", nargs=-1, metavar="[RUN]…")
@RESULTS_OPTION
@REPORTS_OPTION
@JSON
def report(runs: tuple[str, ...], results: Path, reports: Path, as_json: bool) -> None:
    """Make the page of each RUN (a name below results/, or a directory); of the latest if none is named.

    Needs neither root nor the machine that measured.

    \b
    Examples:
      python -m bench report
      python -m bench report 20260102T030405Z-quick-s1 --reports /tmp/pages
    """  # noqa: D301  click wants the character, not its name
    directories = [directory_of(results, name) for name in runs]
    if not directories:
        from bench.store.reader import latest

        directories = [latest(results)]
    for directory in directories:
        finish(directory, reports, as_json=as_json)


def wrapped(line: str) -> str:
    """Break a line at words where a terminal would break it anywhere; rows of a table stay as they are."""
    if not sys.stdout.isatty() or "   " in line:
        return line
    return textwrap.fill(line, shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False)


def finish(directory: Path, reports: Path, *, as_json: bool, suites: bool = False) -> None:
    """Write the page and the pyperf suites of a run and print its summary."""
    from bench.report import product
    from bench.store.reader import load

    run = load(directory)
    published: Published
    if run.provenance.streams is not None:
        from bench.selftest import page

        published = page.publish(run, reports)
    elif run.provenance.kind == IMAGE:
        from bench.report import image_page

        published = image_page.publish(run, reports)
    else:
        published = product.publish(run, reports, suites=suites)
    if as_json:
        print_json(published.as_json())
        return
    for line in published.lines:
        click.echo(wrapped(line))
    click.echo(f"page: {published.page}")
