"""What the commands share: options, and how their texts are read and answers printed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.errors import no_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure.workshop import RunContext

__all__ = [
    "DIRECTORY",
    "JSON",
    "REPORTS_OPTION",
    "RESULTS_OPTION",
    "STARTED",
    "WORKDIR",
    "directory_of",
    "listed",
    "print_json",
    "session_of",
]

STARTED = time.monotonic()  # when the command began
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


def listed(text: str | None, parse: Callable[[str], Any]) -> tuple[Any, ...]:
    """Parse `a,b,c`."""
    return tuple(parse(part) for part in text.split(",") if part) if text else ()


def directory_of(results: Path, name: str) -> Path:
    """Return the run that `name` means: a path, or a name below `results`; raises BenchError where there is none."""
    directory = Path(name) if Path(name).is_dir() else results / name
    if not directory.is_dir():
        raise no_run(directory)
    return directory


def session_of(results: Path, workdir: Path | None, seconds: float, *, quiet: bool) -> RunContext:
    """Return where a command's run works and writes; a person is told how it goes on for `seconds`, unless `quiet`."""
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
    """Print an answer as JSON."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
