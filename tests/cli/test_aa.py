"""aa for real, as small as it gets: rows, page and nothing left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.host.packages import find_program
from bench.model import TURNS
from bench.scenario import reference
from bench.selftest.hyperfine import probe
from bench.store.reader import load
from tests.integration.places import require
from tests.selftest.streams import write_streams

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Bench

WHERE = ("--scenario", "whiteouts", "--volume", "ext4")
SMALL = ("--gates", "1", "--trials", "1", "--share", "0.5", "--different", "0", *WHERE)


@pytest.mark.root
def test_it_measures_streams_and_writes_the_page(bench: Bench, tmp_path: Path) -> None:
    require(volume="ext4", driver="overlay2")
    page = tmp_path / "trust.md"
    with bench.nothing_left(results=True):
        done = bench("aa", *SMALL, "--pairs", "12", "--budget", "60s", "--markdown", str(page))
    assert done.status == 0, done
    assert "**False alarms: " in done.out
    assert "| unlink, ext4 | 50% delay | " in done.out
    [run] = bench.runs()
    said = f"{page.read_text()}page: reports/{run.name}.html\n"
    assert done.out == said
    rows = load(run)
    assert [stream["kind"] for stream in rows.whole["streams"]] == ["equal", "delay"]
    units, times = rows.units, rows.times[rows.times["metric"] == "unlink"]
    assert set(units.loc[units["side"] == "a", "delay"]) == {0}
    assert set(units.loc[(units["comparison"] == 0) & (units["side"] == "b"), "delay"]) == {0}
    slowed = units[(units["comparison"] == 1) & (units["side"] == "b")]
    assert slowed["delay"].nunique() > 1  # half of what A took of late, not of what it took once
    taken = times.loc[times["side"] == "a", "value"]
    assert slowed["delay"].between(0.5 * taken.min(), 0.5 * taken.max()).all()
    again = bench("aa", str(run))
    assert (again.status, again.out) == (0, said)
    assert bench("report", str(run)).out == said


@pytest.mark.root
def test_a_run_that_lacks_verdicts_goes_on_on_new_volumes(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    options = (*SMALL, "--gates", "2", "--pairs", "12", "--gate-pairs", "12", "--budget", "60s")
    done = bench("aa", *options)
    assert done.status == 0, done
    [run] = bench.runs()
    rows = run / "samples.jsonl"
    told = rows.read_text().splitlines(keepends=True)
    had = told[: len(told) // 2]
    rows.write_text("".join(had))
    assert "streams have fewer verdicts or pairs than were asked for" in bench("aa", run.name).out
    bench("aa", "--resume", run.name, "--share", "0.1").complains("--resume takes no --share")
    bench("aa", run.name, "--pack")
    rows.rename(run / "elsewhere")
    bench("aa", "--resume", run.name).complains(
        f"run {run.name} has its pairs only", "put samples.jsonl beside run.json"
    )
    (run / "elsewhere").rename(rows)
    with bench.nothing_left():
        again = bench("aa", "--resume", run.name, "--budget", "60s")
    assert again.status == 0, again
    assert "Measured in stretches, from " in again.out
    assert "fewer verdicts" not in again.out
    assert rows.read_text().splitlines(keepends=True)[: len(had)] == had, "no row is written anew"
    units = load(run).units
    assert units["sequence"].tolist() == list(range(len(units)))
    assert set(units["setup"]) == {0, 1, 2}
    assert units.loc[units["setup"] == 2, "block"].min() > 0
    provenance = load(run).whole
    assert provenance["command"][3:] == ["aa", *options]
    assert [one["units"] for one in provenance["earlier"]] == [len(told)]
    assert provenance["units"] == len(units)
    bench("aa", "--resume", run.name).complains("has all of its verdicts; start a new one")


def test_what_a_page_is_made_of_is_packed_beside_the_rows(bench: Bench, tmp_path: Path) -> None:
    run = write_streams(tmp_path / "made")
    first = bench("aa", str(run), "--pack")
    assert first.status == 0, first
    (run / "samples.jsonl").unlink()
    assert bench("aa", str(run)).out == bench("report", str(run)).out == first.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scenario", "lookpu"), ("unknown scenario 'lookpu'", "did you mean 'lookup'?")),
        (("--volume", "ext5"), ("unknown volume 'ext5'",)),
        (("--pairs", "2"), ("needs at least",)),
        (("--delta", "0"), ("delta is 0",)),
        (("--gates", "0", "--trials", "0", "--different", "0"), ("nothing to test",)),
        (("no-such-run",), ("no run at",)),
        (("--resume", "no-such-run"), ("no run at",)),
        (("--budget", "soon"), ("'soon' is not a time",)),
    ],
)
def test_bad_input_is_one_line(bench: Bench, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    bench("aa", *arguments).complains(*words)


OTHERS = (
    "--gates",
    "0",
    "--trials",
    "1",
    "--different",
    "0",
    "--share",
    "0.1",
    "--scenario",
    "lookup",
    "--volume",
    "ext4",
)


@pytest.mark.root
def test_other_tools_are_asked_about_batches_of_their_own(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    tools = probe({reference.NAME: ""} if find_program("cc") else {})
    done = bench("aa", *OTHERS, "--pairs", "12", "--batch", "12", "--budget", "90s")
    assert done.status == 0, done
    for tool in ("pyperf compare_to | 12", "ours"):
        assert f"| lookup, ext4 | {tool} | " in done.out
    assert ("| lookup, ext4 | hyperfine, ratio - σ above 1 | 12 | " in done.out) == tools.ok
    [run] = bench.runs()
    rows = load(run)
    if not tools.ok:
        assert f"Left out: what hyperfine says: {tools.reason} ({tools.fix})." in done.out
        return
    told = [one for one in rows.whole["streams"] if one.get("tool") == "hyperfine"]
    assert len(told) == 2
    for one in told:
        times = rows.times[(rows.times["comparison"] == one["number"]) & (rows.times["setup"] == 1)]
        assert set(times["metric"]) == {"program"}
        assert len(times) == 24
        assert times["value"].min() > 100_000, "a program takes longer to start than that"


@pytest.mark.parametrize(
    ("there", "tools", "reason"),
    [
        (False, {reference.NAME: "/c"}, "hyperfine is not installed"),
        (True, {}, "no C compiler"),
    ],
)
def test_why_hyperfine_cannot_be_asked(
    there: bool, tools: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.selftest.hyperfine.find_program", lambda name: "/bin/x" if there else None)
    told = probe(tools)
    assert not told.ok
    assert reason in told.reason
    assert told.fix.startswith("apt-get install ")


@pytest.mark.root
def test_arms_that_differ_are_measured_in_turns_and_one_after_the_other(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    options = ("--gates", "0", "--trials", "0", "--different", "8", *WHERE, "--budget", "60s")
    with bench.nothing_left(results=True):
        done = bench("aa", *options)
    assert done.status == 0, done
    [run] = bench.runs()
    rows = load(run)
    told = rows.whole["streams"]
    assert [one["apart"] for one in told] == [False, True] * (len(told) // 2)
    assert {one["kind"] for one in told} == {"different"}
    arms = [one["b"]["arm"] for one in told[::2]]
    left = [one["what"] for one in rows.whole["skips"]]
    for arm in ("overlay2@ext4", "overlay2,volatile=on@ext4", "native@ext4", "fuse-overlayfs@ext4"):
        assert (arm in arms) != any(arm in one for one in left)
        assert (f"| unlink, ext4 | overlay2@ext4 | {arm} | " in done.out) == (arm in arms)
    for one in told:
        mine = rows.units[rows.units["comparison"] == one["number"]]
        assert len(mine) == 16
        assert [how.get("operations") == TURNS for how in mine["how"]] == [not one["apart"]] * 16
    assert f"Of {len(arms) - 1} comparisons of arms that differ the two ways contradict each other in " in done.out
    bench("aa", "--resume", run.name).complains("has all of its verdicts; start a new one")
