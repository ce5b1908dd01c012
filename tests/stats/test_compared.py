"""From the rows of a run that compared arms to what it says."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from bench.errors import BenchError
from bench.stats.compared import Compared, compared, paired_times
from bench.stats.estimate import geometric
from bench.stats.paired import Procedure, Verdict, Word, confirmed, judge
from bench.store.reader import load
from tests.builders import make_sample, read_back, write_run
from tests.pairs import Pairs, rows

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Sample
    from bench.store.reader import Run


def run_of(directory: Path, *comparisons: Pairs) -> Run:
    samples, told = rows(*comparisons)
    return read_back(directory, samples, comparisons=told)


def one_of(directory: Path, pairs: Pairs) -> Compared:
    (told,) = compared(run_of(directory, pairs))
    return told


def directly(pairs: Pairs) -> Verdict:
    """Return what the pairs say without a file between."""
    values: dict[tuple[int, str], list[float]] = {}
    for setup, _, side, time in pairs.times():
        values.setdefault((setup, side), []).append(time)
    procedure = Procedure(pairs.alpha, pairs.delta, pairs.looks)
    setups = [judge(values[setup, "a"], values[setup, "b"], procedure) for setup in range(1, len(pairs.factors) + 1)]
    return confirmed(setups[0], setups[1] if len(setups) > 1 else None)


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        (Pairs((1.0,)), Word.SAME),
        (Pairs((1.2, 1.2)), Word.SLOWER),
        (Pairs((1 / 1.2, 1 / 1.2)), Word.FASTER),
        (Pairs((1.2, 1.0)), Word.INCONCLUSIVE),
        (Pairs((1.2, 1 / 1.2)), Word.INCONCLUSIVE),
        (Pairs((1.2,)), Word.INCONCLUSIVE),
        (Pairs((1.03,)), Word.INCONCLUSIVE),
        (Pairs((1.2,), pairs=5), Word.INCONCLUSIVE),
    ],
    ids=lambda value: f"{value.factors} {value.pairs}" if isinstance(value, Pairs) else None,
)
def test_the_rows_say_what_the_pairs_say(tmp_path: Path, pairs: Pairs, word: Word) -> None:
    told, straight = one_of(tmp_path / "run", pairs), directly(pairs)
    assert told.verdict.word is straight.word is word
    assert (told.verdict.pairs, told.verdict.reason) == (straight.pairs, straight.reason)
    assert told.verdict.p == pytest.approx(straight.p)
    seen, expected = (dataclasses.astuple(one.ratio) for one in (told.verdict, straight))
    assert seen == pytest.approx(expected, nan_ok=True)


def test_what_was_compared_is_told_from_the_provenance(tmp_path: Path) -> None:
    told = one_of(tmp_path / "run", Pairs((1.2, 1.2)))
    assert (told.scenario, told.metric) == ("writes", "time")
    assert (told.a, told.b) == ("overlay2@ext4", "overlay2,volatile=on@ext4")
    assert told.where == "depth 8, temperature hot, size 4 KiB"
    assert told.name == "time overlay2@ext4 → overlay2,volatile=on@ext4 (depth 8, temperature hot, size 4 KiB)"
    assert told.procedure == Procedure(0.05, 0.03, (12, 24))
    assert (told.units, told.failed) == (2 * 24 * 4, 0)
    assert told.seconds == 2 * 24 * 4 - 1  # one unit starts each second
    assert told.sentence().startswith("slower: 1.2")
    assert told.sentence().endswith("(confirmed on a fresh set-up)")


def test_parameters_in_which_the_sides_differ_are_told_with_them(tmp_path: Path) -> None:
    samples, (facts,) = rows(Pairs(b="overlay2@ext4"))
    facts["b"]["depth"] = 64
    (told,) = compared(read_back(tmp_path / "run", samples, comparisons=[facts]))
    assert (told.a, told.b) == ("overlay2@ext4,depth=8", "overlay2@ext4,depth=64")
    assert told.where == "temperature hot, size 4 KiB"


def test_the_times_are_those_of_the_set_up_that_decides(tmp_path: Path) -> None:
    pairs = Pairs((1.2, 1.2))
    told = one_of(tmp_path / "run", pairs)
    second = {side: [time for setup, _, which, time in pairs.times() if (setup, which) == (2, side)] for side in "ab"}
    assert told.times is not None
    assert [one.value for one in told.times] == pytest.approx([geometric(second[side]).value for side in "ab"])


def test_comparisons_of_one_run_are_told_apart(tmp_path: Path) -> None:
    told = compared(run_of(tmp_path / "run", Pairs((1.2, 1.2)), Pairs((1.0,)), Pairs((1 / 1.2, 1 / 1.2))))
    assert [one.number for one in told] == [0, 1, 2]
    assert [one.verdict.word for one in told] == [Word.SLOWER, Word.SAME, Word.FASTER]
    assert [one.units for one in told] == [192, 96, 192]


def test_cells_of_a_survey_in_the_same_run_do_not_count(tmp_path: Path) -> None:
    samples, facts = rows(Pairs((1.0,)))
    others = [
        make_sample(len(samples) + block, block=block, scenario="writes", depth=8, params={"size": 4096})
        for block in range(20)
    ]
    (told,) = compared(read_back(tmp_path / "run", [*samples, *others], comparisons=facts))
    assert (told.verdict.word, told.units) == (Word.SAME, 96)


def broken(samples: list[Sample], *blocks: int) -> list[Sample]:
    """Let side b of these blocks fail."""
    return [
        dataclasses.replace(sample, metrics={}, operations={}, error="OSError: no")
        if sample.params["side"] == "b" and sample.block in blocks
        else sample
        for sample in samples
    ]


def test_a_failed_unit_breaks_its_pair_alone(tmp_path: Path) -> None:
    samples, facts = rows(Pairs((1.0,), pairs=14))
    run = read_back(tmp_path / "run", broken(samples, 3, 5), comparisons=facts)
    (told,) = compared(run)
    assert (told.failed, told.verdict.pairs, told.verdict.word) == (2, 12, Word.SAME)
    a, b = paired_times(run.times, "a", "b")
    assert len(a) == len(b) == 12
    assert np.all(np.abs(np.log(b / a)) < 0.1), "each with its own other half"


@pytest.mark.parametrize(("control", "moved"), [((1.0, 1.0), False), ((1.2, 1.0), True), ((1.0, 1.2), True)])
def test_a_control_that_moves_in_any_set_up_is_told(tmp_path: Path, control: tuple[float, float], moved: bool) -> None:
    told = one_of(tmp_path / "run", Pairs((1.2, 1.2), control=control))
    assert told.control_moved is moved
    assert told.control.word is (Word.SLOWER if moved else Word.SAME)
    assert told.verdict.word is Word.SLOWER


def test_a_run_that_ended_before_the_first_pair_says_so(tmp_path: Path) -> None:
    samples, facts = rows(Pairs((1.0,)))
    first = [sample for sample in samples if sample.block == 0 and sample.params["side"] != "b"]
    numbered = [dataclasses.replace(sample, sequence=place) for place, sample in enumerate(first)]
    (told,) = compared(read_back(tmp_path / "run", numbered, comparisons=facts))
    assert (told.verdict.word, told.verdict.reason) == (Word.INCONCLUSIVE, "it ended before it could tell")
    assert told.times is None
    assert told.sentence() == "inconclusive: no ratio (it ended before it could tell)"


def test_a_run_without_a_unit_is_an_error_that_says_so(tmp_path: Path) -> None:
    _, facts = rows(Pairs())
    with pytest.raises(BenchError, match=r"run run has no unit: it ended before the first one; give it more time"):
        compared(read_back(tmp_path / "run", [], comparisons=facts))


@pytest.mark.parametrize("told", [None, []])
def test_a_run_that_compares_nothing_says_so(tmp_path: Path, told: Any) -> None:
    samples, _ = rows(Pairs())
    with pytest.raises(BenchError, match=r"run run compares no arms; `python -m bench ab` makes one that does"):
        compared(read_back(tmp_path / "run", samples, comparisons=told))


@pytest.mark.parametrize(
    "change", [{"alpha": 2}, {"delta": 0}, {"looks": []}, {"looks": [24, 12]}, {"looks": [3]}], ids=str
)
def test_a_procedure_that_is_none_names_its_file(tmp_path: Path, change: dict[str, Any]) -> None:
    samples, (facts,) = rows(Pairs())
    with pytest.raises(BenchError, match=r"run\.json does not tell its comparisons: .*; restore the file"):
        compared(read_back(tmp_path / "run", samples, comparisons=[{**facts, **change}]))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"alpha": "much"}, "alpha"),
        ({"looks": None}, "looks"),
        ({"a": None}, "a"),
        ({"b": {"arm": "overlay2@ext4"}}, "b"),
    ],
    ids=str,
)
def test_a_comparison_that_was_spoilt_names_its_file_and_the_place(
    tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    samples, (facts,) = rows(Pairs())
    directory = write_run(tmp_path / "run", samples, comparisons=[facts])
    path = directory / "run.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "comparisons": [{**facts, **change}]}))
    with pytest.raises(BenchError, match=rf"run\.json is not a run's provenance: comparisons\[0\](\.{place})?: "):
        load(directory)


@pytest.mark.parametrize("lost", ["scenario", "metric", "a", "b", "alpha", "delta", "looks"])
def test_a_comparison_that_lacks_something_is_not_written(tmp_path: Path, lost: str) -> None:
    samples, (facts,) = rows(Pairs())
    del facts[lost]
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{lost}`"):
        write_run(tmp_path / "run", samples, comparisons=[facts])


def test_rows_that_name_no_comparison_are_told(tmp_path: Path) -> None:
    _, facts = rows(Pairs())
    with pytest.raises(BenchError, match=r"its rows name no comparison"):
        compared(read_back(tmp_path / "run", [make_sample()], comparisons=facts))
