"""The report of a user's image as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.report.image import Cost, advice

if TYPE_CHECKING:
    from bench.stats.estimate import Estimate
    from bench.store.image import Inventory

__all__ = ["as_document"]


def as_document(inventory: Inventory, found: Sequence[Cost]) -> dict[str, Any]:
    """Return the inventory's totals and layers, and the costs, as JSON values; lists of paths are in image.json."""
    return {
        "image": {
            "name": inventory.name,
            "source": inventory.source,
            "platform": inventory.platform,
            "files": inventory.files,
            "directories": inventory.directories,
            "inodes": inventory.inodes,
            "bytes": inventory.bytes,
            "shipped_bytes": inventory.shipped,
            "hidden_bytes": inventory.hidden_bytes,
            "copied_bytes": inventory.copied_bytes,
            "alike_bytes": inventory.alike_bytes,
            "notes": inventory.notes,
        },
        "layers": [asdict(layer) for layer in inventory.layers],
        "costs": [_cost_document(cost) for cost in found],
        "advice": advice(inventory, found),
    }


def _cost_document(cost: Cost) -> dict[str, Any]:
    verdict = cost.answer.verdict
    return {
        "operation": cost.operation,
        "temperature": cost.temperature,
        "volume": cost.volume,
        "against": cost.against,
        "word": verdict.word.value,
        "ratio": _interval(verdict.ratio),
        "as_built_ns": _interval(cost.answer.times[0]) if cost.answer.times else None,
        "otherwise_ns": _interval(cost.answer.times[1]) if cost.answer.times else None,
        "plain_ns": _interval(cost.plain) if cost.plain else None,
        "pairs": verdict.pairs,
        "failed_units": cost.answer.failed,
    }


def _interval(estimate: Estimate) -> list[float] | None:
    """Return [value, low, high]; None if there is no interval."""
    return [estimate.value, estimate.low, estimate.high] if estimate.has_interval else None
