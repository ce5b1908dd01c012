"""Figures as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.quantities import interval, quantity, scale

POSITIVE = st.floats(1e-3, 1e15)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1420, "ns", "1.42 µs"),
        (999, "ns", "999 ns"),
        (1e9, "ns", "1.00 s"),
        (12_345e9, "ns", "12,345 s"),
        (0, "ns", "0 ns"),
        (1536, "bytes", "1.50 KiB"),
        (3 * 2**30, "bytes/s", "3.00 GiB/s"),
        (3.1, "×", "3.10×"),
        (0.004, "", "0.00400"),
        (17, "inodes", "17.0 inodes"),
        (577.34, "instructions", "577.3 instr."),
        (295_816, "instructions", "295,816 instr."),
        (4_372_400, "instructions", "4.372 M instr."),
    ],
)
def test_three_digits_in_the_unit_that_fits(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_an_interval_is_in_the_unit_of_its_value() -> None:
    assert interval(1420, 999, 1470, "ns") == "1.42 µs [0.999, 1.47]"
    assert interval(3.1, 3.0, 3.25, "×") == "3.10× [3.00, 3.25]"


@pytest.mark.parametrize(("low", "high"), [(math.nan, 1.0), (1.0, math.nan), (math.nan, math.nan)])
def test_one_unit_alone_has_no_interval_and_says_so(low: float, high: float) -> None:
    assert interval(1420, low, high, "ns") == "1.42 µs [one unit, no interval]"


@given(value=POSITIVE, unit=st.sampled_from(["ns", "bytes", "bytes/s", "×", "inodes"]))
def test_what_is_shown_is_the_value_to_three_digits(value: float, unit: str) -> None:
    name, factor = scale(value, unit)
    shown = quantity(value, unit)
    number = float(shown.removesuffix(name).strip().replace(",", ""))
    assert number * factor == pytest.approx(value, rel=0.0051)


@given(value=POSITIVE, factor=st.floats(1.0, 1e6), unit=st.sampled_from(["ns", "bytes"]))
def test_a_larger_value_never_gets_a_smaller_unit(value: float, factor: float, unit: str) -> None:
    assert scale(value * factor, unit)[1] >= scale(value, unit)[1]
    assert scale(-value, unit) == scale(value, unit)
