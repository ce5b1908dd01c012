"""Other tools, asked by their own code: a clear slowdown is found by all, none by none."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.report.peers import peers
from bench.report.trust import as_lines
from bench.stats.trusted import Batched, trusted
from bench.store.reader import load
from tests.builders import make_sample, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Sample

NAMES = ["pyperf compare_to", "pytest-benchmark median:5%", "pytest-benchmark median:10%"]


def batched(*factors: float) -> Batched:
    random = np.random.default_rng(1)
    trials = tuple((random.normal(1000, 5, 60), factor * random.normal(1000, 5, 60)) for factor in factors)
    return Batched("write", "delay", 0.1, trials, 2.0)


@pytest.mark.parametrize(
    ("factors", "counts"),
    [((1.2,), [1, 1, 1]), ((1.2, 1.07, 0.8), [2, 2, 1]), ((0.8, 0.9), [0, 0, 0]), ((0.8,), [0, 0, 0])],
)
def test_each_tool_counts_what_it_calls_slower(factors: tuple[float, ...], counts: list[int]) -> None:
    told = peers()
    assert [peer.name for peer in told] == NAMES
    assert [peer.slower(batched(*factors)) if peer.slower else None for peer in told] == counts


def test_a_tool_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    told = peers()
    assert [peer.slower is None for peer in told] == [False, True, True]
    assert told[1].reason == "pytest-benchmark is not installed beside the suite"


def test_the_page_has_them_beside_ours(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    kinds = [(0, 1.0, False), (1, 1.1, False), (2, 1.0, True), (3, 1.1, True)]
    samples: list[Sample] = []
    for number, factor, batch in kinds:
        for block in range(20 if batch else 48):
            for side in "ab":
                value = 1000.0 * random.lognormal(0, 0.02) * (factor if side == "b" else 1.0)
                params: dict[str, int | str] = {"comparison": number, "side": side, "setup": 1, "delay": 0}
                samples.append(make_sample(len(samples), block=block, params=params, metrics={"time": value}))
    streams = [
        {
            "number": number,
            "label": "write",
            "kind": "delay" if factor > 1 else "equal",
            "metric": "time",
            "share": 0.1 if factor > 1 else 0.0,
            "trials": 2,
            "alpha": 0.05,
            "delta": 0.03,
            "looks": [12, 24],
            **({"batch": 10} if batch else {}),
        }
        for number, factor, batch in kinds
    ]
    run = load(write_run(tmp_path / "run", samples, streams=streams, alpha=0.05))
    told = trusted(run)
    assert [len(one.trials) for one in told.batches] == [2, 2]
    assert [len(side) for side in told.batches[0].trials[0]] == [10, 10]
    text = "\n".join(as_lines(told, run))
    assert "| operation | tool | called slower: equal arms | called slower: 10% slower | time, at most |" in text
    assert "| write | ours | 0 of 2 | 2 of 2 |" in text
    assert "| write | pytest-benchmark median:5% | 0 of 2 | 2 of 2 |" in text
