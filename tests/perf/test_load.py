"""What reading and analysing a long run takes; no test asserts a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.reading.analysis import Analysis
from bench.store.reader import Run, load
from tests.perf.conftest import CELLS, COUNTERS, METRICS, UNITS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("perf")]  # whose run is written once


@pytest.fixture(scope="module")
def run(large_run: Path) -> Run:
    return load(large_run)


def test_load(benchmark: Any, large_run: Path) -> None:
    run = benchmark.pedantic(load, args=(large_run,), rounds=3)
    assert len(run.units) == UNITS
    assert len(run.times) == UNITS * len(METRICS)
    assert len(run.counters) == UNITS * len(COUNTERS)


def test_cells(benchmark: Any, run: Run) -> None:
    cells = benchmark.pedantic(lambda: Analysis(run, {}).cells, rounds=3)
    assert len(cells) == len(CELLS) * len(METRICS)
    assert cells["n"].sum() == UNITS * len(METRICS)


def test_ratios(benchmark: Any, run: Run) -> None:
    ratios = benchmark.pedantic(lambda: Analysis(run, {}).ratios, rounds=3)
    assert len(ratios) == len(CELLS) * len(METRICS) * 3 // 4  # all but native


def test_counters(benchmark: Any, run: Run) -> None:
    counters = benchmark.pedantic(lambda: Analysis(run, {}).counters, rounds=3)
    assert (counters["matching"] == counters["units"]).all()
    assert counters["units"].sum() == UNITS * len(COUNTERS)
