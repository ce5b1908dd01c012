"""The command doctor: what works on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import DIRECTORY, JSON, WORKDIR, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Support

__all__ = ["doctor"]


@click.command(short_help="Tell what works here, and how to add what does not.")
@WORKDIR
@click.option(
    "--socket",
    type=DIRECTORY,
    metavar="SOCKET",
    help="Also ask the engine that listens there by Docker's API how it stores; else none is asked.",
)
@JSON
def doctor(workdir: Path | None, socket: Path | None, as_json: bool) -> None:
    """Tell what works here, what does not, why, and how to add it.

    \b
    Examples:
      python -m bench doctor
      python -m bench doctor --json | jq '.[] | select(.ok | not)'
      python -m bench doctor --socket /var/run/docker.sock
    """  # noqa: D301  click wants the character, not its name
    from bench import doctor as examiner
    from bench.host import workdir as places

    checks = examiner.examine(workdir or places.default(), socket)
    if as_json:
        print_json([{"area": check.area, "name": check.name, **_support(check.support)} for check in checks])
        return
    for check in checks:
        _state(f"{check.area:<12} {check.name}", check.support)


def _support(support: Support) -> dict[str, Any]:
    return {"ok": support.ok, "reason": support.reason, "fix": support.fix}


def _state(label: str, support: Support) -> None:
    detail = "; ".join(part for part in (support.reason, support.fix and f"to add it: {support.fix}") if part)
    click.echo(f"{'yes' if support.ok else 'no ':<4} {label:<44} {detail}".rstrip())
