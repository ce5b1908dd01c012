"""Sizes, arms and cells as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError, nearest
from bench.model import Arm, Cell, Temperature, format_size, parse_size

UNITS = {"": 1, "K": 2**10, "KB": 2**10, "KiB": 2**10, "M": 2**20, "MiB": 2**20, "GiB": 2**30, "T": 2**40, "B": 1}


@given(number=st.integers(0, 10**6), unit=st.sampled_from(list(UNITS)), space=st.sampled_from(["", " "]))
def test_sizes_are_powers_of_1024(number: int, unit: str, space: str) -> None:
    assert parse_size(f"{number}{space}{unit}") == number * UNITS[unit]
    assert parse_size(f" {number}{space}{unit.lower()} ") == number * UNITS[unit]


@pytest.mark.parametrize("text", ["", "4X", "-1", "1.5M", "KiB", "4 K iB", "0x10", "four", "4iB4"])
def test_what_is_no_size_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(BenchError, match="is not a size; write it like 4096, 4KiB"):
        parse_size(text)


@given(number=st.integers(0, 1023), unit=st.sampled_from(["B", "KiB", "MiB", "GiB", "T"]))
def test_whole_sizes_come_back_from_what_people_read(number: int, unit: str) -> None:
    size = number * UNITS[unit]
    assert parse_size(format_size(size)) == size
    assert number == 0 or format_size(size).startswith(f"{number} {unit}")


def test_sizes_that_are_not_whole_keep_three_digits() -> None:
    assert format_size(1500) == "1.46 KiB"
    assert format_size(5000 << 30) == "4.88 TiB"
    assert format_size(-2048) == "-2 KiB"


def test_an_arm_is_named_as_it_is_written() -> None:
    arm = Arm("overlay2", "xfs", (("metacopy", "on"), ("volatile", "on")))
    assert arm.name == "overlay2,metacopy=on,volatile=on@xfs"
    assert arm.stack == "overlay2,metacopy=on,volatile=on"
    assert arm.native.name == "native@xfs"
    assert arm.native.native == arm.native


def test_a_cell_gives_its_parameters_by_name() -> None:
    cell = Cell("copy_up", Arm("overlay2", "xfs"), 8, Temperature.HOT, (("size", 4096), ("position", "top")))
    assert cell.values == {"size": 4096, "position": "top"}


def test_an_unknown_word_gets_the_nearest_known_one_or_all_of_them() -> None:
    assert str(nearest("volume", "exts4", ["ext4", "xfs"])) == "unknown volume 'exts4'; did you mean 'ext4'?"
    assert str(nearest("volume", "zzz", ["xfs", "ext4"])) == "unknown volume 'zzz'; known: ext4, xfs"
    assert str(nearest("volume", "a", [])) == "unknown volume 'a'; known: none"


def test_an_error_is_one_line_with_what_why_and_how_to_mend_it() -> None:
    assert str(BenchError("it failed", why="two\nlines", fix="try\tagain")) == "it failed: two lines; try again"
