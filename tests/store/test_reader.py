"""Reading a run: every way in which the files can be wrong, one by one."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.model import Temperature
from bench.store.columns import PACE
from bench.store.reader import load
from bench.store.records import SCHEMA, Row
from bench.store.rows import RESERVED
from bench.store.writer import row
from tests.builders import make_sample, read_back, write_run

if TYPE_CHECKING:
    from pathlib import Path


def good(number: int = 0, /, **changes: Any) -> dict[str, Any]:
    sample = make_sample(number, params={"size": 1}, counters={"bytes": 1.0}, expected={"bytes": "1"})
    return {**row(sample), **changes}


def test_a_row_is_written_as_it_is_read() -> None:
    assert tuple(good()) == tuple(sorted(Row.__struct_fields__, key=tuple(good()).index))


def test_what_schema_2_wrote_as_text_is_read(tmp_path: Path) -> None:
    text = "bytes is 1, expected 2..3 (two (or three))"
    old = good(0, schema=2, expected={"bytes": "2..3"}, mismatches=[text])
    run = load(run_of(tmp_path / "run", json.dumps(old)))
    assert run.units["mismatches"].tolist() == [text]
    assert run.counters[["expected_low", "expected_high", "ok"]].to_numpy().tolist() == [[2, 3, False]]


@pytest.mark.parametrize(
    ("what", "scenario"),
    [
        ("scenario drivers", "drivers"),
        ("lookup on vfs@ext4", "lookup"),
        ("lookup: cold cells", "lookup"),
        ("arm zfs@ext4", ""),
        ("driver zfs", ""),
    ],
)
def test_a_skip_of_schema_2_is_about_its_scenario(tmp_path: Path, what: str, scenario: str) -> None:
    directory = write_run(tmp_path / "run", [])
    told = {"schema": 2, "skips": [{"what": what, "reason": "why", "mend": "how"}], "warnings": ["it was noisy"]}
    (directory / "run.json").write_text(json.dumps(told))
    provenance = load(directory).provenance
    assert [(skip.scenario, skip.reason, skip.fix) for skip in provenance.skips] == [(scenario, "why", "how")]
    assert [str(warning) for warning in provenance.warnings] == ["it was noisy"]


def run_of(directory: Path, *lines: str) -> Path:
    write_run(directory, [])
    (directory / "samples.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return directory


def test_good_rows_are_read(tmp_path: Path) -> None:
    assert len(load(run_of(tmp_path / "run", json.dumps(good(0)), json.dumps(good(1)))).units) == 2


def packed(directory: Path) -> Path:
    path = run_of(directory, json.dumps(good(0)), json.dumps(good(1))) / "samples.jsonl"
    target = path.with_name("samples.jsonl.xz")
    target.write_bytes(lzma.compress(path.read_bytes()))
    path.unlink()
    return target


def test_packed_rows_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    target = packed(tmp_path / "run")
    told = load(target.parent)
    assert (len(told.units), told.samples, told.warnings) == (2, target, ())
    run_of(target.parent, json.dumps(good(0)))
    told = load(target.parent)
    assert (len(told.units), told.samples.name) == (1, "samples.jsonl")


@pytest.mark.parametrize("kept", [-20, 10])
def test_packed_rows_that_were_cut_are_refused(kept: int, tmp_path: Path) -> None:
    target = packed(tmp_path / "run")
    target.write_bytes(target.read_bytes()[:kept])
    with pytest.raises(BenchError, match=r"samples.jsonl.xz is damaged: .*; restore the file"):
        load(target.parent)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metrics": [1.0]}, "metrics: expected a table, got a list"),
        ({"metrics": {"time": "1"}}, "metrics[...]: expected a number, got text"),
        ({"metrics": {"time": None}}, "metrics[...]: expected a number, got nothing"),
        ({"metrics": {"time": 10**400}}, "metrics[...]: number out of range"),
        ({"operations": {"time": 1.5}}, "operations[...]: expected a whole number, got a number"),
        ({"counters": {"bytes": "1"}}, "counters[...]: expected a number, got text"),
        ({"counters": None}, "counters: expected a table, got nothing"),
        ({"expected": {"bytes": 1}}, "expected[...]: expected text or a list, got a whole number"),
        ({"expected": {"bytes": "about 4"}}, "could not convert string to float"),
        ({"expected": {"bytes": [1]}}, "expected[...]: "),
        ({"params": {"size": 1.5}}, "params[...]: expected a whole number or text, got a number"),
        ({"params": {"size": [1]}}, "params[...]: expected a whole number or text, got a list"),
        ({"params": {"size": None}}, "params[...]: expected a whole number or text, got nothing"),
        ({"params": {"size": 2**63}}, "params[...]: "),
        ({"params": {"volume": "ext4"}}, "a parameter cannot be called 'volume'"),
        ({"temperature": "warm"}, "temperature: invalid enum value 'warm'"),
        ({"temperature": ["hot"]}, "temperature: expected text, got a list"),
        ({"depth": "1"}, "depth: expected a whole number, got text"),
        ({"depth": 2**70}, "depth: "),
        ({"sequence": "0"}, "sequence: expected a whole number, got text"),
        ({"block": 0.5}, "block: expected a whole number, got a number"),
        ({"schema": "1"}, "schema: expected a whole number, got text"),
        ({"started": "now"}, "started: expected a number, got text"),
        ({"scenario": 3}, "scenario: expected text, got a whole number"),
        ({"arm": None}, "arm: expected text, got nothing"),
        ({"error": None}, "error: expected text, got nothing"),
        ({"mismatches": "none"}, "mismatches: expected a list, got text"),
        ({"mismatches": ["odd"]}, "mismatch 'odd' is not COUNTER is VALUE"),
        ({"mismatches": [{"counter": "bytes"}]}, "mismatches[0]: it lacks value"),
        ({"proofs": [1]}, "proofs[0]: expected text, got a whole number"),
        ({"how": []}, "how: expected a table, got a list"),
    ],
)
def test_a_row_that_is_no_sample_names_its_line(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    directory = run_of(tmp_path / "run", json.dumps(good(0)), json.dumps(good(1, **changes)), json.dumps(good(2)))
    with pytest.raises(BenchError, match=r"samples\.jsonl line 2 is not a sample") as caught:
        load(directory)
    assert why in str(caught.value)


@pytest.mark.parametrize("key", sorted(good().keys() - {"clock", "options", "pace"}))
def test_a_row_that_lacks_a_key_names_it(tmp_path: Path, key: str) -> None:
    broken = good(1)
    del broken[key]
    with pytest.raises(BenchError, match=f"line 2 is not a sample: it lacks {key}"):
        load(run_of(tmp_path / "run", json.dumps(good(0)), json.dumps(broken)))


@pytest.mark.parametrize("line", ["{", "", "nonsense", '{"a": NaN}'])
def test_a_line_that_is_not_json_names_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(BenchError, match=r"samples\.jsonl line 2 is not JSON"):
        load(run_of(tmp_path / "run", json.dumps(good(0)), line, json.dumps(good(1))))


@pytest.mark.parametrize("line", ["[]", "1", "null", '"text"', "[" * 100_000])
def test_json_that_is_no_object_is_no_sample(tmp_path: Path, line: str) -> None:
    with pytest.raises(BenchError, match="line 1 is not a sample: expected a table"):
        load(run_of(tmp_path / "run", line))


def test_a_line_that_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    directory = run_of(tmp_path / "run", json.dumps(good(0)))
    with (directory / "samples.jsonl").open("ab") as file:
        file.write(b'{"schema": 1, "arm": "\xff"}\n')
    with pytest.raises(BenchError, match="line 2 is not JSON"):
        load(directory)


@pytest.mark.parametrize("place", ["metrics", "counters"])
def test_a_number_beyond_floating_point_names_its_line(tmp_path: Path, place: str) -> None:
    name = "time" if place == "metrics" else "bytes"
    huge = json.dumps(good(1, **{place: {name: 77777}})).replace("77777", "1e999")
    with pytest.raises(BenchError, match=r"line 2 is not a sample: .*: number out of range"):
        load(run_of(tmp_path / "run", json.dumps(good(0)), huge, json.dumps(good(2))))


@pytest.mark.parametrize("sequences", [(1, 0), (0, 0), (0, 2, 1)])
def test_sequence_numbers_that_do_not_rise_are_an_edit(tmp_path: Path, sequences: tuple[int, ...]) -> None:
    directory = run_of(tmp_path / "run", *(json.dumps(good(sequence)) for sequence in sequences))
    with pytest.raises(BenchError, match=f"was edited: its sequence numbers do not rise at line {len(sequences)}"):
        load(directory)


def test_gaps_in_sequence_numbers_are_none(tmp_path: Path) -> None:
    run = load(run_of(tmp_path / "run", json.dumps(good(3)), json.dumps(good(9))))
    assert run.units["sequence"].tolist() == [3, 9]


def test_a_newer_row_is_refused(tmp_path: Path) -> None:
    newer = json.dumps(good(0, schema=SCHEMA + 1))
    with pytest.raises(BenchError, match="line 1 was written by a newer version"):
        load(run_of(tmp_path / "run", newer))


def test_a_newer_run_is_refused(tmp_path: Path) -> None:
    directory = run_of(tmp_path / "run")
    (directory / "run.json").write_text(json.dumps({"schema": SCHEMA + 1}))
    with pytest.raises(BenchError, match="written by a newer version"):
        load(directory)


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": "1"}', '{"schema": 3, "skips": [1]}'])
def test_provenance_without_a_schema_is_refused(tmp_path: Path, text: str) -> None:
    directory = run_of(tmp_path / "run")
    (directory / "run.json").write_text(text)
    with pytest.raises(BenchError, match="not a run's provenance"):
        load(directory)


def test_provenance_that_is_not_json_is_refused(tmp_path: Path) -> None:
    directory = run_of(tmp_path / "run")
    (directory / "run.json").write_text("{")
    with pytest.raises(BenchError, match="cannot read"):
        load(directory)


def test_a_directory_without_provenance_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is not a run"):
        load(tmp_path)


def test_no_directory_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no run at"):
        load(tmp_path / "missing")


def test_samples_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", [])
    (directory / "samples.jsonl").unlink()
    (directory / "samples.jsonl").mkdir()
    with pytest.raises(BenchError, match="cannot read"):
        load(directory)


def test_a_run_that_never_measured_is_empty_and_says_so(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", [])
    (directory / "samples.jsonl").unlink()
    run = load(directory)
    assert [len(frame) for frame in (run.times, run.counters, run.units)] == [0, 0, 0]
    assert {"scenario", "arm", "metric", "value"} <= set(run.times.columns)
    assert "missing" in run.warnings[0].text


def test_failed_units_are_units_and_nothing_else(tmp_path: Path) -> None:
    run = read_back(tmp_path / "run", [make_sample(0), make_sample(1, counters={"bytes": 1.0}, error="not proven: x")])
    assert run.units["error"].tolist() == ["", "not proven: x"]
    assert run.times["sequence"].tolist() == [0]
    assert run.counters.empty


def test_parameters_are_missing_where_a_scenario_has_none(tmp_path: Path) -> None:
    samples = [
        make_sample(0, scenario="a", params={"size": 4096}),
        make_sample(1, scenario="b", params={"kind": "many", "size": 1}),
        make_sample(2, scenario="c", params={"mixed": 1}),
        make_sample(3, scenario="c", params={"mixed": "one"}),
    ]
    run = read_back(tmp_path / "run", samples)
    assert set(run.parameters) == {"size", "kind", "mixed"}
    assert run.times["size"].dtype == pd.Int64Dtype()
    assert run.times["size"].isna().tolist() == [False, False, True, True]
    assert run.times.loc[run.times["size"] == 4096, "scenario"].tolist() == ["a"]
    assert run.times["kind"].isna().tolist() == [True, False, True, True]
    assert run.times["mixed"].tolist()[2:] == [1, "one"]


def test_temperatures_sort_from_hot_to_cold(tmp_path: Path) -> None:
    samples = [make_sample(place, temperature=kind) for place, kind in enumerate(reversed(Temperature))]
    run = read_back(tmp_path / "run", samples)
    assert run.units.sort_values("temperature")["temperature"].tolist() == ["hot", "new container", "cold"]


def test_reserved_names_are_all_columns_of_the_frames(tmp_path: Path) -> None:
    run = read_back(tmp_path / "run", [make_sample(0, params={"size": 1}, counters={"bytes": 1.0})])
    for frame in (run.times, run.counters, run.units):
        assert set(frame.columns) - {"size"} <= RESERVED


def test_a_row_of_schema_1_has_no_pace(tmp_path: Path) -> None:
    old = good(0, schema=1)
    del old["pace"]
    new = good(1, pace={"cpu": 1, "slowness": 1.25, "slowness_after": 1.0, "waited": 70_000})
    units = load(run_of(tmp_path / "run", json.dumps(old), json.dumps(new))).units
    assert units["slowness"].isna().tolist() == [True, False]
    assert units[list(PACE)].to_numpy()[1].tolist() == [1, 1.25, 1.0, 70_000]


@pytest.mark.parametrize("pace", [[], {"cpu": "0"}])
def test_a_pace_that_is_none_is_refused(tmp_path: Path, pace: object) -> None:
    with pytest.raises(BenchError, match="line 1 is not a sample"):
        load(run_of(tmp_path / "run", json.dumps(good(0, pace=pace))))
