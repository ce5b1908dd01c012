"""A run that tests the suite, from rows to what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.errors import BenchError
from bench.selftest.markdown import as_lines
from bench.selftest.peers import beside
from bench.selftest.recorded import Recorded, of_rows
from bench.selftest.results import Gates, trusted
from bench.stats.paired import Word
from bench.store.reader import Run, load
from tests.builders import make_sample, write_run
from tests.selftest.streams import described

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Sample

LOOKS = [12, 24]


def stream(number: int, kind: str, share: float = 0.0, trials: int = 5, **rest: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"label": f"write {kind}", "share": share, "trials": trials, "alpha": 0.025, "looks": LOOKS}
    return described(number, kind, **{**told, **rest})


def run_of(directory: Path, factors: list[float], streams: list[dict[str, Any]], pairs: int = 120) -> Run:
    """Write streams of pairs whose B takes `factors` times as long, interleaved; one unit starts each second."""
    random = np.random.default_rng(1)
    samples: list[Sample] = []
    for block in range(pairs):
        for number, factor in enumerate(factors):
            for side in "ab":
                value = 1000.0 * random.lognormal(0, 0.03) * (factor if side == "b" else 1.0)
                params: dict[str, int | str] = {"comparison": number, "side": side, "setup": 1, "delay": 0}
                sequence = len(samples)
                samples.append(make_sample(sequence, block=block, params=params, metrics={"time": value}))
    return load(write_run(directory, samples, streams=streams, alpha=0.05))


def test_equal_arms_make_gates_and_a_slowdown_is_found(tmp_path: Path) -> None:
    streams = [stream(0, "equal"), stream(1, "equal"), stream(2, "delay", 0.1)]
    told = trusted(run_of(tmp_path / "run", [1.0, 1.0, 1.1], streams))
    assert told.gates == told.longest == Gates(5, 0, 24)
    slowed = told.streams[2]
    assert [trial.verdict.word for trial in slowed.trials] == [Word.SLOWER] * 5
    assert slowed.long_run.low < 1.1 < slowed.long_run.high
    assert slowed.pairs == 120
    assert slowed.pieces == 5
    assert slowed.seconds == pytest.approx(2.0)
    assert slowed.per_verdict(0.5) == pytest.approx(2.0 * 24)


def test_an_alarm_on_equal_arms_is_counted(tmp_path: Path) -> None:
    """What is called equal and is not shows as false alarms: the count can go up."""
    told = trusted(run_of(tmp_path / "run", [1.0, 1.2], [stream(0, "equal"), stream(1, "equal")]))
    assert told.gates.false_alarms == told.gates.count == 5


def test_equal_arms_are_also_cut_by_the_longest_procedure_of_the_run(tmp_path: Path) -> None:
    streams = [stream(0, "equal", trials=10), {**stream(1, "delay", 0.1), "looks": [12, 24, 48]}]
    run = run_of(tmp_path / "run", [1.02, 1.1], [{**streams[0], "looks": [12]}, streams[1]])
    told = trusted(run)
    assert told.gates.pairs == 12
    assert told.longest.pairs == 48
    assert 0 < told.longest.count < told.gates.count
    assert "The same pairs cut into comparisons of at most 48" in "\n".join(as_lines(told, run, beside(told)))


def test_no_comparison_spans_two_stretches_and_the_time_between_is_nobodys(tmp_path: Path) -> None:
    samples: list[Sample] = []
    for block in range(36):
        stretch = 1 if block < 18 else 2  # 18 pairs: one comparison of 12, and half of another
        for side in "ab":
            params: dict[str, int | str] = {"comparison": 0, "side": side, "setup": stretch, "delay": 0}
            value = 1000.0 + block % 7 + (200.0 if side == "b" else 0.0)
            sample = make_sample(len(samples), block=block, params=params, metrics={"time": value})
            samples.append(replace(sample, started=sample.started + 3600 * (stretch - 1)))
    streams = [stream(0, "work", 0.2, trials=3, looks=[9])]
    run = load(write_run(tmp_path / "run", samples, streams=streams, alpha=0.05))
    told = trusted(run)
    [only] = told.streams
    assert [(one.begin, one.end) for one in only.trials] == [(0, 18), (18, 36)], "one and its confirmation in each"
    assert only.pairs == 36
    assert only.seconds == pytest.approx(2.0), "an hour passed between the stretches"
    assert told.records.stretches == 2
    assert told.incomplete == (only,)
    text = "\n".join(as_lines(told, run, []))
    assert "1 of 1 streams have fewer verdicts or pairs than were asked for; `python -m bench aa --resume run`" in text
    assert "Measured in stretches" in text


def test_a_run_that_ended_before_its_first_unit_has_nothing(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "run", [], streams=[stream(0, "equal")], alpha=0.05))
    assert of_rows(run).streams == {0: Recorded()}
    assert run.following == 0


def test_the_page_says_all_of_it(tmp_path: Path) -> None:
    streams = [stream(0, "equal"), stream(1, "delay", 0.1), stream(2, "delay", 0.03)]
    run = run_of(tmp_path / "run", [1.0, 1.1, 1.0], streams)
    text = "\n".join(as_lines(trusted(run), run, []))
    assert "**False alarms: 0 of 5 gates**, 0.0% [0.0%, 52.2%]" in text
    assert "| write delay | 10% delay | 1.1" in text
    assert "5 of 5" in text
    assert "- write delay: 10%" in text, "3 % was not found, so that 10 % is the smallest"
    assert "delta is 3%, so that a slowdown of no more than that is called so only where chance" in text
    assert "0 of the streams' units failed" in text


def test_nothing_is_said_of_slowdowns_within_delta_where_there_is_none(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [1.0, 1.1], [stream(0, "equal"), stream(1, "delay", 0.1)])
    assert "1 + delta" not in "\n".join(as_lines(trusted(run), run, []))


def test_a_run_without_streams_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="does not test the suite"):
        trusted(load(write_run(tmp_path / "run", [make_sample()])))


def test_a_stream_whose_procedure_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"run\.json does not tell its streams: .*; restore the file"):
        trusted(run_of(tmp_path / "run", [1.0], [stream(0, "equal", alpha=2.0)], pairs=2))
