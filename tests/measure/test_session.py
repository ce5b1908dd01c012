"""Going on with a run: what an earlier part has is not measured again."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import discovery
from bench.errors import BenchError
from bench.measure import session
from bench.measure.request import Request
from bench.measure.session import _observed_cells, _volume_warnings
from bench.measure.workshop import RunContext, _continue
from bench.model import Temperature
from tests.builders import make_sample, read_back, write_run
from tests.measure.fakes import Quiet, make_cell, make_runner

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measure.runner import Runner
    from bench.model import Cell, Sample

HOT, NEW = Temperature.HOT, Temperature.NEW
CELLS = [
    make_cell(HOT, params={"size": 0, "position": "top"}),
    make_cell(HOT, params={"size": 4096, "position": "top"}, max_blocks=2),
    make_cell(NEW, params={"size": 4096, "position": "top"}),
    make_cell(NEW, params={"size": 4096, "position": "top"}, driver="native"),
]

BLOCKS = 4


def sample(number: int, cell: Cell, block: int, **rest: Any) -> Sample:
    return make_sample(
        number,
        cell.arm.name,
        block=block,
        scenario=cell.scenario,
        depth=cell.depth,
        temperature=cell.temperature,
        params=dict(cell.params),
        **rest,
    )


def make_session(path: Path) -> RunContext:
    return RunContext(path, path, ["bench"], Quiet, 0.0)


def resumed(monkeypatch: pytest.MonkeyPatch, directory: Path, have: list[Sample]) -> tuple[Runner, list[Sample]]:
    """Return a runner that goes on after `have`, which were written and read back."""
    rows = _observed_cells(read_back(directory, have))
    runner, samples, _ = make_runner(monkeypatch, [], CELLS)
    _continue(runner, rows)
    return runner, samples


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(have=st.sets(st.tuples(st.integers(0, BLOCKS - 1), st.integers(0, len(CELLS) - 1))), errors=st.booleans())
def test_no_cell_of_a_block_is_ever_measured_twice_and_none_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    have: set[tuple[int, int]],
    errors: bool,
) -> None:
    wanted = {(block, place) for block, place in have if block < (CELLS[place].max_blocks or BLOCKS)}
    rows = [
        sample(number, CELLS[place], block, error="ProofError: no" if errors else "")
        for number, (block, place) in enumerate(sorted(wanted))
    ]
    runner, samples = resumed(monkeypatch, tmp_path_factory.mktemp("r") / "run", rows)
    for block in range(runner.finished.get("recorded", 0), BLOCKS):
        for cell in CELLS:
            if block < (cell.max_blocks or BLOCKS) and ("recorded", block, cell) not in runner.partial:
                runner.observe(discovery.scenario("recorded"), cell, block)
    new = [(row.block, next(place for place, cell in enumerate(CELLS) if same(cell, row))) for row in samples]
    every = {
        (block, place)
        for block in range(BLOCKS)
        for place, cell in enumerate(CELLS)
        if block < (cell.max_blocks or BLOCKS)
    }
    assert not set(new) & wanted
    assert set(new) | wanted == every
    assert len(new) == len(set(new))
    assert [row.sequence for row in samples] == list(range(len(rows), len(rows) + len(samples)))


def same(cell: Cell, row: Sample) -> bool:
    return (cell.arm, cell.temperature, dict(cell.params)) == (row.arm, row.temperature, dict(row.params))


def test_whole_blocks_are_finished_and_the_rest_is_partial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    have = [sample(number, cell, 0) for number, cell in enumerate(CELLS)]
    have.append(sample(9, CELLS[2], 1))
    runner, _ = resumed(monkeypatch, tmp_path / "run", have)
    assert runner.finished == {"recorded": 1}
    assert runner.partial == frozenset({("recorded", 1, CELLS[2])})
    assert runner.sequence == 10


def test_a_run_without_rows_starts_from_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner, _ = resumed(monkeypatch, tmp_path / "run", [])
    assert (runner.finished, runner.partial, runner.sequence) == ({}, frozenset(), 0)


@pytest.mark.parametrize(
    ("provenance", "complete", "message"),
    [
        ({}, True, "run run is complete"),
        ({}, False, "does not say what was asked for"),
        ({"request": {"profile": "quick", "unheard": 1}}, False, "does not say what was asked for"),
        ({"request": {"profile": "quick", "budget": 10.0}, "seconds": 11.0}, False, "has used its 10 s"),
    ],
)
def test_what_cannot_be_resumed_is_refused(
    tmp_path: Path, provenance: dict[str, Any], complete: bool, message: str
) -> None:
    directory = write_run(tmp_path / "run", [], **provenance)
    if not complete:
        text = (directory / "run.json").read_text()
        (directory / "run.json").write_text(text.replace('"complete": true', '"complete": false'))
    with pytest.raises(BenchError, match=message):
        session.resume(directory, make_session(tmp_path))


def test_a_run_is_named_by_time_profile_and_seed_and_overwrites_none(tmp_path: Path) -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    names = []
    for _ in range(3):  # within one second, or after the clock was put back
        names.append(session.new_run_id(tmp_path, Request(profile="full", seed=9), when=when))
        write_run(tmp_path / names[-1], [])
    first = "20260102T030405Z-full-s9"
    assert names == [first, f"{first}-2", f"{first}-3"]


def test_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOCK_NAME", f"\0bench-test-{id(monkeypatch)}")
    with (
        session.host_lock(),
        pytest.raises(BenchError, match="another run is measuring on this machine"),
        session.host_lock(),
    ):
        raise AssertionError("two at a time")
    with session.host_lock():
        pass


@pytest.mark.parametrize(
    ("volumes", "warnings"),
    [
        ({"ext4": {"direct_io": True, "nanoseconds": True}, "dir": {"nanoseconds": True}}, []),
        ({"ext4": {"direct_io": False}, "xfs": {"direct_io": False}}, ["no direct I/O below ext4, xfs: "]),
        ({"ext4,mkfs=-I 128": {"nanoseconds": False}}, ["times of ext4,mkfs=-I 128 have whole seconds: "]),
    ],
)
def test_a_run_warns_of_what_its_volumes_lack(volumes: dict[str, dict[str, bool]], warnings: list[str]) -> None:
    told = _volume_warnings(volumes)
    assert len(told) == len(warnings)
    assert all(one.text.startswith(start) for one, start in zip(told, warnings, strict=True))
