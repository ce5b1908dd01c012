"""The command list: what there is to measure, and whether each part works here."""

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
    things = catalogue()
    if as_json:
        print_json(things)
        return
    for kind, items in things.items():
        click.echo(f"{kind}:")
        for item in items:
            state = {True: "yes ", False: "no  ", None: ""}[item.get("ok")]
            click.echo(f"  {state}{item['name']:<16} {item['title']}")
            if item.get("ok") is False:
                click.echo(f"      {'':<16} {item['reason']}{'; ' + item['fix'] if item['fix'] else ''}")


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Return scenarios, drivers, volumes and claims, each as name, title and, where it can fail, ok, reason, fix."""
    from bench import discovery
    from bench.measure.support import driver_support
    from bench.reading.claims import CLAIMS

    return {
        "scenarios": [
            {
                "name": item.name,
                "title": item.reading.question,
                **_state(_programs(tuple(one.program for one in item.packages))),
            }
            for item in discovery.scenarios().values()
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
            {"name": item.name, "title": item.title, **_state(item.probe())} for item in discovery.volumes().values()
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
