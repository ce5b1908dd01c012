"""Other tools, asked by their own code: a clear slowdown is found by all, none by none."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.selftest.markdown import as_lines
from bench.selftest.peers import beside, peers
from bench.selftest.results import Batched, trusted
from bench.store.reader import load
from tests.selftest.streams import write_streams

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "pyperf compare_to",
    "pytest-benchmark median:5%",
    "pytest-benchmark median:10%",
    "hyperfine, ratio - σ above 1",
]


def batched(*factors: float) -> Batched:
    random = np.random.default_rng(1)
    trials = tuple((random.normal(1000, 5, 60), factor * random.normal(1000, 5, 60)) for factor in factors)
    return Batched("write", "delay", 0.1, trials, 60, 2.0, len(trials))


@pytest.mark.parametrize(
    ("factors", "counts"),
    [
        ((1.2,), [1, 1, 1, 1]),
        ((1.2, 1.07, 0.8), [2, 2, 1, 2]),
        ((1.003,), [1, 0, 0, 0]),
        ((0.8, 0.9), [0, 0, 0, 0]),
        ((0.8,), [0, 0, 0, 0]),
    ],
)
def test_each_tool_counts_what_it_calls_slower(factors: tuple[float, ...], counts: list[int]) -> None:
    told = peers()
    assert [peer.name for peer in told] == NAMES
    assert [peer.slower(batched(*factors)) if peer.slower else None for peer in told] == counts


def test_a_tool_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    told = peers()
    assert [peer.slower is None for peer in told] == [False, True, True, False]
    assert told[1].reason == "pytest-benchmark is not installed beside the suite"


def test_hyperfines_ratio_and_deviation_are_those_of_its_summary() -> None:
    """Three runs each by hyperfine 1.15: its summary said 1.05 ± 0.02 and 1.00 ± 0.02 times faster."""
    a = np.array([100.0, 101.0, 102.0])
    once = Batched("write", "delay", 0.05, ((a, np.array([105.0, 106.0, 107.0])),), 3, 1.0, 1)
    never = Batched("write", "equal", 0.0, ((a, np.array([100.0, 101.0, 103.0])),), 3, 1.0, 1)
    told = peers()[-1].slower
    assert told is not None
    assert (told(once), told(never)) == (1, 0)


def test_a_shorter_run_is_the_end_of_a_and_the_beginning_of_b() -> None:
    whole = Batched("write", "equal", 0.0, ((np.arange(8.0), np.arange(8.0, 16.0)),), 8, 4.0, 1)
    half = whole.shorter(4)
    assert [list(side) for side in half.trials[0]] == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert (half.size, half.seconds) == (4, 2.0)


def test_the_page_has_them_beside_ours(tmp_path: Path) -> None:
    run = load(write_streams(tmp_path / "run"))
    told = trusted(run)
    assert [len(one.trials) for one in told.batches] == [2, 2, 2]
    assert [len(side) for side in told.batches[0].trials[0]] == [120, 120]
    text = "\n".join(as_lines(told, run, beside(told)))
    assert "| tool | units a side | called slower: equal arms | called slower: 10% slower | a verdict takes |" in text
    assert "| write, ext4 | ours | as many as it takes | 0 of 3 | 2 of 2 |" in text
    for size, seconds in ((30, 60), (60, 120), (120, 240)):
        assert f"| write, ext4 | pytest-benchmark median:5% | {size} | 0 of 2 | 2 of 2 | {seconds:.1f} s |" in text
    assert "| write, ext4 | hyperfine, ratio - σ above 1 | 120 | – | 2 of 2 |" in text
    assert "- write, ext4: ours found 2 of 2, in " in text
    assert "  - pyperf found 2 of 2 with 30 units a side, in 60.0 s a verdict; equal arms it called slower: " in text
