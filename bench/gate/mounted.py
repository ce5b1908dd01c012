"""How a run's units were mounted: the options in effect, without those that only tell layers and places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["mount_options"]

HOST_VOLUME = "dir"  # a directory on whatever file system the machine has: its options say nothing of the suite
PATHS = ("lowerdir", "upperdir", "workdir")


def mount_options(units: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the distinct options of the units of `Run.units` by `SCENARIO ARM`; arms that tell none have no entry.

    Units that failed are left out: they may not have come as far as to be mounted.
    """
    found: dict[str, set[str]] = {}
    whole = units.loc[units["error"] == "", ["scenario", "arm", "volume", "how"]]
    for scenario, arm, volume, how in whole.drop_duplicates().itertuples(index=False):
        if text := _options(how, backing=volume != HOST_VOLUME):
            found.setdefault(f"{scenario} {arm}", set()).add(text)
    return {name: tuple(sorted(texts)) for name, texts in found.items()}


def _options(how: Mapping[str, str], *, backing: bool) -> str:
    """Return `OPTIONS over FILESYSTEM OPTIONS` of a unit's `options` and `backing`."""
    own = ",".join(option for option in how.get("options", "").split(",") if option and not _is_local(option))
    below = how.get("backing", "") if backing else ""
    return " over ".join(text for text in (own, below) if text)


def _is_local(option: str) -> bool:
    """Tell whether an option names layers or a path."""
    return option.startswith(PATHS) or option.partition("=")[2].startswith("/")
