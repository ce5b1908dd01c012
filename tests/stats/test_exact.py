"""Counts of two sides, boot by boot."""

from __future__ import annotations

import pytest

from bench.stats.exact import APART, ONE_BOOT, answer


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        ([1000.0], [1000.0], "same"),
        ([1000.0], [1000.0 * (1 + 2 * ONE_BOOT)], "slower"),
        ([1000.0], [1000.0 * (1 - 2 * ONE_BOOT)], "faster"),
        ([1000.0], [1000.0 * (1 + ONE_BOOT / 2)], "inconclusive"),
        ([1000.0, 1010.0, 990.0], [1000.0, 1010.0, 990.0], "same"),
        ([1000.0, 1010.0, 990.0], [1011.0, 1021.0, 1001.0], "slower"),
        ([1000.0, 1010.0, 990.0], [990.0, 1000.0, 980.0], "faster"),
        ([1000.0, 1001.0, 1002.0], [1000.5, 1001.0, 1002.0], "same"),
        ([1000.0, 1010.0, 990.0], [1010.0, 1000.0, 1000.0], "inconclusive"),
    ],
)
def test_the_word_for_b_against_a(a: list[float], b: list[float], word: str) -> None:
    assert answer(a, b).word == word


def test_equal_counts_are_equal_to_the_instruction() -> None:
    found = answer([1234.5], [1234.5])
    assert (found.ratio.value, found.reason) == (1.0, "equal to the instruction")
    assert APART < ONE_BOOT


def test_each_boot_has_both() -> None:
    with pytest.raises(ValueError, match="each boot has a count of either side"):
        answer([1.0], [])
