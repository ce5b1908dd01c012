"""What there is to measure, and whether each part works here."""

from __future__ import annotations

from typing import Any

from bench import discovery
from bench.model import Support
from bench.verdicts.claims import CLAIMS
from bench.volumes.base import require_program

__all__ = ["catalogue"]


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Return scenarios, drivers, volumes and claims, each as name, title and, where it can fail, ok, reason, mend."""
    return {
        "scenarios": [
            {"name": item.name, "title": item.question, **_state(_programs(item.requires))}
            for item in discovery.scenarios().values()
        ],
        "drivers": [
            {
                "name": kind.name,
                "title": kind.title,
                "options": {key: list(values) for key, values in kind.options.items()},
                "max_depth": kind.max_depth,
                **_state(discovery.driver_support(kind)),
            }
            for kind in discovery.drivers().values()
        ],
        "volumes": [
            {"name": item.name, "title": item.title, **_state(item.probe())} for item in discovery.volumes().values()
        ],
        "claims": [{"name": claim.id, "title": claim.text} for claim in CLAIMS],
    }


def _programs(names: tuple[str, ...]) -> Support:
    states = [require_program(name) for name in names]
    return next((state for state in states if not state.ok), Support.yes())


def _state(support: Support) -> dict[str, Any]:
    return {"ok": support.ok, "reason": support.reason, "mend": support.mend}
