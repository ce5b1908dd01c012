"""The mount options in effect of a run's units, without those that name layers or paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["mount_options"]

HOST_VOLUME = "dir"  # a directory on a file system of the machine, whose options the suite does not choose
PATHS = ("lowerdir", "upperdir", "workdir")


def mount_options(units: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the distinct options of `Run.units` by `SCENARIO ARM`; arms that have none have no entry.

    Failed units are left out: they may have failed before the mount.
    """
    options: dict[str, set[str]] = {}
    succeeded = units.loc[units["error"] == "", ["scenario", "arm", "volume", "how"]]
    for scenario, arm, volume, how in succeeded.drop_duplicates().itertuples(index=False):
        if text := _options(how, backing=volume != HOST_VOLUME):
            options.setdefault(f"{scenario} {arm}", set()).add(text)
    return {name: tuple(sorted(texts)) for name, texts in options.items()}


def _options(how: Mapping[str, str], *, backing: bool) -> str:
    """Return `OPTIONS over FILESYSTEM OPTIONS` from a unit's `options` and, if `backing`, its backing file system."""
    options = ",".join(option for option in how.get("options", "").split(",") if option and not _is_local(option))
    below = how.get("backing", "") if backing else ""
    return " over ".join(text for text in (options, below) if text)


def _is_local(option: str) -> bool:
    """Tell whether a mount option names layers or a path."""
    return option.startswith(PATHS) or option.partition("=")[2].startswith("/")
