"""What a run is exported as: files that pyperf and pytest-benchmark read, with their own figures."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyperf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats
from pytest_benchmark.utils import ALLOWED_COLUMNS

from bench.model import Temperature
from bench.store.cells import cell_name, file_name
from bench.store.pyperf_files import write_suites
from bench.store.pytest_benchmark_files import TUKEY, rounds_stats, write_pytest_benchmark
from tests.builders import make_sample, make_samples, read_back

if TYPE_CHECKING:
    from pathlib import Path

    from bench.store.reader import Run

NATIVE, OVERLAY2 = "native@ext4", "overlay2@ext4"
BUILD = "fuse-overlayfs,binary=/opt/fuse/bin/fuse-overlayfs@ext4"
NAMES = {"first-write time hot depth=1", "first-write time hot depth=8", "lookup time cold depth=8 kind=miss level=2"}


def a_run(directory: Path) -> Run:
    """A run of three arms; one scenario has parameters that the other lacks."""
    cells: list[dict[str, Any]] = []
    for number, arm in enumerate((NATIVE, OVERLAY2, BUILD), start=1):
        cells += [{"arm": arm, "depth": depth, "metrics": {"time": 1e5 * number}} for depth in (1, 8)]
        lookup: dict[str, Any] = {"scenario": "lookup", "depth": 8, "temperature": Temperature.COLD}
        lookup |= {"params": {"kind": "miss", "level": 2}, "operations": {"time": 7}, "metrics": {"time": 900.0}}
        cells.append({"arm": arm, **lookup})
    host = {"hostname": "somewhere", "machine": "x86_64", "kernel": "6.12.0", "cores": {"logical": 2}}
    return read_back(directory, make_samples(cells), host=host, started="2026-01-02T03:04:05+00:00", version="1")


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    return loaded


def compare(directory: Path, *arguments: str) -> str:
    """Run pytest-benchmark's own command in `directory`; return what it says."""
    command = [sys.executable, "-m", "pytest_benchmark", "compare", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().startswith("Generated csv: ") or not done.stderr, done.stderr
    return done.stdout


def test_pytest_benchmark_compares_two_arms(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    directory = write_pytest_benchmark(run, run.times)[0].parent
    said = compare(directory, "--name=long", f"{NATIVE}.json", f"{OVERLAY2}.json")
    for name in NAMES:
        assert f"benchmark '{name}': 2 tests" in said
        for arm in (NATIVE, OVERLAY2):
            assert f"{name} ({arm})" in said
    assert BUILD not in said


def test_pytest_benchmark_groups_by_what_a_cell_is(tmp_path: Path) -> None:
    """Also by a parameter that only one of the scenarios has."""
    run = a_run(tmp_path / "run")
    paths = write_pytest_benchmark(run, run.times)
    directory, names = paths[0].parent, [path.name for path in paths]
    said = compare(directory, "--group-by=param:scenario,param:kind", *names)
    assert "benchmark 'scenario=first-write kind=None': 6 tests" in said
    assert "benchmark 'scenario=lookup kind=miss': 3 tests" in said
    assert "'first-write-time-1-hot'" in compare(directory, "--group-by=param", *names)


FEW = {"one": [5.0], "equal": [7.0, 7.0, 7.0], "zero": [0.0], "some zeros": [0.0, 3.0]}


def of_few(tmp_path: Path) -> Run:
    """Return a run of cells with one unit, equal units and zeros, on two arms."""
    units = [
        (arm, kind, block, value)
        for arm in (NATIVE, OVERLAY2)
        for kind, values in FEW.items()
        for block, value in enumerate(values)
    ]
    return read_back(
        tmp_path / "run",
        [
            make_sample(number, arm, block=block, params={"kind": kind}, metrics={"time": value})
            for number, (arm, kind, block, value) in enumerate(units)
        ],
    )


@pytest.mark.parametrize("sort", ["min", "max", "mean", "stddev", "name", "fullname"])
def test_pytest_benchmark_reads_cells_of_one_unit_and_of_zeros(sort: str, tmp_path: Path) -> None:
    """Every statistic that its tables, sorts, comparisons and CSV ask for is there."""
    run = of_few(tmp_path)
    directory = write_pytest_benchmark(run, run.times)[0].parent
    files = (f"{NATIVE}.json", f"{OVERLAY2}.json")
    columns = f"--columns={','.join(ALLOWED_COLUMNS)}"
    for more in ((), ("--group-by=param:kind",), (f"--csv={tmp_path / 'told.csv'}",)):
        assert "Legend:" in compare(directory, "--name=long", columns, f"--sort={sort}", *more, *files)
    assert "Legend:" in compare(directory, f"--between={','.join(ALLOWED_COLUMNS[:7])}", f"--sort={sort}", *files)
    rows = (tmp_path / "told.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * len(FEW)
    assert {"stddev", "iqr", "outliers", "ops"} <= set(rows[0].split(","))


def test_pyperf_files_say_how_many_zeros_they_leave_out(tmp_path: Path) -> None:
    run = of_few(tmp_path)
    suite = pyperf.BenchmarkSuite.load(str(write_suites(run, run.times)[0]))
    told = {one.get_name(): one.get_metadata() for one in suite.get_benchmarks()}
    assert set(told) == {f"first-write time hot depth=1 kind={kind}" for kind in ("one", "equal", "some zeros")}
    for name, metadata in told.items():
        assert metadata.get("bench_zeros_left_out") == (1 if "some zeros" in name else None)
        assert metadata["bench_cells_of_zeros_left_out"] == 1


def test_a_file_has_what_the_run_has(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    paths = write_pytest_benchmark(run, run.times)
    assert [path.name for path in paths] == [
        "fuse-overlayfs,binary=%2Fopt%2Ffuse%2Fbin%2Ffuse-overlayfs@ext4.json",
        f"{NATIVE}.json",
        f"{OVERLAY2}.json",
    ]
    assert {path.parent for path in paths} == {run.directory / "pytest-benchmark"}
    for path, arm in zip(paths, (BUILD, NATIVE, OVERLAY2), strict=True):
        told = read(path)
        assert told["machine_info"]["node"] == "somewhere"
        assert told["commit_info"]["id"] == "unversioned"
        assert told["datetime"] == "2026-01-02T03:04:05+00:00"
        assert {item["name"] for item in told["benchmarks"]} == NAMES
        for item in told["benchmarks"]:
            rows = run.times[(run.times["arm"] == arm) & (run.times["depth"] == item["params"]["depth"])]
            rows = rows[rows["scenario"] == item["params"]["scenario"]]
            assert item["stats"]["data"] == [value / 1e9 for value in rows["value"]]
            assert item["stats"]["iterations"] == (7 if item["params"]["scenario"] == "lookup" else 1)
            assert item["extra_info"]["arm"] == arm


def test_pyperf_has_the_same_names_and_files(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    ours, theirs = write_suites(run, run.times), write_pytest_benchmark(run, run.times)
    assert [path.name for path in ours] == [path.name for path in theirs]
    assert set(pyperf.BenchmarkSuite.load(str(ours[0])).get_benchmark_names()) == NAMES


def test_a_run_without_times_has_no_files(tmp_path: Path) -> None:
    run = read_back(tmp_path / "run", [])
    assert write_pytest_benchmark(run, run.times) == []


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-10, 1e4)), min_size=1, max_size=40))
def test_the_statistics_are_those_of_pytest_benchmark(data: list[float]) -> None:
    untyped: Any = Stats
    oracle = untyped()
    for value in data:
        oracle.update(value)
    ours, theirs = rounds_stats(data), oracle.as_dict()
    # Earlier releases than 5.3 gave the first outlier for the highest datum within the fence.
    highest, _ = ours.pop("hd15iqr"), theirs.pop("hd15iqr")
    assert ours == theirs
    assert highest == max(value for value in data if value <= ours["q3"] + TUKEY * ours["iqr"])
    assert all(math.isfinite(value) for value in ours.values() if not isinstance(value, str))


@given(st.sets(st.text("ab/%@", min_size=1, max_size=4), min_size=2))
def test_no_two_arms_have_one_file(arms: set[str]) -> None:
    names = {file_name(arm) for arm in arms}
    assert len(names) == len(arms)
    assert not any("/" in name for name in names)


def test_the_file_of_an_arm_with_a_long_path_can_be_written(tmp_path: Path) -> None:
    arms = [f"fuse-overlayfs,binary=/{'ü' * 200}{end}@ext4" for end in ("1", "2")]
    names = [file_name(arm) for arm in arms]
    assert names[0] != names[1]
    for name in names:
        (tmp_path / f".{name}.new").touch()


def test_a_cell_is_named_by_what_it_has() -> None:
    cell = {"scenario": "copy_up", "metric": "open", "depth": 8, "temperature": "hot", "size": 4096, "kind": None}
    assert cell_name(cell) == "copy_up open hot depth=8 size=4096"
