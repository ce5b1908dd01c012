"""What a gate says of comparisons: those that block share one error, and what a reader has to know is told."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from bench.gate.config import GateConfig, ScenarioOverride
from bench.gate.times import judge_times
from bench.gate.verdict import GateVerdict, Status, Tier
from bench.stats.compared import Compared, compared
from bench.stats.paired import Verdict, Word
from tests.builders import read_back
from tests.pairs import Pairs, rows

if TYPE_CHECKING:
    from pathlib import Path

ADVISORY = {"reads": ScenarioOverride(block=False)}


@pytest.fixture
def told(tmp_path: Path) -> dict[Word, Compared]:
    """One comparison of each outcome."""
    kinds = {
        Word.SLOWER: Pairs((1.2, 1.2)),
        Word.FASTER: Pairs((1 / 1.2, 1 / 1.2)),
        Word.SAME: Pairs((1.0,)),
        Word.INCONCLUSIVE: Pairs((1.2, 1.0)),
    }
    samples, facts = rows(*kinds.values())
    found = dict(zip(kinds, compared(read_back(tmp_path / "run", samples, comparisons=facts)), strict=True))
    assert {word: one.verdict.word for word, one in found.items()} == {word: word for word in kinds}
    return found


def with_p(one: Compared, p: float, **rest: Any) -> Compared:
    return dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, p=p), **rest)


def statuses(told: list[Compared], **settings: Any) -> list[Status]:
    return [one.status for one in judge_times(told, GateConfig(**settings))]


@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        (Word.SLOWER, Status.FAIL, "confirmed on a fresh set-up"),
        (Word.FASTER, Status.PASS, "confirmed on a fresh set-up"),
        (Word.SAME, Status.PASS, "same"),
        (Word.INCONCLUSIVE, Status.INCONCLUSIVE, "one set-up said 1."),
    ],
)
def test_only_slower_fails(told: dict[Word, Compared], word: Word, status: Status, reason: str) -> None:
    (verdict,) = judge_times([told[word]], GateConfig())
    assert (verdict.status, verdict.tier, verdict.blocking) == (status, Tier.TIMES, True)
    assert verdict.reason.startswith(reason)
    assert (verdict.scenario, verdict.name) == ("writes", told[word].name)
    assert verdict.expected == "at most 1.03×"
    assert verdict.seen.endswith(f" in {told[word].verdict.pairs} pairs")
    assert (verdict.severity > 1) == (status is Status.FAIL)


def test_what_blocks_shares_one_error(told: dict[Word, Compared]) -> None:
    """Each p against alpha divided by their number."""
    slower = told[Word.SLOWER]
    fail, unsure = Status.FAIL, Status.INCONCLUSIVE
    assert statuses([with_p(slower, 0.04)]) == [fail]
    assert statuses([with_p(slower, 0.04)] * 2) == [unsure, unsure]
    assert statuses([with_p(slower, p) for p in (0.001, 0.016, 0.0166)]) == [fail] * 3
    assert statuses([with_p(slower, p) for p in (0.05, 0.024, 0.016)]) == [unsure, unsure, fail]
    assert statuses([with_p(slower, p) for p in (0.017, 0.02, 0.05)]) == [unsure] * 3
    assert statuses([with_p(slower, 0.04)], alpha=0.01) == [unsure]


def test_what_is_not_beyond_doubt_among_all_says_so(told: dict[Word, Compared]) -> None:
    verdict, _ = judge_times([with_p(told[Word.SLOWER], 0.04)] * 2, GateConfig())
    assert verdict.reason == "slower, but not beyond doubt among all that this gate judges (p = 0.04)"
    assert verdict.severity == 0


def test_comparisons_of_several_runs_may_have_the_same_number(told: dict[Word, Compared]) -> None:
    slower = [with_p(told[Word.SLOWER], p, number=0) for p in (0.001, 0.05, 0.06)]
    assert statuses(slower) == [Status.FAIL, Status.INCONCLUSIVE, Status.INCONCLUSIVE]


def test_one_that_does_not_block_is_judged_for_itself_and_costs_the_others_nothing(
    told: dict[Word, Compared],
) -> None:
    blocking = [with_p(told[Word.SLOWER], 0.04)]
    advisory = [with_p(told[Word.SLOWER], p, scenario="reads") for p in (0.05, 0.06)]
    verdicts = judge_times([*advisory, *blocking], GateConfig(scenarios=ADVISORY))
    assert [one.status for one in verdicts] == [Status.FAIL, Status.INCONCLUSIVE, Status.FAIL]
    assert [one.blocking for one in verdicts] == [False, False, True]


def test_delta_is_that_with_which_it_was_measured(told: dict[Word, Compared]) -> None:
    one = told[Word.SLOWER]
    lax = dataclasses.replace(one, procedure=dataclasses.replace(one.procedure, delta=0.1))
    (verdict,) = judge_times([lax], GateConfig(delta=0.5))
    assert verdict.expected == "at most 1.1×"
    assert verdict.severity == pytest.approx(one.verdict.ratio.value / 1.1)


def judged_pairs(directory: Path, pairs: Pairs) -> GateVerdict:
    samples, facts = rows(pairs)
    (verdict,) = judge_times(compared(read_back(directory, samples, comparisons=facts)), GateConfig())
    return verdict


def test_a_control_that_moved_is_told(tmp_path: Path) -> None:
    still = judged_pairs(tmp_path / "still", Pairs((1.2, 1.2)))
    moved = judged_pairs(tmp_path / "moved", Pairs((1.2, 1.2), control=(1.0, 1.2)))
    assert "control" not in still.reason
    assert moved.reason.startswith("confirmed on a fresh set-up; the control moved too, to 1.2")
    assert moved.reason.endswith(": read it with care")
    assert still.status is moved.status is Status.FAIL


def test_failed_units_are_told(told: dict[Word, Compared]) -> None:
    (verdict,) = judge_times([dataclasses.replace(told[Word.SAME], failed=3)], GateConfig())
    assert verdict.reason == "same; 3 units failed"


def test_no_pair_at_all_is_inconclusive(tmp_path: Path) -> None:
    verdict = judged_pairs(tmp_path / "run", Pairs((1.2,), pairs=3))
    assert (verdict.status, verdict.seen) == (Status.INCONCLUSIVE, "no pair")
    assert verdict.reason == "it ended before it could tell"


def test_no_comparison_no_verdict() -> None:
    assert judge_times([], GateConfig()) == []


def test_the_verdict_of_the_rows_is_what_is_judged(told: dict[Word, Compared]) -> None:
    """A ratio alone never fails: the word does."""
    one = told[Word.SAME]
    changed: Verdict = dataclasses.replace(one.verdict, p=1e-9)
    assert statuses([dataclasses.replace(one, verdict=changed)]) == [Status.PASS]
