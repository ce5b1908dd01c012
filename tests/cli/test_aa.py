"""aa for real, as small as it gets: rows, page and nothing left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.store.reader import load
from tests.integration.places import require

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Bench

SMALL = ("--gates", "1", "--trials", "1", "--share", "0.5", "--scenario", "whiteouts", "--volume", "ext4")


@pytest.mark.root
def test_it_measures_streams_and_writes_the_page(bench: Bench, tmp_path: Path) -> None:
    require(volume="ext4", driver="overlay2")
    page = tmp_path / "trust.md"
    with bench.nothing_left(results=True):
        done = bench("aa", *SMALL, "--pairs", "12", "--budget", "60s", "--markdown", str(page))
    assert done.status == 0, done
    assert "**False alarms: " in done.out
    assert "| unlink, ext4 | 50% delay | " in done.out
    assert page.read_text() == done.out
    [run] = bench.runs()
    rows = load(run)
    assert [stream["kind"] for stream in rows.provenance["streams"]] == ["equal", "delay"]
    assert rows.provenance["delays"]["1"] > 0
    slowed = rows.units[(rows.units["comparison"] == 1) & (rows.units["side"] == "b")]
    assert set(slowed["delay"]) == {rows.provenance["delays"]["1"]}
    again = bench("aa", str(run))
    assert (again.status, again.out) == (0, done.out)
    bench("report", str(run)).complains("tests the suite", "bench aa")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scenario", "lookpu"), ("unknown scenario 'lookpu'", "did you mean 'lookup'?")),
        (("--volume", "ext5"), ("unknown volume 'ext5'",)),
        (("--pairs", "2"), ("needs at least",)),
        (("--delta", "0"), ("delta is 0",)),
        (("--gates", "0", "--trials", "0"), ("nothing to test",)),
        (("no-such-run",), ("no run at",)),
        (("--budget", "soon"), ("'soon' is not a time",)),
    ],
)
def test_bad_input_is_one_line(bench: Bench, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    bench("aa", *arguments).complains(*words)


@pytest.mark.root
def test_other_tools_are_asked_about_batches_of_their_own(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    choice = ("--gates", "0", "--trials", "1", "--share", "0.5", "--scenario", "lookup", "--volume", "ext4")
    done = bench("aa", *choice, "--pairs", "12", "--budget", "90s")
    assert done.status == 0, done
    assert "| lookup, ext4 | pyperf compare_to | " in done.out
    assert "| lookup, ext4 | ours | " in done.out
