"""Write pyperf/<arm>.json: one suite per arm with the same benchmark names, so that pyperf can compare arms.

    python -m pyperf compare_to results/RUN/pyperf/native@ext4.json results/RUN/pyperf/overlay2@ext4.json

Each unit is one pyperf run with one value, because each unit had a set-up of its own. pyperf refuses a value of zero,
which a clock can give for a time shorter than its resolution. The metadata of a benchmark tell how many of its units
were left out for this (`bench_zeros_left_out`), and how many cells of the arm (`bench_cells_of_zeros_left_out`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyperf

from bench.store.cells import cell_name, cells_by_arm, file_name
from bench.store.reader import Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["write_suites"]

NANOSECONDS = 1e9  # pyperf's unit of time is the second


def write_suites(run: Run, times: pd.DataFrame) -> list[Path]:
    """Write the suites of `run` from `times`, the rows of Run.times in nanoseconds; return the files."""
    directory = run.directory / "pyperf"
    directory.mkdir(exist_ok=True)
    shared = _metadata(run)
    started = dict(zip(run.units["sequence"], run.units["started"], strict=True))
    written = []
    for arm, cells in cells_by_arm(run, times):
        suite = []
        arm_cells = list(cells)
        zero_cells = sum(not (units["value"] > 0).any() for _, units in arm_cells)
        for cell, units in arm_cells:
            name = cell_name(cell)
            zeros = int((units["value"] <= 0).sum())
            facts = {**shared, **_left_out(zeros, zero_cells), "name": name}
            runs = [
                pyperf.Run(
                    [value / NANOSECONDS],
                    metadata={**facts, "loops": int(count), "date": _date(started[sequence])},
                    collect_metadata=False,
                )
                for sequence, value, count in zip(units["sequence"], units["value"], units["operations"], strict=True)
                if value > 0
            ]
            if runs:
                suite.append(pyperf.Benchmark(runs))
        if suite:
            path = directory / file_name(arm)
            pyperf.BenchmarkSuite(suite).dump(str(path), replace=True)
            written.append(path)
    return written


def _left_out(zeros: int, zero_cells: int) -> dict[str, int]:
    """Return the metadata with the numbers of units of a cell, and of cells of the arm, that were left out as zero."""
    counts = {"bench_zeros_left_out": zeros, "bench_cells_of_zeros_left_out": zero_cells}
    return {key: count for key, count in counts.items() if count}


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="microseconds")[:26]


def _metadata(run: Run) -> dict[str, Any]:
    host = run.provenance.host
    facts = {
        "unit": "second",
        "hostname": host.get("hostname"),
        "cpu_model_name": host.get("cpu_model"),
        "platform": f"Linux-{host.get('kernel')}-{host.get('machine')}",
        "python_version": (host.get("python") or {}).get("version"),
        "bench_run": run.id,
        "bench_version": run.provenance.version or None,
    }
    return {key: value for key, value in facts.items() if value is not None}
