"""Options of arms that had no effect according to the rows: the kernel accepted and ignored them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import WITHOUT_EFFECT, RunWarning

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["without_effect"]


def without_effect(units: pd.DataFrame) -> tuple[RunWarning, ...]:
    """Return a warning for each option of an arm of `Run.units` that had no effect, in order of the arms."""
    warnings: dict[RunWarning, None] = {}
    for arm, how in units[["arm", "how"]].drop_duplicates().sort_values("arm", kind="stable").itertuples(index=False):
        for option in how.get(WITHOUT_EFFECT, "").split(","):
            if option:
                text = f"option {option} of {arm} had no effect: it was taken and ignored"
                warnings[RunWarning("option without effect", text, str(arm))] = None
    return tuple(warnings)
