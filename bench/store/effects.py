"""Options of arms that the rows say were not in effect: the kernel took them and ignored them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import WITHOUT_EFFECT

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["without_effect"]


def without_effect(units: pd.DataFrame) -> tuple[str, ...]:
    """Return a line for each option of an arm of `Run.units` that had no effect, in order of the arms."""
    found: dict[str, None] = {}
    for arm, how in units[["arm", "how"]].drop_duplicates().sort_values("arm").itertuples(index=False):
        facts = dict(part.partition(": ")[::2] for part in str(how).split("; "))
        for option in facts.get(WITHOUT_EFFECT, "").split(","):
            if option:
                found[f"option {option} of {arm} had no effect: it was taken and ignored"] = None
    return tuple(found)
