"""Counters against a baseline and against what the suite expects: what passes, what fails, what is not said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gate.baseline import Baseline, Machine, make_baseline
from bench.gate.config import GateConfig, ScenarioOverride
from bench.gate.expected import judge_expectations
from bench.gate.figures import Figure
from bench.gate.judge import judge_counters
from bench.gate.ranges import Range, severity, words
from bench.gate.verdict import GateVerdict, Status, Tier
from tests.builders import make_sample
from tests.gate.made import HOW, READINGS, analysed, timed, units

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = Machine("A CPU", "x86_64", 2, 8, True, "6.1")
FIGURE = "writes bytes overlay2@ext4 hot depth=1"
OPTIONS = {"writes overlay2@ext4": ("rw,relatime over ext4 rw,relatime",)}
QUIET = GateConfig(scenarios={"writes": ScenarioOverride(block=False)})


def baseline(counters: dict[str, Range], **rest: Any) -> Baseline:
    told = {"version": "1", "scenarios": ("writes",), "machine": MACHINE, "options": OPTIONS, "ratios": {}}
    return Baseline(counters={Figure.parse(name): value for name, value in counters.items()}, **{**told, **rest})


def judged(
    directory: Path, values: list[float], known: Range, config: GateConfig | None = None, **rest: Any
) -> GateVerdict:
    """Return the verdict on the one counter of a run whose units counted these values."""
    analysis = analysed(directory / "run", units([{"bytes": value} for value in values]), **rest)
    verdicts = judge_counters(baseline({FIGURE: known}), analysis, config or GateConfig())
    (verdict,) = [one for one in verdicts if one.name == "bytes overlay2@ext4 hot depth=1"]
    return verdict


@pytest.mark.parametrize(
    ("values", "known", "tolerance", "status", "reason"),
    [
        ([8], (8, 8), 0, Status.PASS, "within the baseline"),
        ([8, 9], (8, 9), 0, Status.PASS, "within the baseline"),
        ([9], (8, 10), 0, Status.PASS, "within the baseline"),
        ([8, 9], (8, 8), 0, Status.FAIL, "more than the baseline"),
        ([7, 8], (8, 8), 0, Status.FAIL, "less than the baseline: update it if meant"),
        ([7, 9], (8, 8), 0, Status.FAIL, "it varies more than in the baseline"),
        ([0], (0, 0), 0, Status.PASS, "within the baseline"),
        ([1], (0, 0), 0.5, Status.FAIL, "more than the baseline"),
        ([90, 110], (100, 100), 0.1, Status.PASS, "within the baseline"),
        ([111], (100, 100), 0.1, Status.FAIL, "more than the baseline"),
        ([89], (100, 100), 0.1, Status.FAIL, "less than the baseline: update it if meant"),
        ([-105], (-100, -100), 0.1, Status.PASS, "within the baseline"),
        ([-111], (-100, -100), 0.1, Status.FAIL, "less than the baseline: update it if meant"),
    ],
)
def test_a_counter_passes_within_the_baseline_and_fails_on_either_side_of_it(
    tmp_path: Path, values: list[float], known: Range, tolerance: float, status: Status, reason: str
) -> None:
    told = judged(tmp_path, values, known, GateConfig(tolerance={"writes.bytes": tolerance}))
    assert (told.status, told.reason, told.tier, told.blocking) == (status, reason, Tier.COUNTERS, True)
    assert (told.severity > 1) == (status is Status.FAIL)


def test_what_was_seen_and_expected_is_said_with_units(tmp_path: Path) -> None:
    told = judged(tmp_path, [4096, 8192], (1024, 1024), GateConfig(tolerance={"*.bytes": 0.05}))
    assert (told.seen, told.expected, told.severity) == ("4,096–8,192 bytes", "1,024 bytes ± 5 %", 8192 / (1.05 * 1024))
    assert words((3, 3), "inodes") == "3"
    assert words((123456789, 123456789), "inodes") == "123,456,789"


def test_another_kernel_is_said_where_a_counter_changed(tmp_path: Path) -> None:
    told = judged(tmp_path / "one", [9], (8, 8), host={"kernel": "6.12"})
    assert told.reason == "more than the baseline (the baseline's kernel is 6.1, this one 6.12)"
    assert judged(tmp_path / "two", [8], (8, 8), host={"kernel": "6.12"}).reason == "within the baseline"


def test_a_scenario_that_does_not_block_fails_without_failing_the_gate(tmp_path: Path) -> None:
    told = judged(tmp_path, [9], (8, 8), QUIET)
    assert (told.status, told.blocking) == (Status.FAIL, False)


def test_what_only_one_side_has_is_counted_by_arm_and_blocks_nothing(tmp_path: Path) -> None:
    analysis = analysed(tmp_path / "run", units([{"bytes": 8, "new": 1, "newer": 2}]))
    known = {
        FIGURE: (8.0, 8.0),
        "writes gone overlay2@ext4 hot depth=1": (1.0, 1.0),
        "writes bytes vfs@ext4 hot depth=1": (1.0, 1.0),
        "writes bytes vfs@ext4 cold depth=1": (1.0, 1.0),
    }
    verdicts = judge_counters(baseline(known), analysis, GateConfig())
    told = {one.name: (one.seen, one.expected) for one in verdicts if one.status is Status.INCONCLUSIVE}
    assert told == {
        "overlay2@ext4: not measured": ("2 figures", "3 figures"),  # the mount options are one
        "vfs@ext4: not measured": ("0 figures", "2 figures"),
        "overlay2@ext4: not in the baseline": ("4 figures", "3 figures"),
    }
    assert not any(one.blocking for one in verdicts if one.status is Status.INCONCLUSIVE)
    assert [one.name for one in verdicts if one.status is Status.PASS] == [
        "bytes overlay2@ext4 hot depth=1",
        "mount options overlay2@ext4",
    ]
    assert any(one.reason.startswith("1 figure of the baseline not measured") for one in verdicts)


def test_a_run_is_within_the_baseline_that_was_made_of_it(tmp_path: Path) -> None:
    arms = ("overlay2@ext4", "vfs@ext4")
    counted = [units([{"bytes": 8, "inodes": 3}, {"bytes": 9, "inodes": 3}], arm, params={"size": 4}) for arm in arms]
    analysis = analysed(tmp_path / "run", *counted, timed(2))
    verdicts = judge_counters(make_baseline(analysis, READINGS), analysis, GateConfig())
    assert len(verdicts) == 6
    assert {one.status for one in verdicts} == {Status.PASS}


def test_mount_options_may_be_fewer_but_not_others(tmp_path: Path) -> None:
    def status(known: tuple[str, ...], *options: str) -> GateVerdict:
        groups = [units([{"bytes": 8}], how={**HOW, "options": one}, depth=place) for place, one in enumerate(options)]
        told = baseline({FIGURE: (8, 8)}, options={"writes overlay2@ext4": known})
        verdicts = judge_counters(told, analysed(tmp_path / "-".join(options), *groups), GateConfig())
        return next(one for one in verdicts if one.name == "mount options overlay2@ext4")

    plain, uuid = "rw over ext4 rw,relatime", "rw,uuid=on over ext4 rw,relatime"
    assert status((plain,), "rw").status is Status.PASS
    assert status((plain, uuid), "rw,uuid=on").status is Status.PASS
    told = status((plain,), "rw", "rw,uuid=on")
    assert (told.status, told.tier, told.blocking) == (Status.FAIL, Tier.COUNTERS, True)
    assert (told.seen, told.expected) == (uuid, plain)
    assert told.reason == "mounted otherwise than in the baseline"


ranges = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).map(lambda told: (min(told), max(told)))


@given(seen=ranges, allowed=ranges)
def test_severity_is_finite_and_above_one_only_beyond(seen: Range, allowed: Range) -> None:
    told = severity(seen, allowed)
    assert math.isfinite(told)
    assert (told > 0) == (seen[0] < allowed[0] or seen[1] > allowed[1])
    assert told == 0 or told >= 1


@given(value=st.floats(1, 1e6), factor=st.floats(1.001, 1000))
def test_severity_is_the_factor_whether_more_or_less(value: float, factor: float) -> None:
    assert severity((value * factor, value * factor), (value, value)) == pytest.approx(factor)
    assert severity((value, value), (value * factor, value * factor)) == pytest.approx(factor)


def test_what_the_suite_expects_is_judged_without_a_baseline(tmp_path: Path) -> None:
    expected = {"bytes": "8", "more": "1..4"}
    right = units([{"bytes": 8, "more": 2, "free": 5}] * 2, "vfs@ext4", expected=expected)
    wrong = units([{"bytes": 8, "more": 4}], expected=expected) + units(
        [{"bytes": 24, "more": 4}], expected=expected, mismatches=("bytes is 24, expected 8 (why)",)
    )
    verdicts, warnings = judge_expectations(analysed(tmp_path / "run", right, wrong), GateConfig())
    assert not warnings
    failed = [one for one in verdicts if one.status is Status.FAIL]
    assert [(one.name, one.seen, one.expected, one.severity, one.blocking) for one in failed] == [
        ("bytes overlay2@ext4 hot depth=1, as the suite expects", "8–24 bytes", "8", 3.0, True)
    ]
    assert failed[0].reason == "not as the scenario expects in 1 of 2 units; their rows say why"
    passed = [one for one in verdicts if one.status is Status.PASS]
    assert [(one.name, one.seen) for one in passed] == [("vfs@ext4: counters as the suite expects", "4 counts")]
    loud, _ = judge_expectations(analysed(tmp_path / "two", wrong), QUIET)
    assert [one.blocking for one in loud] == [False]


def test_cells_of_comparisons_are_judged_by_what_is_expected_of_them(tmp_path: Path) -> None:
    params = {"comparison": 0, "side": "a", "setup": 1}
    wrong = units([{"bytes": 9}], params=params, expected={"bytes": "8"}, mismatches=("bytes is 9, expected 8 (x)",))
    verdicts, _ = judge_expectations(analysed(tmp_path / "run", wrong), GateConfig())
    assert [one.status for one in verdicts] == [Status.FAIL]
    assert "comparison=0 setup=1 side=a" in verdicts[0].name


def test_an_expectation_that_varies_still_fails(tmp_path: Path) -> None:
    wrong = [
        make_sample(0, block=block, scenario="writes", counters={"bytes": 1}, expected={"bytes": text},
                    mismatches=(f"bytes is 1, expected {text} (why)",))
        for block, text in enumerate(("8", "9"))
    ]  # fmt: skip
    (told,), _ = judge_expectations(analysed(tmp_path / "run", wrong), GateConfig())
    assert (told.status, told.severity, told.expected) == (Status.FAIL, 1.0, "varies")


def test_units_that_failed_are_told(tmp_path: Path) -> None:
    failed = units([{}, {}], error="not proven: it is there") + units([{}], "vfs@ext4", error="no space")
    _, warnings = judge_expectations(analysed(tmp_path / "run", units([{"bytes": 1}]), failed), GateConfig())
    assert warnings == [
        "2 units of writes on overlay2@ext4 failed and tell no figure: not proven: it is there",
        "1 unit of writes on vfs@ext4 failed and tell no figure: no space",
    ]
