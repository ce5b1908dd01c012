"""The order of calls of a unit, whatever happens in it, and what becomes of its row."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError, Interrupted, LostVolumeError
from bench.model import Support, Temperature
from bench.scenario.contract import ProofError
from tests.measure.fakes import (
    Log,
    RecordingDriver,
    RecordingVolume,
    make_cell,
    make_runner,
    recording_scenario,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.scenario.contract import Unit

HOT, NEW, COLD = Temperature.HOT, Temperature.NEW, Temperature.COLD
ORDER = {
    HOT: [
        "create c0", "before", "mount c0", "touch c0", "sync", "operate", "prove", "unmount c0", "after", "remove c0",
    ],
    NEW: [
        "create c0", "before", "create c1", "mount c1", "touch c1", "unmount c1", "remove c1",
        "mount c0", "sync", "operate", "prove", "unmount c0", "after", "remove c0",
    ],
    COLD: [
        "create c0", "before", "sync", "remount", "mount c0", "sync", "operate", "prove", "unmount c0", "after",
        "remove c0",
    ],
}  # fmt: skip
CLEANED = ["unmount c0", "remove c0"]


@pytest.fixture
def log() -> Log:
    return []


def raising(error: BaseException) -> Callable[[Unit], None]:
    def step(unit: Unit) -> None:
        raise error

    return step


@pytest.mark.parametrize("temperature", list(Temperature))
def test_the_order_of_a_unit(log: Log, monkeypatch: pytest.MonkeyPatch, temperature: Temperature) -> None:
    runner, [*_], listener = make_runner(monkeypatch, log, [make_cell(temperature)])
    sample = runner.observe(recording_scenario(log), make_cell(temperature), 0)
    assert log == ORDER[temperature]
    assert sample.error == ""
    assert sample.metrics == {"time": 2.0}
    assert sample.operations == {"time": 3}
    assert sample.how == {"mount": "not at all", "backing": "none rw"}
    assert (sample.temperature, sample.depth, sample.block, sample.sequence) == (temperature, 2, 0, 0)
    assert listener.problems == []


@pytest.mark.parametrize("driver", ["native", "recorded"])
def test_the_order_is_the_same_for_the_native_arm(log: Log, monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    cell = make_cell(NEW, driver=driver)
    runner, _, _ = make_runner(monkeypatch, log, [cell])
    runner.observe(recording_scenario(log), cell, 0)
    assert log == ORDER[NEW]


@pytest.mark.parametrize("step", ["before", "touch", "operate", "prove"])
@pytest.mark.parametrize(
    "error",
    [
        ProofError("not proven: it happened"),
        OSError(errno.ENOENT, "No such file or directory"),
        BenchError("the daemon died"),
        TimeoutError("too long"),
        subprocess.TimeoutExpired("fio", 60),
    ],
)
def test_a_unit_that_fails_is_cleaned_up_and_told_and_the_next_one_runs(
    log: Log, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    cell = make_cell(HOT)
    runner, samples, listener = make_runner(monkeypatch, log, [cell])
    runner.observe(recording_scenario(log, **{step: raising(error)}), cell, 0)  # type: ignore[arg-type]
    cleaned = [call for call in log if call.startswith(("unmount", "remove"))]
    assert cleaned == (CLEANED if "mount c0" in log else ["remove c0"])
    [row] = samples
    assert row.error == f"{type(error).__name__}: {error}"
    assert (row.metrics, row.operations, row.counters, row.expected) == ({}, {}, {}, {})
    assert len(listener.problems) == runner.errors == 1
    log.clear()
    runner.observe(recording_scenario(log), cell, 1)
    assert [call.replace("c1", "c0") for call in log] == ORDER[HOT]
    assert [(row.sequence, bool(row.error)) for row in samples] == [(0, True), (1, False)]


def test_what_was_measured_before_a_failed_proof_is_no_sample(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make_cell()
    runner, [*_], _ = make_runner(monkeypatch, log, [cell])
    sample = runner.observe(
        recording_scenario(log, prove=lambda unit: unit.require_proof(False, "it happened")), cell, 0
    )
    assert sample.error == "ProofError: not proven: it happened"
    assert sample.metrics == {}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_volume_that_cannot_be_written_ends_the_run_after_its_row(
    log: Log, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    cell = make_cell()
    runner, samples, _ = make_runner(monkeypatch, log, [cell])
    broken = recording_scenario(log, operate=raising(OSError(number, os.strerror(number))))
    with pytest.raises(BenchError, match=r"volume disk cannot be written any more: .* in recorded on recorded@disk"):
        runner.observe(broken, cell, 0)
    assert log[-2:] == CLEANED
    assert [os.strerror(number) in row.error for row in samples] == [True]


def test_a_volume_that_is_lost_ends_the_run_after_its_row(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make_cell()
    runner, samples, _ = make_runner(monkeypatch, log, [cell])
    broken = recording_scenario(
        log, operate=raising(LostVolumeError("the kernel does not mount it", why="XFS (loop7)"))
    )
    with pytest.raises(LostVolumeError):
        runner.observe(broken, cell, 0)
    assert log[-2:] == CLEANED
    assert ["XFS (loop7)" in row.error for row in samples] == [True]


def test_a_proof_that_fails_after_the_volume_ran_full_ends_the_run(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make_cell()
    runner, samples, _ = make_runner(monkeypatch, log, [cell])

    def operate(unit: Unit) -> None:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            unit.require_proof(False, "nothing is left")

    with pytest.raises(BenchError, match="volume disk cannot be written any more: No space left on device"):
        runner.observe(recording_scenario(log, operate=operate), cell, 0)
    assert [row.error for row in samples] == ["ProofError: not proven: nothing is left"]


@pytest.mark.parametrize("step", ["before", "touch", "operate", "prove", "after"])
def test_an_interruption_cleans_up_and_leaves_no_row(log: Log, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    cell = make_cell(HOT)
    runner, samples, listener = make_runner(monkeypatch, log, [cell])
    with pytest.raises(Interrupted):
        runner.observe(recording_scenario(log, **{step: raising(Interrupted(signal.SIGTERM))}), cell, 0)  # type: ignore[arg-type]
    assert log[-1] == "remove c0"
    assert log.count("unmount c0") == log.count("mount c0")
    assert (samples, listener.problems, runner.errors) == ([], [], 0)


@pytest.mark.parametrize("call", ["unmount c0", "remove c0"])
def test_an_interruption_is_not_lost_when_the_clean_up_fails_too(
    log: Log, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What was interrupted may hold a file open, so that unmounting fails: the run must still stop."""
    cell = make_cell(HOT)
    runner, samples, _ = make_runner(monkeypatch, log, [cell])
    RecordingDriver.fail[call] = OSError(errno.EBUSY, "Device or resource busy")
    with pytest.raises(Interrupted):
        runner.observe(recording_scenario(log, operate=raising(Interrupted(signal.SIGINT))), cell, 0)
    assert samples == []


@pytest.mark.parametrize("call", ["create c0", "mount c0", "unmount c0", "remove c0"])
def test_a_driver_that_fails_is_an_error_row(log: Log, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    cell = make_cell(HOT)
    runner, samples, _ = make_runner(monkeypatch, log, [cell])
    RecordingDriver.fail[call] = OSError(errno.EBUSY, "Device or resource busy")
    runner.observe(recording_scenario(log), cell, 0)
    assert [row.error for row in samples] == ["OSError: [Errno 16] Device or resource busy"]
    assert call == "create c0" or log[-1] == "remove c0"


def test_a_spare_container_that_fails_is_removed(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make_cell(NEW)
    runner, samples, _ = make_runner(monkeypatch, log, [cell])
    RecordingDriver.fail["mount c1"] = OSError(errno.EINVAL, "Invalid argument")
    runner.observe(recording_scenario(log), cell, 0)
    assert log == ["create c0", "before", "create c1", "mount c1", "remove c1", "remove c0"]
    assert len(samples) == 1


def test_a_cold_cell_where_nothing_can_be_made_cold_is_an_error(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make_cell(COLD)
    volume = RecordingVolume(log, cold=Support.no("it is not ours", "run as root"))
    runner, [*_], _ = make_runner(monkeypatch, log, [cell], volume=volume)
    sample = runner.observe(recording_scenario(log), cell, 0)
    assert sample.error == "BenchError: no cold cell here: it is not ours; run as root"
    assert log[-1] == "remove c0"
    assert "operate" not in log


def test_a_counter_that_is_not_as_expected_is_recorded_and_is_no_error(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(unit: Unit) -> None:
        unit.expect("flushes", 3, 2, why="one fsync")
        unit.expect("bytes", 5, 4, 6, why="between")
        unit.require_proof(True, "it happened")
        unit.require_proof(True, "it happened")

    cell = make_cell()
    runner, [*_], _ = make_runner(monkeypatch, log, [cell])
    sample = runner.observe(recording_scenario(log, prove=prove), cell, 0)
    assert sample.error == ""
    assert sample.metrics == {"time": 2.0}
    assert sample.counters == {"flushes": 3, "bytes": 5}
    assert sample.expected == {"flushes": (2, 2), "bytes": (4, 6)}
    assert [*map(str, sample.mismatches)] == ["flushes is 3, expected 2 (one fsync)"]
    assert sample.proofs == ("it happened",)
    assert runner.errors == 0


def test_a_scenario_without_mounts_gets_no_container(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = recording_scenario(log, needs_container=False)
    cell = make_cell()
    runner, [*_], _ = make_runner(monkeypatch, log, [cell], scenario)
    assert log == []
    assert runner.stacks == {}
    assert runner.observe(scenario, cell, 0).error == ""
    assert log == ["operate", "prove"]


def test_while_the_clock_runs_there_is_one_cpu_and_no_collector(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    scenario = recording_scenario(
        log,
        operate=lambda unit: seen.append((len(os.sched_getaffinity(0)), gc.isenabled())),
        prove=lambda unit: seen.append((len(os.sched_getaffinity(0)), gc.isenabled())),
    )
    before = os.sched_getaffinity(0)
    cell = make_cell()
    runner, _, _ = make_runner(monkeypatch, log, [cell])
    runner.observe(scenario, cell, 0)
    assert seen == [(1, False), (len(before), True)]
    failing = recording_scenario(log, operate=raising(ProofError("no")))
    runner.observe(failing, cell, 0)
    assert os.sched_getaffinity(0) == before
    assert gc.isenabled()


def test_units_draw_from_the_seed_and_their_block_alone(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    cells = [make_cell(depth=1), make_cell(depth=2)]
    scenario = recording_scenario(log, prove=lambda unit: drawn.append(unit.random.random()))
    for _ in range(2):
        runner, _, _ = make_runner(monkeypatch, log, cells, scenario)
        for cell, block in itertools.product(cells, range(2)):
            runner.observe(scenario, cell, block)
    assert drawn[:4] == drawn[4:]
    assert drawn[0] == drawn[2], "the cells of a block draw alike"
    assert drawn[0] != drawn[1]


def test_each_chain_is_built_once_and_synced_before_the_first_unit(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [make_cell(driver=driver, max_blocks=1) for driver in ("native", "recorded")]
    runner, samples, listener = make_runner(monkeypatch, log, cells, built=False)
    assert runner.run() == {"recorded": 1}
    assert log[:3] == ["build native 2", "build recorded 2", "sync"]
    assert not any(call.startswith("build") for call in log[3:])
    assert len(samples) == 2
    assert len(listener.phases) == 2
    assert set(runner.build_seconds) == {"recorded native@disk", "recorded recorded@disk"}


def test_a_build_that_fails_is_one_error_with_the_reason(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, samples, _ = make_runner(monkeypatch, log, [make_cell()], built=False)
    RecordingDriver.fail["build recorded 2"] = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file")
    with pytest.raises(BenchError, match=r"building recorded .* failed: No space left on device \(/some/file\)"):
        runner.run()
    assert samples == []


def test_blocks_hold_every_arm_and_limited_cells_end(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [make_cell(driver="native", max_blocks=3), make_cell(max_blocks=3), make_cell(NEW, max_blocks=1)]
    runner, samples, listener = make_runner(monkeypatch, log, cells)
    assert runner.run() == {"recorded": 3}
    assert [sum(row.block == block for row in samples) for block in range(3)] == [3, 2, 2]
    for block in range(3):
        assert {row.arm.driver for row in samples if row.block == block} == {"native", "recorded"}
    assert [row.sequence for row in samples] == list(range(7))
    assert len(listener.units) == 7


def test_nothing_begins_after_the_deadline(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("bench.measure.runner.time.monotonic", lambda: clock[0])

    def operate(unit: Unit) -> None:
        clock[0] += 10
        unit.record("time", [1.0])

    scenario = recording_scenario(log, operate=operate)
    runner, samples, _ = make_runner(monkeypatch, log, [make_cell(), make_cell(NEW)], scenario, deadline=100)
    assert runner.run() == {"recorded": 4}  # of 20 s each; the fifth would need 23 with its margin
    assert len(samples) == 8
    clock[0] = 95.0
    runner, samples, _ = make_runner(monkeypatch, log, [make_cell(), make_cell(NEW)], scenario, deadline=100)
    assert runner.run() == {}
    assert len(samples) == 1  # the first block is begun, and cut where the time ends


def test_a_resumed_run_leaves_out_what_it_has(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [make_cell(max_blocks=3), make_cell(NEW, max_blocks=3)]
    runner, samples, _ = make_runner(monkeypatch, log, cells)
    runner.finished = {"recorded": 1}
    runner.partial = frozenset({("recorded", 1, cells[1])})
    runner.sequence = 3
    assert runner.run() == {"recorded": 3}
    assert sorted((row.block, row.temperature.value) for row in samples) == [
        (1, "hot"),
        (2, "hot"),
        (2, "new container"),
    ]
    assert [row.sequence for row in samples] == [3, 4, 5]


def test_an_order_of_two_scenarios_by_their_weight(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("bench.measure.runner.time.monotonic", lambda: clock[0])

    def operate(unit: Unit) -> None:
        clock[0] += 1

    scenarios = [recording_scenario(log, name, weight=weight, operate=operate) for name, weight in (("a", 3), ("b", 1))]
    runner, samples, _ = make_runner(
        monkeypatch, log, [make_cell(scenario="a"), make_cell(scenario="b")], *scenarios, deadline=41
    )
    assert runner.run() == {"a": 30, "b": 10}
    assert time.monotonic() == 40
    assert len(samples) == 40
