"""The command clean: show leftovers, and remove those that this suite made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bench.commands.options import JSON, WORKDIR, print_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["clean"]


@click.command(short_help="Show what earlier runs left, and remove what is ours.")
@WORKDIR
@click.option("--dry-run", is_flag=True, help="Only say what is there.")
@JSON
def clean(workdir: Path | None, dry_run: bool, as_json: bool) -> None:
    """Show what earlier runs or other tools left, and remove what is provably ours.

    \b
    Example:
      python -m bench clean --dry-run
    """  # noqa: D301  click wants the character, not its name
    from bench.host import leftovers
    from bench.host import workdir as places

    remaining = leftovers.find(places.check(workdir or places.default()))
    removed = []
    for item in remaining:
        if item.removable and not dry_run:
            leftovers.remove(item)
            removed.append(item)
    if as_json:
        print_json(
            [
                {"kind": item.kind, "path": item.path, "reason": item.reason, "removed": item in removed}
                for item in remaining
            ]
        )
        return
    for item in remaining:
        verb = "removed" if item in removed else "would remove" if item.removable else "left alone"
        click.echo(f"{verb}: {item.kind} {item.path}: {item.reason}")
    if not remaining:
        click.echo("nothing left")
