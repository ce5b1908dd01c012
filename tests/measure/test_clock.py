"""The timed loops call what they are given, in order, with nothing else between."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.kernel.directory import working_directory
from bench.scenario import clock

if TYPE_CHECKING:
    from pathlib import Path


def test_each_calls_once_per_argument_in_order_and_gives_one_time_for_each() -> None:
    calls: list[int] = []
    times = clock.each(calls.append, [3, 1, 2])
    assert calls == [3, 1, 2]
    assert len(times) == 3
    assert all(isinstance(time, int) and time > 0 for time in times)


def test_each_lets_errors_through_and_calls_nothing_after() -> None:
    calls: list[int] = []

    def operation(number: int) -> None:
        calls.append(number)
        if number == 2:
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        clock.each(operation, [1, 2, 3])
    assert calls == [1, 2]


def test_accesses_looks_each_path_up_in_the_directory_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").touch()
    calls: list[tuple[bytes, int, bool]] = []
    real = os.access

    def access(path: bytes, mode: int) -> bool:
        calls.append((path, mode, real(path, mode)))
        return calls[-1][2]

    monkeypatch.setattr(os, "access", access)
    before = os.getcwd()
    assert len(clock.accesses([b"there", b"not"], tmp_path)) == 2
    assert calls == [(b"there", os.F_OK, True), (b"not", os.F_OK, False)]
    assert os.getcwd() == before


def test_passes_look_all_paths_up_between_two_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def read() -> int:
        events.append("clock")
        return 100 * len(events)

    def access(path: bytes, mode: int) -> bool:
        events.append(path.decode())
        return mode == os.F_OK

    monkeypatch.setattr(clock, "perf_counter_ns", read)
    monkeypatch.setattr(os, "access", access)
    assert clock.passes([b"one", b"two"], tmp_path) == [150.0] * clock.PASSES  # three events after the first reading
    assert events == ["clock", "one", "two", "clock"] * clock.PASSES


def test_the_working_directory_is_left_also_after_an_error(tmp_path: Path) -> None:
    before, descriptors = os.getcwd(), os.listdir("/proc/self/fd")

    def work() -> None:
        with working_directory(tmp_path):
            assert os.getcwd() == str(tmp_path)
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        work()
    assert os.getcwd() == before
    assert os.listdir("/proc/self/fd") == descriptors


def test_each_reads_the_clock_just_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def read() -> int:
        events.append("clock")
        return len(events)

    monkeypatch.setattr(clock, "perf_counter_ns", read)
    assert clock.each(lambda number: events.append("call"), [1, 2]) == [2, 2]
    assert events == ["clock", "call", "clock"] * 2


def test_once_gives_the_time_and_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([1000, 1700])
    monkeypatch.setattr(clock, "perf_counter_ns", lambda: next(readings))
    assert clock.once(divmod, 7, 2) == (700, (3, 1))


def test_overhead_is_the_median_of_its_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    state = [0, 0]

    def read() -> int:  # 20 ns between the readings of a pair, but for every tenth pair
        state[0] += 1
        state[1] += 20 if state[0] % 20 else 9000
        return state[1]

    monkeypatch.setattr(clock, "perf_counter_ns", read)
    assert clock.overhead() == 20
    assert state[0] == 2 * clock.OVERHEAD_READINGS
