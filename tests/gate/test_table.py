"""A gate's result as text for people, and as JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given

from bench.gate.table import as_json, as_table
from bench.gate.verdict import GateResult, Status, Tier
from bench.gate.words import plain, summary
from tests.gate.made import results, verdict

PASS, FAIL, INCONCLUSIVE = Status.PASS, Status.FAIL, Status.INCONCLUSIVE
MIXED = GateResult(
    (
        verdict(PASS),
        verdict(PASS, tier=Tier.STORED, name="time overlay2@xfs"),
        verdict(PASS, tier=Tier.TIMES, name="time a → b", seen="1.01×", expected="1×", reason="same within 3%"),
        verdict(INCONCLUSIVE, scenario="lookup", reason="too noisy"),
        verdict(FAIL, severity=2.0),
        verdict(FAIL, severity=3.0, name="inodes vfs@ext4 hot depth=1", seen="3", expected="1"),
        verdict(FAIL, blocking=False, tier=Tier.STORED, name="time vfs@ext4 hot depth=1"),
    ),
    inconclusive_fails=False,
    warnings=("2 units failed\nbadly",),
)


def test_the_table_is_aligned_and_has_the_worst_first() -> None:
    assert as_table(MIXED).splitlines() == [
        "warning: 2 units failed badly",
        "verdict       scenario  figure                           seen     expected  why",
        "fail          writes    inodes vfs@ext4 hot depth=1      3        1         more than the baseline",
        "fail          writes    bytes overlay2@ext4 hot depth=1  8 bytes  4 bytes   more than the baseline",
        "advisory      writes    time vfs@ext4 hot depth=1        8 bytes  4 bytes   more than the baseline",
        "inconclusive  lookup    bytes overlay2@ext4 hot depth=1  8 bytes  4 bytes   too noisy",
        "pass          writes    time a → b                       1.01×    1×        same within 3%",
        "gate: fail: 2 regressions, 1 advisory, 1 inconclusive, 3 passed",
    ]


def test_counters_and_stored_times_that_passed_are_shown_if_asked_for() -> None:
    assert len(as_table(MIXED, passes=True).splitlines()) == len(as_table(MIXED).splitlines()) + 2


@pytest.mark.parametrize(
    ("verdicts", "inconclusive_fails", "line"),
    [
        ([], True, "gate: pass: nothing was judged"),
        ([PASS] * 40, True, "gate: pass: 40 passed"),
        ([FAIL], False, "gate: fail: 1 regression"),
        (
            [FAIL, INCONCLUSIVE, INCONCLUSIVE, *[PASS] * 40],
            False,
            "gate: fail: 1 regression, 2 inconclusive, 40 passed",
        ),
        ([INCONCLUSIVE, PASS], False, "gate: pass: 1 inconclusive, 1 passed"),
        ([INCONCLUSIVE, PASS], True, "gate: inconclusive: 1 inconclusive, 1 passed"),
        ([PASS] * 10, False, "gate: pass: 10 passed"),
    ],
)
def test_the_last_line_is_the_outcome(verdicts: list[Status], inconclusive_fails: bool, line: str) -> None:
    result = GateResult(tuple(map(verdict, verdicts)), inconclusive_fails)
    assert summary(result) == line
    assert as_table(result).splitlines()[-1] == line


@given(result=results)
def test_every_verdict_is_one_line_whatever_its_text(result: GateResult) -> None:
    text = as_table(result, passes=True)
    heading = 1 if result.verdicts else 0
    assert len(text.split("\n")) == len(result.warnings) + heading + len(result.verdicts) + 1
    assert text.encode()
    assert all(one.isprintable() or one == "\n" for one in text)


@given(result=results)
def test_json_holds_everything_worst_first(result: GateResult) -> None:
    told = json.loads(json.dumps(as_json(result), allow_nan=False))
    assert told["exit_status"] == result.exit_status
    assert sum(told["counts"].values()) == len(result.verdicts) == len(told["verdicts"])
    for one, known in zip(told["verdicts"], result.worst_first(), strict=True):
        assert one == {
            "scenario": known.scenario,
            "name": known.name,
            "tier": known.tier,
            "status": known.status,
            "blocking": known.blocking,
            "seen": known.seen,
            "expected": known.expected,
            "reason": known.reason,
            "severity": known.severity,
        }


def test_a_severity_that_is_no_number_is_null() -> None:
    for severity in (math.inf, math.nan):
        (one,) = as_json(GateResult((verdict(FAIL, severity=severity),), False))["verdicts"]
        assert one["severity"] is None


def test_plain_text_keeps_what_is_printed() -> None:
    assert plain("a\tb\r\nc\x00\x1b[1m\ud800 µ×→\ufffe") == "a b c[1m µ×→"
