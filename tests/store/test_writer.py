"""Writing a run: one writer at a time, and nothing lost but the row that a crash cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.model import Temperature
from bench.store.reader import load
from bench.store.writer import RunWriter, write_json
from tests.builders import make_sample, write_run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    first = RunWriter(tmp_path / "run", {"seed": 1})
    with pytest.raises(BenchError, match="another process is writing run run"):
        RunWriter(tmp_path / "run", {"seed": 2})
    assert load(tmp_path / "run").whole["seed"] == 1
    first.close()
    RunWriter(tmp_path / "run", {"seed": 3}).close()
    assert load(tmp_path / "run").whole["seed"] == 3


def test_a_row_that_a_crash_cut_is_left_out_and_a_resumed_run_goes_on_after_it(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", [make_sample(0), make_sample(1)])
    with (directory / "samples.jsonl").open("a") as file:
        file.write('{"schema":1,"sequence":2,"blo')
    cut = load(directory)
    assert cut.units["sequence"].tolist() == [0, 1]
    assert len(cut.warnings) == 1
    assert "cut short" in cut.warnings[0].text

    write_run(directory, [make_sample(2), make_sample(3)])
    resumed = load(directory)
    assert resumed.units["sequence"].tolist() == [0, 1, 2, 3]
    assert resumed.warnings == ()


def test_a_first_row_that_was_cut_leaves_none(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", [])
    (directory / "samples.jsonl").write_text('{"sch')
    write_run(directory, [make_sample(0)])
    assert load(directory).units["sequence"].tolist() == [0]


def test_an_interrupted_run_says_that_it_is_incomplete(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", {"seed": 7})
    writer.add(make_sample(0))
    run = load(tmp_path / "run")
    writer.close()
    assert run.whole["complete"] is False
    assert len(run.units) == 1
    assert load(write_run(tmp_path / "run", [])).whole["complete"] is True


def test_everything_a_sample_says_comes_back(tmp_path: Path) -> None:
    sample = make_sample(
        5,
        "overlay2,metacopy=on@xfs",
        block=3,
        depth=16,
        temperature=Temperature.COLD,
        params={"size": 4096, "kind": "größer"},
        metrics={"time": 12.5, "rate": 7.0},
        operations={"time": 40},
        counters={"bytes": 4096.0, "flushes": 2.0},
        expected={"bytes": "4096", "flushes": "0"},
        mismatches=("flushes is 2, expected 0 (nothing was synced)",),
        proofs=("one", "two"),
        pace={"cpu": 1, "slowness": 1.5, "slowness_after": 0.98, "waited": 30_000_123},
        how={"cold": "remounted", "tries": "1"},
    )
    run = load(write_run(tmp_path / "run", [sample]))
    keys: dict[str, Any] = {"sequence": 5, "block": 3, "scenario": "first-write", "arm": "overlay2,metacopy=on@xfs"}
    keys |= {"driver": "overlay2", "stack": "overlay2,metacopy=on", "volume": "xfs", "depth": 16}
    keys |= {"temperature": "cold", "size": 4096, "kind": "größer"}
    told: dict[str, Any] = {
        "error": "",
        "mismatches": "flushes is 2, expected 0 (nothing was synced)",
        "proofs": "one; two",
    }
    told |= {"how": {"cold": "remounted", "tries": "1"}, "started": sample.started, **sample.pace}
    assert run.times.to_dict("records") == [
        {**keys, "metric": "time", "value": 12.5, "operations": 40, "disturbed": True},
        {**keys, "metric": "rate", "value": 7.0, "operations": 1, "disturbed": True},
    ]
    assert run.counters.to_dict("records") == [
        {**keys, "counter": "bytes", "value": 4096.0, "expected_low": 4096, "expected_high": 4096, "ok": True},
        {**keys, "counter": "flushes", "value": 2.0, "expected_low": 0, "expected_high": 0, "ok": False},
    ]
    assert run.units.to_dict("records") == [{**keys, **told}]
    assert run.parameters == ("size", "kind")


def test_what_json_has_no_word_for_is_refused(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", {})
    with pytest.raises(ValueError, match="JSON"):
        writer.add(make_sample(0, metrics={"time": float("nan")}))
    writer.close()
    assert len(load(tmp_path / "run").units) == 0


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("inf")})
    assert json.loads(path.read_text()) == {"a": 1}
