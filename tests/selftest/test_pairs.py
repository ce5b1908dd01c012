"""The pairs of a run in place of its rows: the same is read from them, to the last digit."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.selftest.markdown import as_lines
from bench.selftest.page import publish
from bench.selftest.pairs import pack, records
from bench.selftest.peers import beside
from bench.selftest.results import trusted
from bench.store.reader import load
from tests.builders import make_sample, write_run
from tests.selftest.streams import described, write_streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.store.reader import Run

ROOT = Path(__file__).resolve().parents[2]


def without_rows(run: Run) -> Run:
    pack(run)
    run.samples.unlink()
    return load(run.directory)


def edited(run: Run, change: Callable[[dict[str, Any]], object]) -> Run:
    """Return `run` from its pairs, changed."""
    path = pack(run)
    told = json.loads(lzma.decompress(path.read_bytes()))
    change(told)
    path.write_bytes(lzma.compress(json.dumps(told).encode()))
    run.samples.unlink()
    return load(run.directory)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return load(write_streams(tmp_path / "run"))


def test_the_page_from_pairs_is_the_one_from_rows_but_for_where_they_are(run: Run, tmp_path: Path) -> None:
    first = publish(run, tmp_path / "pages")
    text = first.page.read_text()
    kept = without_rows(run)
    second = publish(kept, tmp_path / "pages")
    assert second.lines == first.lines
    assert (second.units, second.errors) == (first.units, first.errors) == (len(run.units), 0)
    lines = [set(page.splitlines()) for page in (text, second.page.read_text())]
    differing = lines[0] ^ lines[1]
    assert len(differing) == 6
    assert all("samples.jsonl" in line or "pairs.json.xz" in line or " alone (made" in line for line in differing)


def test_rows_are_read_where_there_are_both(run: Run) -> None:
    pack(run)
    assert load(run.directory).samples == run.samples
    assert len(load(run.directory).units) == len(run.units)


def test_stretches_failures_and_what_was_odd_are_kept(tmp_path: Path) -> None:
    samples = [
        make_sample(
            number,
            block=number // 2,
            params={"comparison": 0, "side": "ab"[number % 2], "setup": 1 + number // 6, "delay": 0},
            metrics={"time": 1000.5 + number},
            error="no space" if number == 3 else "",
        )
        for number in range(10)
    ]
    streams = [described(0, "equal", trials=1, looks=[12])]
    rows = write_run(tmp_path / "run", samples, streams=streams, alpha=0.05) / "samples.jsonl"
    rows.write_text(rows.read_text() + '{"sequence"')
    before = records(load(rows.parent))
    after = records(without_rows(load(rows.parent)))
    assert after.warnings == before.warnings == ("the last row of samples.jsonl is cut short; it was left out",)
    assert (after.units, after.failed, after.stretches) == (10, 1, 2)
    one, other = before.streams[0], after.streams[0]
    assert (other.blocks, other.failed, other.seconds) == (5, 1, one.seconds)
    assert [[side.tolist() for side in part] for part in other.parts] == [
        [[1000.5, 1004.5], [1001.5, 1005.5]],
        [[1006.5, 1008.5], [1007.5, 1009.5]],
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda told: told["streams"].pop("3"), "has other streams than run.json"),
        (lambda told: told["streams"]["0"]["parts"][0]["a"].pop(), "does not have a run's pairs"),
        (lambda told: told["streams"]["0"]["parts"][0]["a"].append("x"), "does not have a run's pairs"),
        (lambda told: told["streams"]["0"].pop("seconds"), "does not have a run's pairs"),
        (lambda told: told.pop("units"), "does not have a run's pairs"),
        (lambda told: told.update(streams=[]), "does not have a run's pairs"),
        (lambda told: told.update(schema=99), "written by a newer version"),
    ],
)
def test_pairs_that_cannot_be_right_are_refused(run: Run, change: Callable[[Any], object], why: str) -> None:
    with pytest.raises(BenchError, match=why):
        trusted(edited(run, change))


def test_pairs_that_were_cut_are_refused(run: Run) -> None:
    path = pack(run)
    path.write_bytes(path.read_bytes()[:-20])
    run.samples.unlink()
    with pytest.raises(BenchError, match="is damaged"):
        trusted(load(run.directory))


def test_the_page_in_docs_is_what_its_pairs_say() -> None:
    run = load(ROOT / "results/trust")
    told = trusted(run)
    assert "\n".join(as_lines(told, run, beside(told))) + "\n" == (ROOT / "docs/trust.md").read_text()
