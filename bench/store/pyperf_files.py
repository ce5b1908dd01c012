"""pyperf/<arm>.json: one suite per arm with equal benchmark names, so that pyperf itself compares arms.

    python -m pyperf compare_to results/RUN/pyperf/native@ext4.json results/RUN/pyperf/overlay2@ext4.json

Each unit is one pyperf run with one value, because each unit had a set-up of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyperf

from bench.store.cells import cell_name, cells_by_arm, file_name

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from bench.store.reader import Run

__all__ = ["write_suites"]

NANOSECONDS = 1e9  # pyperf's unit of time is the second


def write_suites(run: Run, times: pd.DataFrame) -> list[Path]:
    """Write the suites of `run` from `times`, the rows of Run.times that are nanoseconds; return the files."""
    directory = run.directory / "pyperf"
    directory.mkdir(exist_ok=True)
    shared = _metadata(run)
    started = dict(zip(run.units["sequence"], run.units["started"], strict=True))
    written = []
    for arm, cells in cells_by_arm(run, times):
        suite = []
        for cell, units in cells:
            name = cell_name(cell)
            runs = [
                pyperf.Run(
                    [value / NANOSECONDS],
                    metadata={**shared, "name": name, "loops": int(count), "date": _date(started[sequence])},
                    collect_metadata=False,
                )
                for sequence, value, count in zip(units["sequence"], units["value"], units["operations"], strict=True)
                if value > 0  # pyperf takes no zero
            ]
            if runs:
                suite.append(pyperf.Benchmark(runs))
        if suite:
            path = directory / file_name(arm)
            pyperf.BenchmarkSuite(suite).dump(str(path), replace=True)
            written.append(path)
    return written


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="microseconds")[:26]


def _metadata(run: Run) -> dict[str, Any]:
    host = run.provenance.get("host", {})
    facts = {
        "unit": "second",
        "hostname": host.get("hostname"),
        "cpu_model_name": host.get("cpu_model"),
        "platform": f"Linux-{host.get('kernel')}-{host.get('machine')}",
        "python_version": (host.get("python") or {}).get("version"),
        "bench_run": run.id,
        "bench_version": run.provenance.get("version"),
    }
    return {key: value for key, value in facts.items() if value is not None}
