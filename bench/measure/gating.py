"""Measurements of a gate: every counter a few times, then the comparisons."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench import discovery
from bench.drivers.base import Footprint
from bench.measure.compare import Compare
from bench.measure.plan import Plan
from bench.measure.planning import make
from bench.measure.request import Request
from bench.measure.workshop import Workshop

__all__ = ["COUNTER_BLOCKS", "Gate", "counters_plan"]

COUNTER_BLOCKS = 2  # units of each cell: a counter is exact, and the second unit shows whether it repeats
COUNTER_SHARE = 0.5  # maximum share of the remaining time, if there are comparisons too


def counters_plan(request: Request) -> Plan:
    """Return the plan with a few units of every cell of the gated scenarios; raises BenchError if there are none."""
    gated = tuple(name for name, scenario in discovery.scenarios().items() if scenario.gated)
    plan = make(replace(request, scenarios=request.scenarios or gated))
    for name, cells in plan.cells.items():
        plan.cells[name] = [
            replace(cell, max_blocks=min(cell.max_blocks or COUNTER_BLOCKS, COUNTER_BLOCKS)) for cell in cells
        ]
    return plan


def join_plans(plans: list[Plan], request: Request) -> Plan:
    """Join plans that run one after the other, for the provenance and for the space that they need."""
    joint = Plan(request)
    for plan in plans:
        joint.skips.extend(plan.skips)
        for name, cells in plan.cells.items():
            joint.cells.setdefault(name, []).extend(cells)
        for name, added in plan.volumes.items():
            known = joint.volumes.get(name, Footprint(0, 0))
            joint.volumes[name] = Footprint(max(known.inodes, added.inodes), max(known.bytes, added.bytes))
    return joint


@dataclass(frozen=True)
class Gate:
    """The work of a gate's run; either part may be None."""

    counters: Plan | None
    compare: Compare | None

    def __call__(self, shop: Workshop) -> Mapping[str, Any]:
        """Measure; return the facts for the provenance."""
        facts: dict[str, Any] = {}
        if self.counters is not None:
            with shop.runner(self.counters) as runner:
                if self.compare is not None:
                    now = time.monotonic()
                    runner.deadline = now + COUNTER_SHARE * (shop.deadline - now)
                facts["blocks"] = runner.run()
        if self.compare is not None:
            facts |= self.compare(shop)
        return facts
