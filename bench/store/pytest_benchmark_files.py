"""Write pytest-benchmark/<arm>.json: the times in pytest-benchmark's format, so that its command can compare arms.

    cd results/RUN/pytest-benchmark
    pytest-benchmark compare --name=long native@ext4.json overlay2@ext4.json
    pytest-benchmark compare --name=long --group-by=param:scenario --between=median native@ext4.json overlay2@ext4.json

Each unit is one round, because each unit had a set-up of its own. A cell has the same name in every file and is a
group, so that the arms of a cell are in one table. Times are seconds per operation. The statistics are those of
pytest_benchmark/stats.py; the package itself is not needed.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.store.cells import cell_name, cells_by_arm, file_name
from bench.store.reader import Run
from bench.store.writer import write_json

__all__ = ["rounds_stats", "write_pytest_benchmark"]

NANOSECONDS = 1e9  # pytest-benchmark's unit of time is the second
FORMAT = "5.0.0"  # the version of pytest-benchmark whose format this is
TUKEY = 1.5  # interquartile ranges beyond the quartiles, beyond which a round is an outlier
# The options that correspond to docs/method.md: no calibration, no repetition for a fixed time, no warm-up.
OPTIONS = {
    "disable_gc": True,
    "timer": "perf_counter_ns",
    "min_rounds": None,
    "max_time": None,
    "min_time": None,
    "warmup": False,
}


def write_pytest_benchmark(run: Run, times: pd.DataFrame) -> list[Path]:
    """Write the files of `run` from `times`, the rows of Run.times in nanoseconds; return the files."""
    directory = run.directory / "pytest-benchmark"
    directory.mkdir(exist_ok=True)
    shared = {
        "machine_info": _machine(run),
        "commit_info": _commit(),
        "datetime": run.provenance.started,
        "version": FORMAT,
    }
    written = []
    for arm, cells in cells_by_arm(run, times):
        path = directory / file_name(arm)
        write_json(path, {**shared, "benchmarks": [_benchmark(run, arm, cell, units) for cell, units in cells]})
        written.append(path)
    return written


def _benchmark(run: Run, arm: str, cell: Mapping[str, Any], units: pd.DataFrame) -> dict[str, Any]:
    name = cell_name(cell)
    params = {key: _plain(value) for key, value in cell.items()}
    parsed = run.arms[arm]
    seconds = [float(value) / NANOSECONDS for value in units["value"]]
    return {
        "group": name,
        "name": name,
        "fullname": name,
        "params": params,
        "param": "-".join(str(value) for value in params.values() if value is not None),
        "extra_info": {"arm": arm, "driver": parsed.stack, "volume": parsed.volume, "run": run.id},
        "options": OPTIONS,
        "stats": {**rounds_stats(seconds), "data": seconds, "iterations": int(units["operations"].min())},
    }


def _plain(value: Any) -> int | str | None:
    """Return a key of a cell as a JSON value; None if the scenario has no such parameter."""
    if pd.isna(value):
        return None
    return value if isinstance(value, str) else int(value)


def rounds_stats(data: Sequence[float]) -> dict[str, Any]:
    """Return pytest-benchmark's statistics of the seconds of the rounds, by its own definitions."""
    ordered = sorted(data)
    q1, q3 = _quartiles(ordered)
    iqr = q3 - q1
    low, high = q1 - TUKEY * iqr, q3 + TUKEY * iqr
    mean, total = statistics.mean(data), sum(data)
    stddev = statistics.stdev(data) if len(data) > 1 else 0
    stddev_outliers = sum(not mean - stddev <= value <= mean + stddev for value in data)
    iqr_outliers = sum(not low <= value <= high for value in data)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": stddev,
        "rounds": len(data),
        "median": statistics.median(ordered),
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": iqr_outliers,
        "stddev_outliers": stddev_outliers,
        "outliers": f"{stddev_outliers};{iqr_outliers}",
        "ld15iqr": ordered[bisect_left(ordered, low)],
        "hd15iqr": ordered[bisect_right(ordered, high) - 1],
        "ops": len(data) / total if total else 0,
        "total": total,
    }


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Return Q1 and Q3: the medians of the halves; for an odd number, neighbours are interpolated 3 : 1."""
    count = len(ordered)
    if count == 1:
        return ordered[0], ordered[0]
    if count % 2 == 0:
        return statistics.median(ordered[: count // 2]), statistics.median(ordered[count // 2 :])
    index, rest = divmod(count, 4)
    if rest == 1:
        first = 0.25 * ordered[index - 1] + 0.75 * ordered[index]
        return first, 0.75 * ordered[3 * index] + 0.25 * ordered[3 * index + 1]
    first = 0.75 * ordered[index] + 0.25 * ordered[index + 1]
    return first, 0.25 * ordered[3 * index + 1] + 0.75 * ordered[3 * index + 2]


def _machine(run: Run) -> dict[str, Any]:
    host = run.provenance.host
    python = host.get("python") or {}
    return {
        "node": host.get("hostname"),
        "processor": "",
        "machine": host.get("machine"),
        "python_implementation": python.get("implementation"),
        "python_version": python.get("version"),
        "release": host.get("kernel"),
        "system": "Linux",
        "cpu": {"brand_raw": host.get("cpu_model"), "count": (host.get("cores") or {}).get("logical")},
    }


def _commit() -> dict[str, Any]:
    """Return pytest-benchmark's entry outside of a repository, because a run is not of a commit."""
    return {
        "id": "unversioned",
        "time": None,
        "author_time": None,
        "dirty": False,
        "project": "layer-bench",
        "branch": "(unknown)",
    }
