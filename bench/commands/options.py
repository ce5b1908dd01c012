"""Shared by the commands: options, parsing of their values, and output of JSON."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.errors import no_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure.workshop import RunContext

__all__ = [
    "BOOTS",
    "DIRECTORY",
    "JSON",
    "REPORTS_OPTION",
    "RESULTS_OPTION",
    "STARTED",
    "WORKDIR",
    "directory_of",
    "list_option",
    "listed",
    "print_json",
    "session_of",
]

Command = TypeVar("Command", bound="Callable[..., Any]")
STARTED = time.monotonic()  # start of the command
BOOTS = 5  # guests of a kernel, each with a block of its own: what lies between them is the interval that is shown
DIRECTORY = click.Path(path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
RESULTS_OPTION = click.option(
    "--results", type=DIRECTORY, default=Path("results"), show_default=True, metavar="DIR", help="Where runs are kept."
)
REPORTS_OPTION = click.option(
    "--reports", type=DIRECTORY, default=Path("reports"), show_default=True, metavar="DIR", help="Where pages go."
)
WORKDIR = click.option(
    "--workdir",
    type=DIRECTORY,
    metavar="DIR",
    help="Where volumes are made: on a disk, not on overlay or tmpfs. [default: $BENCH_WORKDIR or /var/tmp]",
)


def list_option(name: str, **facts: Any) -> Callable[[Command], Command]:
    """Return an option that takes several values, with commas or by being given again."""

    def joined(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | None:
        return ",".join(values) or None

    return click.option(name, multiple=True, callback=joined, **facts)


def listed(text: str | None, parse: Callable[[str], Any]) -> tuple[Any, ...]:
    """Parse a comma-separated list."""
    return tuple(parse(part) for part in text.split(",") if part) if text else ()


def directory_of(results: Path, name: str) -> Path:
    """Return a run's directory; `name` is a path or a name below `results`. Raises BenchError if there is none."""
    directory = Path(name) if Path(name).is_dir() else results / name
    if not directory.is_dir():
        raise no_run(directory)
    return directory


def session_of(results: Path, workdir: Path | None, seconds: float, *, quiet: bool) -> RunContext:
    """Return the context of a command's run, which shows progress over `seconds` unless `quiet`."""
    from bench.commands.console import Console
    from bench.host import workdir as places
    from bench.measure.workshop import RunContext

    return RunContext(
        workdir=workdir or places.default(),
        results=results,
        command=["python", "-m", "bench", *sys.argv[1:]],
        listener=lambda: Console(seconds, quiet=quiet),
        started=STARTED,
    )


def print_json(value: Any) -> None:
    """Print `value` as JSON."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
