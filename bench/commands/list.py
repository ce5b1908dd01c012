"""The command list: scenarios, drivers, volumes and claims, and whether they work on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import JSON, RESULTS_OPTION, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Support

__all__ = ["list_things"]


@click.command("list", short_help="List scenarios, drivers, volumes and claims.")
@RESULTS_OPTION
@JSON
def list_things(results: Path, as_json: bool) -> None:
    """List scenarios, drivers, volumes and claims, with what works here, and which runs measured a driver.

    \b
    Example:
      python -m bench list --json | jq '.drivers[].name'
    """  # noqa: D301  click wants the character, not its name
    entries = catalogue(results)
    if as_json:
        print_json(entries)
        return
    for kind, group in entries.items():
        click.echo(f"{kind}:")
        width = max(len(entry["name"]) for entry in group)
        for entry in group:
            state = {True: "yes ", False: "no  ", None: ""}[entry.get("ok")]
            click.echo(f"  {state}{entry['name']:<{width}} {entry['title']}")
            if entry.get("ok") is False:
                click.echo(f"      {'':<{width}} {entry['reason']}{'; ' + entry['fix'] if entry['fix'] else ''}")
                if "measured" in entry:
                    click.echo(f"      {'':<{width}} {_measured(entry['measured'], results)}")


def _measured(runs: list[dict[str, Any]], results: Path) -> str:
    if not runs:
        return f"no run in {results}/ measured it"
    last = runs[-1]
    place = "a guest" if last["guest"] else "a host"
    return f"measured in {place} with {last['kernel']}: {results / last['run']}"


def catalogue(results: Path) -> dict[str, list[dict[str, Any]]]:
    """Return scenarios, drivers, volumes and claims: name, title and, except for claims, ok, reason and fix.

    Drivers also have `measured`: the runs below `results` in which they did a unit without an error.
    """
    from dataclasses import asdict

    from bench import discovery
    from bench.measure.support import driver_support
    from bench.reading.claims import CLAIMS
    from bench.store.places import measured

    runs = measured(results)
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
                "measured": [asdict(run) for run in runs.get(kind.name, ())],
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
