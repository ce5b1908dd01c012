"""Making a plan from a request, for this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench import discovery
from bench.errors import BenchError
from bench.host.packages import install_hint
from bench.measure.plan import Plan
from bench.measure.request import Request
from bench.measure.selection import LEFT_OUT, arms_of, cells_of, check_depths, profile_of, profile_skip, volumes_of
from bench.measure.sizing import lay_out
from bench.model import NATIVE, Cell, Skip
from bench.volumes.base import require_program

__all__ = ["make", "merged", "of_cells", "together"]

RUN = "run"  # the command whose plans are made here


def make(request: Request) -> Plan:
    """Make the plan of `request`; raises BenchError if nothing could be measured."""
    plan = Plan(request)
    volumes = volumes_of(plan)
    arms = arms_of(plan, volumes)
    check_depths(request, arms)
    scenarios = discovery.scenarios()
    for name in request.scenarios:
        if (command := discovery.scenario(name).command) != RUN:
            raise BenchError(f"scenario {name} needs more than a run", fix=f"see `python -m bench {command} --help`")
    for scenario in scenarios.values():
        if scenario.command != RUN or (request.scenarios and scenario.name not in request.scenarios):
            continue
        lacking = [item.program for item in scenario.packages if not require_program(item.program).ok]
        if lacking:
            why = f"the program {lacking[0]} is not installed"
            plan.skips.append(Skip(f"scenario {scenario.name}", why, install_hint(lacking[0]), scenario=scenario.name))
            continue
        if not tuple(scenario.grids(profile_of(request, scenario))):
            left_out = profile_skip(f"scenario {scenario.name}", "standard", "", request)
            plan.skips.append(replace(left_out, scenario=scenario.name))
            continue
        if scenario.needs_engine and not any(driver.daemon for _, driver in arms):
            reason = "no engine is among the drivers of this run"
            fix = "--profile standard, or --driver docker/overlay2"
            plan.skips.append(Skip(f"scenario {scenario.name}", reason, fix, by_choice=True, scenario=scenario.name))
            continue
        cells = cells_of(plan, scenario, arms)
        if cells:
            plan.cells[scenario.name] = cells
    if not any(cell.arm.driver != NATIVE for cell in plan.all_cells):
        ranked = sorted(plan.skips, key=lambda skip: (skip.by_choice, skip.reason.endswith(LEFT_OUT)))
        reasons = "; ".join(f"{skip.what}: {skip.reason}" for skip in ranked[:3])
        raise BenchError(
            "nothing to measure", why=reasons or "the choice leaves no cell", fix="see `python -m bench doctor`"
        )
    lay_out(plan)
    return plan


def merged(requests: Sequence[Request]) -> Request:
    """Return the first request with the scenarios and drivers of all."""
    scenarios = tuple(dict.fromkeys(name for request in requests for name in request.scenarios))
    drivers = tuple(dict.fromkeys(name for request in requests for name in request.drivers))
    return replace(requests[0], scenarios=scenarios, drivers=drivers)


def together(requests: Sequence[Request]) -> Plan:
    """Return one plan of the cells that each request has; raises BenchError as `make` does."""
    plans = [make(request) for request in requests]
    plan = of_cells(merged(requests), dict.fromkeys(cell for part in plans for cell in part.all_cells))
    plan.skips = [skip for part in plans for skip in part.skips]
    return plan


def of_cells(request: Request, cells: Iterable[Cell]) -> Plan:
    """Return the plan of these cells alone; raises BenchError if it cannot be laid out."""
    plan = Plan(request)
    for cell in cells:
        plan.cells.setdefault(cell.scenario, []).append(cell)
    lay_out(plan)
    return plan
