"""Common parts of the exports of a run: its times by arm and cell, and the names of cells and files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.store.reader import Run

__all__ = ["CellTimes", "cell_name", "cells_by_arm", "file_name"]

NAME_BYTES = 240  # NAME_MAX (limits.h) is 255, and a temporary file may have a longer name
DIGEST_BYTES = 8

CellTimes = tuple[dict[str, Any], pd.DataFrame]  # a cell's keys, and its rows of Run.times


def cells_by_arm(run: Run, times: pd.DataFrame) -> Iterator[tuple[str, list[CellTimes]]]:
    """Yield each arm of `times` (rows of Run.times) with its cells, which have the same keys and order in every arm."""
    keys = ["scenario", "metric", "depth", "temperature", *run.parameters]
    for arm, rows in times.groupby("arm", observed=True):
        cells = rows.groupby(keys, observed=True, dropna=False, sort=True)
        yield str(arm), [(dict(zip(keys, values, strict=True)), units) for values, units in cells]


def cell_name(cell: Mapping[str, Any]) -> str:
    """Return the name that a cell has in every arm: `copy_up open hot depth=8 size=4096`."""
    first = ("scenario", "metric", "temperature")
    rest = [f"{key}={value}" for key, value in cell.items() if key not in first and not pd.isna(value)]
    return " ".join([*(str(cell[key]) for key in first), *rest])


def file_name(arm: str, suffix: str = ".json") -> str:
    """Return the file name of an arm, which is unique: its name with `/` (from an option with a path) as `%2F`."""
    name = arm.replace("%", "%25").replace("/", "%2F")
    if len(name.encode()) + len(suffix) > NAME_BYTES:
        digest = hashlib.blake2b(arm.encode(), digest_size=DIGEST_BYTES).hexdigest()
        length = NAME_BYTES - len(suffix) - len(digest) - 1
        name = f"{name.encode()[:length].decode(errors='ignore')}~{digest}"
    return name + suffix
