"""ab and gate as a CI job runs them: what they print and write, and their exit status."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.builders import make_sample, write_run
from tests.gate.made import HOST, HOW
from tests.integration.places import require
from tests.pairs import Pairs, rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Bench, Done

VOLATILE = ("overlay2@ext4", "overlay2,volatile=on@ext4")
SAME_ARM = ("overlay2@ext4", "overlay2@ext4")
COUNTERS = {"inodes": 3, "bytes": 8192}


# For real


@pytest.mark.root
@pytest.mark.parametrize(("options", "way"), [((), "in turns"), (("--apart",), "one after the other")])
def test_ab_tells_that_no_fsync_is_faster(bench: Bench, options: tuple[str, ...], way: str) -> None:
    """A volatile overlay does not sync what it copies up: as certain a difference as there is."""
    require(volume="ext4", driver="overlay2")
    with bench.nothing_left(results=True):
        done = bench("ab", *VOLATILE, "--scenario", "copy_up", "--size", "4KiB", "--pairs", "48", "--json", *options)
    assert done.status == 0, done
    told = json.loads(done.out)
    [run] = bench.runs()
    assert told["run"] == run.name
    [answer] = told["comparisons"]
    assert answer["word"] == "faster"
    value, low, high = answer["ratio"]
    assert 0 < low <= value <= high < 1
    assert (answer["a"], answer["b"]) == VOLATILE
    assert (answer["scenario"], answer["metric"], answer["failed_units"]) == ("copy_up", "first_write", 0)
    assert "confirmed on a fresh set-up" in answer["reason"]
    assert answer["units_of_a_pair"] == way


@pytest.mark.root
def test_ab_that_does_not_come_to_an_answer_ends_with_3_and_gate_reads_its_rows(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    limits = ("--delta", "1e-6", "--pairs", "10", "--alpha", "0.002")  # at 5 %, one in 20 equal arms is a finding
    done = bench("ab", *SAME_ARM, "--scenario", "copy_up", *limits)
    assert done.status == 3, done
    assert "  inconclusive: " in done.out
    assert "  control: a plain directory beside itself " in done.out
    assert " 10 pairs, in turns, in " in done.out
    [run] = bench.runs()
    assert f"rows: results/{run.name}/samples.jsonl" in done.out
    judged = bench("gate", run.name)
    assert judged.status == 0, judged
    assert "no baseline at bench-baseline.json" in judged.out
    assert "inconclusive  copy_up" in judged.out


@pytest.mark.root
def test_an_option_that_the_kernel_ignores_is_told_by_ab_and_gate(bench: Bench) -> None:
    """All layers are on one file system, where xino does nothing."""
    require(volume="ext4", driver="overlay2")
    arms = ("overlay2@ext4", "overlay2,xino=on@ext4")
    words = "option xino=on of overlay2,xino=on@ext4 had no effect: it was taken and ignored"
    done = bench("ab", *arms, "--scenario", "lookup", "--pairs", "6", "--json")
    [answer] = json.loads(done.out)["comparisons"]
    assert answer["without_effect"] == [words]
    [run] = bench.runs()
    judged = bench("gate", run.name)
    assert f"warning: {words}" in judged.out
    rows_text = (run / "samples.jsonl").read_text()
    assert '"without effect": "xino=on"' in rows_text or '"without effect":"xino=on"' in rows_text


@pytest.mark.root
def test_gate_measures_judges_and_makes_a_baseline_that_it_passes(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    what = ("--scenario", "whiteouts", "--volume", "ext4", "--driver", "overlay2", "--budget", "60s")
    with bench.nothing_left(results=True):
        made = bench("gate", "--update", *what)
    assert made.status == 0, made
    assert made.out.startswith("baseline: bench-baseline.json, ")
    passed = bench("gate", "--junit", "gate.xml", *what)
    assert passed.status == 0, passed
    assert passed.out.splitlines()[-1].startswith("gate: pass: ")
    assert ET.parse(bench.place / "gate.xml").getroot().get("failures") == "0"


# Bad input


TABLE: list[tuple[list[str], str]] = [
    (["ab", "overlay2@ext4", "overlay22@ext4"], "unknown driver 'overlay22'; did you mean 'overlay2'?"),
    (["ab", "overlay2@ext4", "overlay2"], "'overlay2' is not an arm; write it like overlay2,"),
    (["ab", "overlay2@exts4", "overlay2@ext4"], "unknown volume 'exts4'; did you mean 'ext4'?"),
    (["ab", "overlay2,volatil=on@ext4", "overlay2@ext4"], "unknown option of overlay2 'volatil'; did you mean"),
    (["ab", "overlay2,volatile=perhaps@ext4", "overlay2@ext4"], "volatile='perhaps' is not known; one of: "),
    (["ab", *SAME_ARM, "--scenario", "copyup"], "unknown scenario 'copyup'; did you mean 'copy_up'?"),
    (["ab", *SAME_ARM, "--scenario", "limits"], "the times of scenario limits are not compared; choose of: "),
    (["ab", *SAME_ARM, "--scenario", "copy_up", "--metric", "first"], "unknown metric of copy_up 'first'"),
    (["ab", *SAME_ARM, "--scenario", "copy_up", "--size", "much"], "'much' is not a size; write it like 4096"),
    (["ab", *SAME_ARM, "--scenario", "copy_up", "--depth", "0"], "'0' is not a depth"),
    (["ab", *SAME_ARM, "--scenario", "copy_up", "--depth", "501"], "the driver takes at most 500 layers"),
    (["ab", *SAME_ARM, "--scenario", "copy_up", "--temperature", "warm"], "unknown temperature 'warm'"),
    (["ab", *SAME_ARM, "--scenario", "copy_up", "--set", "position"], "'position' is not PARAMETER=VALUE"),
    (["ab", *SAME_ARM, "--scenario", "copy_up", "--set", "position=up"], "unknown position 'up'"),
    (["ab", *SAME_ARM, "--scenario", "lookup", "--set", "position=top"], "unknown parameter of lookup 'position'"),
    (["ab", *SAME_ARM, "--scenario", "whiteouts", "--set", "deletions=0"], "deletions='0' is not a whole number"),
    (["ab", *SAME_ARM, "--scenario", "whiteouts", "--set", "deletions=99999999"], "from 1 to 100,000"),
    (["ab", *SAME_ARM, "--pairs", "5"], "needs at least 6 pairs: the smallest p-value of 5 is 0.062"),
    (["ab", *SAME_ARM, "--pairs", "6", "--alpha", "0.01"], "needs at least 8 pairs"),
    (["ab", *SAME_ARM, "--pairs", "0"], "looks are not rising numbers of pairs"),
    (["ab", *SAME_ARM, "--alpha", "0"], "alpha is 0, not between 0 and 1"),
    (["ab", *SAME_ARM, "--alpha", "1.5"], "alpha is 1.5, not between 0 and 1"),
    (["ab", *SAME_ARM, "--alpha", "nan"], "alpha is nan, not between 0 and 1"),
    (["ab", *SAME_ARM, "--alpha", "1e-20"], "alpha is 1e-20: it must be at least 1e-09"),
    (["ab", *SAME_ARM, "--delta", "0"], "delta is 0, not above 0 and up to 1"),
    (["ab", *SAME_ARM, "--delta", "inf"], "delta is inf, not above 0 and up to 1"),
    (["ab", *SAME_ARM, "--budget", "soon"], "'soon' is not a time; write it like 90s, 5m or 1h"),
    (["ab", "overlay2@ext4"], "Missing argument 'ARM'"),
    (["gate", "nothing"], "no run at results/nothing"),
    (["gate", "--config", "missing.toml"], "no missing.toml; give the pyproject.toml that has the gate's settings"),
    (["gate", "--no-counters"], "nothing to judge: no counters and no comparison; give --compare A B"),
    (["gate", "--no-counters", "--compare", "overlay2@ext4", "overlay22@ext4"], "unknown driver 'overlay22'"),
    (["gate", "--scenario", "copyup"], "unknown scenario 'copyup'"),
    (["gate", "--driver", "overlay22"], "unknown driver 'overlay22'"),
    (["gate", "--budget", "soon"], "'soon' is not a time"),
    (["gate"], "no baseline bench-baseline.json; make one from a run you trust, and commit it"),
    (["gate", "--junit", "missing/gate.xml"], "cannot write missing/gate.xml: missing is no directory; make it first"),
    (["gate", "--markdown", "missing/gate.md"], "cannot write missing/gate.md"),
]  # fmt: skip


@pytest.mark.root
@pytest.mark.parametrize(
    ("arguments", "words"), TABLE, ids=lambda value: " ".join(value) if type(value) is list else ""
)
def test_bad_input_is_one_line_before_anything_is_measured(bench: Bench, arguments: list[str], words: str) -> None:
    require(volume="ext4", driver="overlay2")
    with bench.nothing_left():
        bench(*arguments).complains(words)


@pytest.mark.root
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("alpah = 0.1", "unknown [tool.bench.gate] key 'alpah'; did you mean 'alpha'?"),
        ("alpha = 0", "[tool.bench.gate] alpha is 0: expected a number > 0"),
        ("alpha = 1e-20\ncompare = [{a = 'overlay2@ext4', b = 'overlay2@ext4'}]", "set a larger alpha in [tool.bench"),
        ("delta = -1", "[tool.bench.gate] delta is -1"),
        ("inconclusive = 'perhaps'", "[tool.bench.gate] value of inconclusive, 'perhaps'"),
        ("stored-times = 'on'", "value of stored-times, 'on'"),
        ("budget = 'soon'", "[tool.bench.gate] budget: 'soon' is not a time"),
        ("compare = [{a = 'overlay2@ext4'}]", "[tool.bench.gate] comparison 1 cannot be read: it lacks b"),
        ("compare = [{a = 'overlay2@ext4', b = 'overlay22@ext4'}]", "unknown driver 'overlay22'"),
        ("compare = [{a = 'overlay2@ext4', b = 'x', scenario = 'copyup'}]", "unknown scenario in [tool.bench.gate]"),
        ("scenario.copyup.block = false", "unknown scenario in [tool.bench.gate] 'copyup'"),
        ("scenario.copy_up.blok = false", "unknown [tool.bench.gate.scenario.copy_up] key 'blok'"),
        ("tolerance = {'copyup.bytes' = 0.1}", "unknown scenario in [tool.bench.gate] 'copyup'"),
        ("tolerance = {bytes = 0.1}", "[tool.bench.gate.tolerance] 'bytes' names no counter"),
        ("alpha = ", "pyproject.toml is not TOML"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_one_line(bench: Bench, settings: str, words: str) -> None:
    require(volume="ext4", driver="overlay2")
    (bench.place / "pyproject.toml").write_text(f"[tool.bench.gate]\n{settings}\n")
    with bench.nothing_left():
        bench("gate").complains(words)


@pytest.mark.root
def test_the_scenarios_asked_for_are_those_of_the_settings_comparisons_too(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    set_gate(bench, "compare = [{a = 'overlay2@ext4', b = 'overlay2@ext4', scenario = ['lookup', 'copy_up']}]")
    with bench.nothing_left():
        bench("gate", "--no-counters", "--scenario", "limits").complains("nothing to judge")
    done = bench("gate", "--no-counters", "--scenario", "copy_up,limits", "--budget", "8s")
    assert done.status == 0, done
    [run] = bench.runs()
    told = json.loads((run / "run.json").read_text())["comparisons"]
    assert [one["scenario"] for one in told] == ["copy_up"]


@pytest.mark.root
def test_a_time_too_short_for_one_unit_is_told(bench: Bench) -> None:
    require(volume="ext4", driver="overlay2")
    done = bench("ab", *SAME_ARM, "--scenario", "copy_up", "--budget", "0s")
    done.complains("has no unit: it ended before the first one; give it more time", alone=False)
    done = bench("gate", "--no-counters", "--compare", *SAME_ARM, "--scenario", "copy_up", "--budget", "0s")
    done.complains("nothing was measured: the time was up before the first unit; give a larger --budget", alone=False)


# Runs that are there


def write(bench: Bench, name: str, *comparisons: Pairs, **counters: float) -> str:
    """Write a run of one cell with these counters and of comparisons; return its name."""
    told = {**COUNTERS, **counters}
    counted = [
        make_sample(block, block=block, scenario="copy_up", counters=told, how=HOW, params={"size": 4096})
        for block in range(2)
    ]
    paired, facts = rows(*comparisons, sequence=len(counted))
    more: dict[str, Any] = {"comparisons": facts} if facts else {}
    write_run(bench.results / name, [*counted, *paired], host=HOST, version="1.2.3", **more)
    return name


def first_write(*factors: float) -> Pairs:
    return Pairs(factors, scenario="copy_up", metric="first_write")


def set_gate(bench: Bench, text: str) -> None:
    (bench.place / "pyproject.toml").write_text(f"[tool.bench.gate]\n{text}\n")


@pytest.fixture
def baseline(bench: Bench) -> Path:
    done = bench("gate", write(bench, "old"), "--update")
    assert done == type(done)(0, "baseline: bench-baseline.json, 2 counters and 0 ratios to native\n", "")
    return bench.place / "bench-baseline.json"


def in_github(bench: Bench) -> Path:
    """Let commands run as in a step of GitHub Actions; return the step's summary."""
    summary = bench.place / "summary.md"
    bench.environment |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    return summary


def cases(path: Path) -> dict[str, str]:
    """Return what the test cases of a JUnit file say, by name."""
    suites = ET.parse(path).getroot()
    found = {}
    for case in suites.iter("testcase"):
        (child,) = [*case] or [None]
        found[str(case.get("name"))] = "passed" if child is None else child.tag
    assert str(len(found)) == suites.get("tests")
    return found


def test_update_writes_a_baseline_that_a_person_can_read_and_that_the_run_passes(bench: Bench, baseline: Path) -> None:
    lines = baseline.read_text().splitlines()
    assert '  "copy_up bytes overlay2@ext4 hot depth=1 size=4096": [8192, 8192],' in lines
    assert '  "copy_up inodes overlay2@ext4 hot depth=1 size=4096": [3, 3]' in lines
    again = bench("gate", "old", "--update", "--baseline", "again.json")
    assert again.status == 0
    assert (bench.place / "again.json").read_bytes() == baseline.read_bytes()
    done = bench("gate", "old")
    assert (done.status, done.err) == (0, "")
    assert done.out == "gate: pass: 3 passed\n", "two counters and the mount options"


def test_a_run_without_a_regression_passes_everywhere(bench: Bench, baseline: Path) -> None:
    summary = in_github(bench)
    name = write(bench, "new", first_write(1.0))
    done = bench("gate", name, "--baseline", str(baseline), "--junit", "gate.xml", "--markdown", "gate.md")
    assert (done.status, done.err) == (0, "")
    assert "gate: pass: " in done.out
    assert "pass     copy_up" in done.out, "a comparison is shown even if it passes"
    assert "::error" not in done.out
    assert set(cases(bench.place / "gate.xml").values()) == {"passed"}
    assert summary.read_text() == (bench.place / "gate.md").read_text()
    assert summary.read_text().startswith("## Gate: pass\n")


def told_everywhere(bench: Bench, done: Done, summary: Path, figure: str, kind: str = "fail") -> None:
    """Check that a figure is named in the table, JUnit, Markdown and annotations as what fails the gate."""
    table = [line for line in done.out.splitlines() if line.startswith(f"{kind} ") and figure in line]
    assert len(table) == 1, done.out
    assert cases(bench.place / "gate.xml")[figure] == "failure"
    marked = re.sub(r"\\(.)", r"\1", (bench.place / "gate.md").read_text())
    assert [line for line in marked.splitlines() if line.startswith(f"| {kind} ") and figure in line]
    assert summary.read_text() == (bench.place / "gate.md").read_text()
    title = f"copy_up {figure}".replace(":", "%3A").replace(",", "%2C")
    assert f"\n::error title={title}::{kind}: " in done.out


def test_a_counter_that_changed_fails_and_is_named_everywhere(bench: Bench, baseline: Path) -> None:
    summary = in_github(bench)
    name = write(bench, "new", bytes=12288)
    done = bench("gate", name, "--baseline", str(baseline), "--junit", "gate.xml", "--markdown", "gate.md")
    assert (done.status, done.err) == (1, "")
    told_everywhere(bench, done, summary, "bytes overlay2@ext4 hot depth=1 size=4096")
    assert "gate: fail: 1 regression, " in done.out
    assert done.out.count("::error") == 1


def test_a_slower_arm_fails_and_is_named_everywhere(bench: Bench, baseline: Path) -> None:
    summary = in_github(bench)
    name = write(bench, "new", first_write(1.2, 1.2))
    done = bench("gate", name, "--baseline", str(baseline), "--junit", "gate.xml", "--markdown", "gate.md")
    assert (done.status, done.err) == (1, "")
    told_everywhere(
        bench,
        done,
        summary,
        "first_write overlay2@ext4 → overlay2,volatile=on@ext4 (depth 8, temperature hot, size 4 KiB)",
    )


def test_a_slower_arm_of_a_scenario_that_does_not_block_is_advisory(bench: Bench) -> None:
    set_gate(bench, "scenario.copy_up.block = false")
    done = bench("gate", write(bench, "new", first_write(1.2, 1.2)))
    assert done.status == 0, done
    assert "\nadvisory" in done.out


@pytest.mark.parametrize(("setting", "status", "kind"), [("pass", 0, "pass"), ("fail", 3, "inconclusive")])
def test_what_is_inconclusive_fails_where_the_settings_say_so(
    bench: Bench, setting: str, status: int, kind: str
) -> None:
    set_gate(bench, f'inconclusive = "{setting}"')
    summary = in_github(bench)
    done = bench("gate", write(bench, "new", first_write(1.2, 1.0)), "--junit", "gate.xml", "--markdown", "gate.md")
    assert (done.status, done.err) == (status, "")
    assert f"gate: {kind}: " in done.out
    if status:
        figure = "first_write overlay2@ext4 → overlay2,volatile=on@ext4 (depth 8, temperature hot, size 4 KiB)"
        told_everywhere(bench, done, summary, figure, "inconclusive")


def test_units_that_failed_are_no_pass(bench: Bench, baseline: Path) -> None:
    units: list[dict[str, Any]] = [{"counters": COUNTERS}, {"metrics": {}, "error": "OSError: no"}]
    samples = [
        make_sample(block, block=block, scenario="copy_up", how=HOW, params={"size": 4096}, **told)
        for block, told in enumerate(units)
    ]
    write_run(bench.results / "new", samples, host=HOST)
    done = bench("gate", "new", "--baseline", str(baseline))
    assert done.status == 2
    assert "1 unit of copy_up on overlay2@ext4 failed" in done.out


def test_json_is_the_whole_answer(bench: Bench, baseline: Path) -> None:
    in_github(bench)
    done = bench("gate", write(bench, "new", bytes=12288), "--baseline", str(baseline), "--json")
    assert (done.status, done.err) == (1, "")
    told = json.loads(done.out)
    assert (told["outcome"], told["exit_status"], told["counts"]["regressions"]) == ("fail", 1, 1)
    assert told["verdicts"][0]["name"] == "bytes overlay2@ext4 hot depth=1 size=4096"
    assert told["verdicts"][0]["tier"] == "counters"


def test_the_settings_of_the_directory_are_used_and_relative_to_their_file(bench: Bench, baseline: Path) -> None:
    place = bench.place / "elsewhere"
    place.mkdir()
    baseline.rename(place / "counts.json")
    (place / "settings.toml").write_text(
        '[tool.bench.gate]\nbaseline = "counts.json"\ntolerance = {"copy_up.bytes" = 0.5}\n'
    )
    done = bench("gate", write(bench, "new", bytes=12288), "--config", "elsewhere/settings.toml")
    assert done.status == 0, done


def cut(path: Path) -> None:
    path.write_text(path.read_text()[: path.stat().st_size // 2])


def newer(path: Path) -> None:
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 99'))


def other_scenarios(path: Path) -> None:
    path.write_text(path.read_text().replace("copy_up", "lookup"))


def gone_scenarios(path: Path) -> None:
    path.write_text(path.read_text().replace("copy_up", "copy_down"))


def backwards(path: Path) -> None:
    path.write_text(path.read_text().replace("[3, 3]", "[3, 2]"))


def missing(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT = [
    (cut, "bench-baseline.json is not JSON"),
    (newer, "was written by a newer version: schema 99, this version reads up to 1; use that version, or make a new"),
    (other_scenarios, "has no figure of run new: it is about lookup; the run, about copy_up"),
    (gone_scenarios, "has figures of scenario 'copy_down': version 1.2.3 had it, this one has not"),
    (backwards, "has 3 as the least and 2 as the largest value"),
    (missing, "no baseline bench-baseline.json; make one from a run you trust, and commit it"),
    (directory, "cannot read bench-baseline.json: Is a directory"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_a_baseline_that_cannot_be_judged_by(bench: Bench, baseline: Path, spoil: Any, words: str) -> None:
    name = write(bench, "new")
    spoil(baseline)
    with bench.nothing_left():
        bench("gate", name).complains(words)


@pytest.mark.root
@pytest.mark.parametrize(("spoil", "words"), [SPOILT[0], SPOILT[1]])
@pytest.mark.parametrize("compare", [[], ["--compare", *SAME_ARM]], ids=["counters", "compare"])
def test_a_broken_baseline_is_told_before_minutes_are_spent(
    bench: Bench, baseline: Path, spoil: Any, words: str, compare: list[str]
) -> None:
    require(volume="ext4", driver="overlay2")
    spoil(baseline)
    with bench.nothing_left():
        bench("gate", *compare).complains(words)


def test_outputs_that_cannot_be_written(bench: Bench, baseline: Path) -> None:
    name = write(bench, "new")
    with bench.nothing_left():
        bench("gate", name, "--junit", "missing/gate.xml").complains("cannot write missing/gate.xml")
        bench("gate", name, "--markdown", "results").complains("cannot write results: Is a directory")
        bench("gate", name, "--update", "--baseline", "missing/it.json").complains(
            "cannot write the baseline to missing"
        )


def test_a_run_that_compares_nothing_and_has_no_baseline(bench: Bench) -> None:
    bench("gate", write(bench, "new")).complains("no baseline bench-baseline.json")


def test_a_baseline_is_not_made_of_half_a_run(bench: Bench) -> None:
    name = write(bench, "new")
    path = bench.results / name / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "complete": False}))
    with bench.nothing_left():
        bench("gate", name, "--update").complains("run new makes no baseline: it is not complete; measure again")
        bench("gate", name, name, "--update").complains("a baseline is made of one run; name one")


def test_comparisons_that_were_spoilt(bench: Bench, baseline: Path) -> None:
    name = write(bench, "new", first_write(1.0))
    path = bench.results / name / "run.json"
    told = json.loads(path.read_text())
    del told["comparisons"][0]["looks"]
    path.write_text(json.dumps(told))
    bench("gate", name).complains("run.json is not a run's provenance: comparisons[0]: it lacks looks")


def test_several_runs_share_one_error(bench: Bench) -> None:
    for name in ("one", "two"):
        write(bench, name, first_write(1.2, 1.2))
    done = bench("gate", "one", "two")
    assert done.status == 1
    assert "gate: fail: 2 regressions" in done.out
