"""Stopped by a signal: a readable run that says so, and that goes on where it was."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from bench.store.reader import load
from tests.cli.waiting import BOUND, rows_of, wait_for_rows
from tests.integration.places import require

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Bench

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("signals")]  # which share a run that nothing stops
# All cells are limited to two blocks, so that the run ends by itself and its cells can be counted.
LIMITED = ["run", "--scenario", "inodes,limits", "--volume", "ext4", "--budget", "5m", "--depth", "1,2,4"]
KEYS = ["block", "scenario", "arm", "depth", "temperature", "files"]
STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def cells(run: Path) -> list[tuple[object, ...]]:
    units = load(run).units.reindex(columns=KEYS).astype(object).fillna("")  # a parameter of no row yet is no column
    return [tuple(str(value) for value in row) for row in units.itertuples(index=False)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[object, ...]]:
    """The cells of that run when nothing stops it."""
    import shutil
    import tempfile
    from pathlib import Path

    from bench.host import workdir
    from tests.cli.command import Bench

    require(volume="ext4")
    place = Path(tempfile.mkdtemp(prefix="bench-test-", dir=workdir.default()))
    try:
        bench = Bench(place)
        done = bench(*LIMITED)
        assert done.status == 0, done
        [run] = bench.runs()
        found = cells(run)
        assert len(set(found)) == len(found)
        return set(found)
    finally:
        shutil.rmtree(place)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), STOPS)
def test_a_stopped_run_is_readable_and_resumes_without_repeating(
    bench: Bench, whole: set[tuple[object, ...]], number: signal.Signals, status: int
) -> None:
    with bench.nothing_left(results=True):
        process = bench.start(*LIMITED)
        wait_for_rows(bench, process, 3)
        process.send_signal(number)
        out, err = process.communicate(timeout=BOUND)
    assert process.returncode == status
    assert out == ""
    [run] = bench.runs()
    [line] = [line for line in err.splitlines() if line.startswith("bench: stopped")]
    assert line.endswith(f"the samples so far are kept: `python -m bench run --resume {run.name}`")
    assert number.name in line
    assert "Traceback" not in err
    stopped = load(run)
    assert stopped.whole["complete"] is False
    assert stopped.whole["interrupted"] == number.name
    assert 3 <= len(stopped.units) < len(whole)
    assert list(stopped.units["error"].unique()) == [""]
    first = cells(run)
    with bench.nothing_left(results=True):
        done = bench("run", "--resume", run.name)
    assert done.status == 0, done
    both = cells(run)
    assert both[: len(first)] == first
    assert len(set(both)) == len(both)
    assert set(both) == whole
    finished = load(run)
    assert finished.whole["complete"] is True
    assert list(finished.units["sequence"]) == list(range(len(both)))
    bench("run", "--resume", run.name).complains("is complete")


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.9, 1.7, 2.4, 3.1])
def test_a_signal_stops_it_at_any_moment(bench: Bench, moment: float) -> None:
    """While it makes volumes, builds, mounts, syncs or waits for a daemon: it stops, and at once."""
    require(volume="ext4")
    arguments = ["--scenario", "copy_up,lookup", "--volume", "ext4", "--depth", "1,32", "--size", "4KiB,1MiB"]
    with bench.nothing_left(results=True):
        process = bench.start("run", *arguments, "--budget", "10m")
        time.sleep(moment)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=BOUND)  # far less than its ten minutes
    assert process.returncode in {143, -signal.SIGTERM}, err  # or it had not even read its arguments
    assert "Traceback" not in err
    for run in bench.runs():
        if (run / "run.json").exists():  # it ended before the second file of a run, which then has no row
            assert load(run).whole["complete"] is False
        else:
            assert not rows_of(run)
