"""Where an axis is logarithmic, what it is called, and where a zero stands."""

from __future__ import annotations

import math

import pytest

from bench.report.axes import sweep_axis, value_axis


def test_depths_stay_linear_so_that_a_law_is_a_line() -> None:
    axis = sweep_axis("depth", [1, 16, 125, 500])
    assert not axis.log
    assert axis.label == "depth (layers)"


def test_sizes_over_decades_are_logarithmic_with_their_own_ticks() -> None:
    axis = sweep_axis("size", [4096, 1 << 20, 128 << 20])
    assert axis.log
    assert [text for _, text in sorted(axis.ticks)] == ["4 KiB", "1 MiB", "128 MiB"]
    assert axis.zero is None


@pytest.mark.parametrize("values", [[1, 100, 1000], [0, 4096, 1 << 24], [4096, 65536, 1 << 20, 1 << 24]])
def test_a_logarithmic_x_axis_is_little_longer_than_its_values(values: list[float]) -> None:
    axis = sweep_axis("deletions", values)
    assert axis.log_range == tuple(axis.layout()["range"])
    places = [math.log10(axis.place(value) or 0) for value in values]
    low, high = axis.log_range or (0, 0)
    assert low < min(places) < max(places) < high < low + 1.2 * (max(places) - min(places))


def test_a_zero_stands_apart_on_a_logarithmic_axis() -> None:
    axis = sweep_axis("size", [0, 4096, 128 << 20])
    assert axis.log
    assert axis.zero is not None
    assert axis.edge is not None
    assert 0 < axis.zero < axis.edge < 4096
    assert axis.place(0) == axis.zero
    assert axis.place(4096) == 4096
    assert (axis.zero, "0 B") in axis.ticks


def test_a_narrow_range_with_zero_is_linear() -> None:
    axis = sweep_axis("size", [0, 1 << 20, 4 << 20])
    assert not axis.log
    assert axis.unit == "MiB"
    assert axis.place(4 << 20) == 4


@pytest.mark.parametrize(
    ("values", "unit", "log"),
    [
        ([1200.0, 8000.0], "µs", False),
        ([2e6, 9e6], "ms", False),
        ([120.0, 800.0], "ns", False),
        ([1e3, 4e6], "µs", True),
    ],
)
def test_times_take_the_unit_that_fits(values: list[float], unit: str, log: bool) -> None:
    axis = value_axis("", "ns", values)
    assert (axis.unit, axis.log) == (unit, log)
    assert axis.label == unit


def test_a_negative_value_rules_a_logarithm_out() -> None:
    axis = value_axis("", "1", [-1000.0, 1.0, 1000.0])
    assert not axis.log
    assert axis.place(-1000.0) == -1000.0


def test_what_has_no_place_has_none() -> None:
    axis = value_axis("", "ns", [1.0, 1e6])
    assert axis.place(-1.0) is None
    assert axis.place(math.nan) is None


def test_a_linear_axis_starts_at_zero_and_wide_whiskers_leave_the_frame() -> None:
    axis = value_axis("", "ns", [100.0, 200.0], [120.0, 90_000.0])
    assert axis.linear_range is not None
    low, high = axis.linear_range
    assert low == 0
    assert 200 < high < 500


def test_zero_bytes_beside_many() -> None:
    axis = value_axis("", "bytes", [0.0, 4096.0, float(1 << 30)])
    assert axis.log
    assert axis.place(0) == axis.zero
    assert "0 B" in [text for _, text in axis.ticks]


def test_no_values() -> None:
    assert not value_axis("", "ns", []).log
    assert not sweep_axis("depth", []).log
