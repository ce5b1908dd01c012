"""Killed at any moment, a run leaves nothing but its rows, and these can be read."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from bench.host.leftovers import find, remove
from bench.store.reader import load
from tests.cli.command import Bench
from tests.cli.waiting import BOUND, rows_of, wait_for_rows
from tests.integration.places import require
from tests.integration.traces import left, processes

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]
ROUNDS = int(os.environ.get("BENCH_CRASH_ROUNDS", "6"))
SEED = int(os.environ.get("BENCH_CRASH_SEED", "1"))
BUDGET = 6.0
MOMENTS = (0.05, BUDGET - 1)  # seconds after the start: from the first import to the last unit
ENGINES = ("docker/overlay2", "podman/overlay", "containerd/overlayfs")
SCENARIO = ("--scenario", "drivers", "--volume", "ext4")
RUN = [
    *("run", "--scenario", "copy_up,lookup,whiteouts", "--depth", "1,4"),
    *("--size", "4KiB"),
]


def kill(process: subprocess.Popen[str], mark: str, moment: float, chance: random.Random, *, main: bool) -> str:
    """Wait, then kill the main process or any of the family; return which it was."""
    time.sleep(moment)
    family = processes(mark)
    victim = process.pid if main or not family else chance.choice(family)
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return "nobody: it had just ended"
    return "the main process" if victim == process.pid else f"process {family.index(victim)} of {len(family)}"


def check_rows(bench: Bench) -> int:
    """Check that every run that was begun can be read; return the number of rows."""
    rows = 0
    for directory in bench.runs():
        if not (directory / "run.json").exists():  # killed before the second file of a run
            assert not rows_of(directory)
            continue
        run = load(directory)
        assert run.whole["request"]["seed"] == 1
        assert list(run.units["sequence"]) == list(range(len(run.units)))
        rows += len(run.units)
    return rows


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_kill_at_any_moment_leaves_nothing(number: int, place: Path) -> None:
    require(volume="ext4")
    bench = Bench(place)
    chance = random.Random(f"{SEED}:{number}")
    late = number % 3 == 2  # in the middle of measuring, however long it takes to come there
    moment = chance.uniform(0, BUDGET / 4) if late else chance.uniform(*MOMENTS)
    before = bench.traces()
    with bench.start(*RUN, "--budget", f"{BOUND if late else BUDGET:g}s") as process:
        if late:
            wait_for_rows(bench, process, 1)
        who = kill(process, bench.mark, moment, chance, main=number % 2 == 0)
        process.communicate(timeout=BOUND)
    told = f"round {number}, {who}, after {moment:.3f} s{' of measuring' if late else ''}"
    more = left(bench.work, bench.mark, before)
    assert not more, f"{told}: {more}"
    rows = check_rows(bench)
    assert rows or not late, told


@pytest.mark.xdist_group("engines")
@pytest.mark.parametrize("moment", [2.5, 6.0, 9.5])
def test_a_kill_while_engines_run_leaves_nothing(moment: float, place: Path) -> None:
    for driver in ENGINES:
        require(volume="ext4", driver=driver)
    bench = Bench(place)
    before, daemons = bench.traces(), running()
    arms = [word for driver in ENGINES for word in ("--driver", driver)]
    with bench.start("run", "--profile", "standard", "--budget", "40s", *SCENARIO, *arms) as process:
        kill(process, bench.mark, moment, random.Random(SEED), main=True)
        process.communicate(timeout=BOUND)
    more = left(bench.work, bench.mark, before)
    assert not more, f"after {moment} s: {more}"
    end = time.monotonic() + BOUND
    while (alive := running() - daemons) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive
    check_rows(bench)
    for item in find(bench.work):
        if item.kind == "control group":
            remove(item)
    assert not [item for item in find(bench.work) if item.kind == "control group"]


def running() -> set[int]:
    """Return the processes of engines, ours and anybody's: containers do not inherit the mark of a test."""
    names = {"dockerd", "containerd", "containerd-shim-runc-v2", "conmon", "busybox", "zfs-fuse"}
    return {one.pid for one in psutil.process_iter(["name"]) if one.info["name"] in names}


def test_what_a_kill_left_is_gone_on_with(place: Path) -> None:
    require(volume="ext4")
    bench = Bench(place)
    with bench.start("run", "--scenario", "inodes", "--volume", "ext4", "--budget", "5m", "--depth", "1,4") as process:
        wait_for_rows(bench, process, 3)
        process.kill()
        process.communicate(timeout=BOUND)
    [directory] = bench.runs()
    with (directory / "samples.jsonl").open("a") as file:
        file.write('{"schema":1,"sequence":99,"bl')  # as a power cut would leave it
    done = bench("run", "--resume", directory.name)
    assert done.status == 0, done
    run = load(directory)
    assert run.whole["complete"] is True
    assert run.warnings == ()
    cells = [tuple(row) for row in run.units[["block", "arm", "depth", "files"]].itertuples(index=False)]
    assert len(set(cells)) == len(cells)
    assert list(run.units["sequence"]) == list(range(len(run.units)))
    assert set(run.units["block"]) == {0, 1}
