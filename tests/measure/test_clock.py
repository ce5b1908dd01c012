"""The timed loops call what they are given, in order, with nothing else between."""

from __future__ import annotations

import pytest

from bench.measure import clock


def test_each_calls_once_per_argument_in_order_and_gives_one_time_for_each() -> None:
    calls: list[tuple[int, str]] = []

    def operation(number: int, *, name: str) -> None:
        calls.append((number, name))

    times = clock.each(operation, [(3,), (1,), (2,)], name="x")
    assert calls == [(3, "x"), (1, "x"), (2, "x")]
    assert len(times) == 3
    assert all(isinstance(time, int) and time > 0 for time in times)


def test_each_lets_errors_through_and_calls_nothing_after() -> None:
    calls: list[int] = []

    def operation(number: int) -> None:
        calls.append(number)
        if number == 2:
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        clock.each(operation, [(1,), (2,), (3,)])
    assert calls == [1, 2]


def test_each_reads_the_clock_just_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def read() -> int:
        events.append("clock")
        return len(events)

    monkeypatch.setattr(clock, "perf_counter_ns", read)
    assert clock.each(lambda number: events.append("call"), [(1,), (2,)]) == [2, 2]
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
