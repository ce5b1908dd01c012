"""The injected slowdown: the real call happens, the wait is at least what was asked for, and nothing stays behind."""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import TYPE_CHECKING

import pytest

from bench.selftest.delay import CALLS, delayed

if TYPE_CHECKING:
    from pathlib import Path


def test_calls_take_longer_and_still_do_what_they_do(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with delayed(2_000_000):
        start = perf_counter_ns()
        assert os.access(tmp_path / "there", os.F_OK)
        assert perf_counter_ns() - start >= 2_000_000
        descriptor = os.open(tmp_path / "there", os.O_RDONLY)
        assert os.read(descriptor, 1) == b"x"
        os.close(descriptor)
        os.unlink(tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_the_calls_are_as_they_were_afterwards_also_after_an_error(tmp_path: Path) -> None:
    before = {name: getattr(os, name) for name in CALLS}
    with pytest.raises(FileNotFoundError), delayed(0):
        os.open(tmp_path / "not", os.O_RDONLY)
    assert {name: getattr(os, name) for name in CALLS} == before
