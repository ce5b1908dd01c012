"""The command list: scenarios, drivers, volumes and claims, and whether they work on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import JSON, print_json

if TYPE_CHECKING:
    from bench.model import Support

__all__ = ["list_things"]


@click.command("list")
@JSON
def list_things(as_json: bool) -> None:
    """List scenarios, drivers, volumes and claims, with what works here.

    \b
    Example:
      python -m bench list --json | jq '.drivers[].name'
    """  # noqa: D301  click wants the character, not its name
    entries = catalogue()
    if as_json:
        print_json(entries)
        return
    for kind, group in entries.items():
        click.echo(f"{kind}:")
        for entry in group:
            state = {True: "yes ", False: "no  ", None: ""}[entry.get("ok")]
            click.echo(f"  {state}{entry['name']:<16} {entry['title']}")
            if entry.get("ok") is False:
                click.echo(f"      {'':<16} {entry['reason']}{'; ' + entry['fix'] if entry['fix'] else ''}")


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Return scenarios, drivers, volumes and claims: name, title and, except for claims, ok, reason and fix."""
    from bench import discovery
    from bench.measure.support import driver_support
    from bench.reading.claims import CLAIMS

    return {
        "scenarios": [
            {
                "name": scenario.name,
                "title": scenario.reading.question,
                **_state(_programs(tuple(package.program for package in scenario.packages))),
            }
            for scenario in discovery.scenarios().values()
        ],
        "drivers": [
            {
                "name": kind.name,
                "title": kind.title,
                "options": {key: list(values) for key, values in kind.options.items()},
                "max_depth": kind.max_depth,
                **_state(driver_support(kind.name)),
            }
            for kind in discovery.drivers().values()
        ],
        "volumes": [
            {"name": kind.name, "title": kind.title, **_state(kind.probe())} for kind in discovery.volumes().values()
        ],
        "claims": [{"name": claim.id, "title": claim.text} for claim in CLAIMS],
    }


def _programs(names: tuple[str, ...]) -> Support:
    from bench.model import Support
    from bench.volumes.base import require_program

    states = [require_program(name) for name in names]
    return next((state for state in states if not state.ok), Support.yes())


def _state(support: Support) -> dict[str, Any]:
    return {"ok": support.ok, "reason": support.reason, "fix": support.fix}
