"""Arms that differ, in turns and one after the other, from rows to what they say."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.selftest.markdown import as_lines
from bench.selftest.results import trusted
from bench.selftest.ways import BothWays, Way
from bench.stats.estimate import Estimate, ratio
from bench.store.reader import Run, load
from tests.builders import make_sample, write_run
from tests.selftest.streams import SIDE, described

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Sample

PAIRS = 40


def run_of(directory: Path, factors: tuple[float, float], scatters: tuple[float, float], wanted: int = PAIRS) -> Run:
    random = np.random.default_rng(3)
    samples: list[Sample] = []
    for block in range(PAIRS):
        for number, (factor, scatter) in enumerate(zip(factors, scatters, strict=True)):
            for side in "ab":
                value = 1000.0 * random.lognormal(0, scatter) * (factor if side == "b" else 1.0)
                params: dict[str, int | str] = {"comparison": number, "side": side, "setup": 1, "delay": 0}
                samples.append(make_sample(len(samples), block=block, params=params, metrics={"time": value}))
    other = {"arm": "native@ext4", **SIDE}
    streams = [described(number, "different", b=other, apart=bool(number), pairs=wanted) for number in range(2)]
    return load(write_run(directory, samples, streams=streams, alpha=0.05))


def way(value: float, low: float, high: float) -> Way:
    return Way(Estimate(value, low, high, 24, "made"), 0.1, 24, 0, 24)


def pair(turns: tuple[float, float, float], apart: tuple[float, float, float]) -> BothWays:
    return BothWays("write", "a", "b", way(*turns), way(*apart))


def test_both_ways_are_one_line_with_each_ratio_and_scatter(tmp_path: Path) -> None:
    told = trusted(run_of(tmp_path / "run", (0.5, 0.52), (0.02, 0.1)))
    [one] = told.ways
    assert (one.label, one.a, one.b) == ("write, ext4", "overlay2@ext4", "native@ext4")
    assert one.turns.ratio.low < 0.5 < one.turns.ratio.high
    assert one.apart.ratio.low < 0.52 < one.apart.ratio.high
    assert one.turns.scatter == pytest.approx(0.02 * math.sqrt(2), rel=0.4)
    assert one.apart.scatter == pytest.approx(0.1 * math.sqrt(2), rel=0.4)
    assert (one.turns.ratio.n, one.apart.ratio.n) == (PAIRS, PAIRS)
    assert (told.streams, told.batches, told.incomplete) == ((), (), ())
    assert told.gates.count == 0, "arms that differ are no gate over equal arms"


def test_the_page_says_both_ways_and_counts_what_contradicts(tmp_path: Path) -> None:
    agreeing = run_of(tmp_path / "agree", (0.5, 0.5), (0.02, 0.08))
    opposed = run_of(tmp_path / "opposed", (1.25, 0.6), (0.02, 0.08))
    text = "\n".join(as_lines(trusted(agreeing), agreeing, []))
    assert "Of 1 comparisons of arms that differ the two ways contradict each other in 0 " in text
    assert "| write, ext4 | overlay2@ext4 | native@ext4 | 0.5" in text
    assert "contradict each other in 1 " in "\n".join(as_lines(trusted(opposed), opposed, []))


def test_a_stream_of_pairs_that_was_cut_short_is_said_to_be(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", (0.5, 0.5), (0.02, 0.02), wanted=PAIRS + 1)
    assert len(trusted(run).incomplete) == 2
    assert "2 of 2 streams have fewer verdicts or pairs than were asked for" in "\n".join(
        as_lines(trusted(run), run, [])
    )


def test_a_run_without_such_streams_says_so(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", (0.5, 0.5), (0.02, 0.02))
    empty = load(write_run(tmp_path / "empty", [], streams=run.whole["streams"], alpha=0.05))
    text = "\n".join(as_lines(trusted(empty), empty, []))
    assert "whether it is the same ratio\n\nNot measured in this run." in text


def test_the_quotient_of_equal_ratios_is_1_and_its_interval_is_wider_than_either() -> None:
    one = pair((2.0, 1.9, 2.2), (2.0, 1.8, 2.1)).quotient
    assert one.value == 1
    assert one.low < 1.9 / 2.0
    assert one.high > 2.2 / 2.0
    assert not pair((2.0, 1.9, 2.2), (2.0, 1.8, 2.1)).differ


def test_the_other_way_round_the_quotient_is_its_inverse() -> None:
    turns, apart = (1.3, 1.2, 1.45), (1.1, 1.0, 1.15)
    one, other = pair(turns, apart).quotient, pair(apart, turns).quotient
    assert one.value * other.value == pytest.approx(1)
    assert one.low * other.high == pytest.approx(1)
    assert one.high * other.low == pytest.approx(1)


def test_the_quotients_interval_holds_what_is_true_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        logs = random.standard_normal((2, 24)) * np.array([[0.05], [0.15]])
        ways = [Way(ratio(np.exp(x + math.log(3.0)), np.ones(24)), 0.1, 24, 0, 24) for x in logs]
        quotient = BothWays("write", "a", "b", *ways).quotient
        held += quotient.low <= 1 <= quotient.high
    assert 0.93 * 400 <= held <= 0.985 * 400


@pytest.mark.parametrize(
    ("turns", "apart", "contradicts"),
    [
        ((1.2, 1.1, 1.3), (0.8, 0.7, 0.9), True),
        ((0.8, 0.7, 0.9), (1.2, 1.1, 1.3), True),
        ((1.2, 1.1, 1.3), (0.98, 0.9, 1.1), False),
        ((1.2, 1.1, 1.3), (5.0, 4.0, 6.0), False),
    ],
)
def test_only_opposite_findings_contradict(
    turns: tuple[float, float, float], apart: tuple[float, float, float], *, contradicts: bool
) -> None:
    assert pair(turns, apart).contradict == contradicts


def test_what_turns_gain_is_told_of_equal_arms_and_what_they_change_of_others(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", (1.0, 1.0), (0.02, 0.06))
    told = trusted(run)
    [one] = told.ways
    equal = replace(told, ways=(replace(one, b=one.a),))
    text = "\n".join(as_lines(equal, run, []))
    times = (one.apart.scatter / one.turns.scatter) ** 2
    assert f"which takes {times:.1f} times as many pairs" in text
    assert "contradict" not in text
    assert "Of equal arms" not in "\n".join(as_lines(told, run, []))
