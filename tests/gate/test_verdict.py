"""What the exit status is, and what is shown first."""

from __future__ import annotations

import pytest
from hypothesis import given

from bench.gate.verdict import GateResult, GateVerdict, Status
from tests.gate.made import results, verdict

PASS, FAIL, INCONCLUSIVE = Status.PASS, Status.FAIL, Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "inconclusive_fails", "status"),
    [
        ([], True, 0),
        ([verdict(PASS)], True, 0),
        ([verdict(FAIL)], False, 1),
        ([verdict(FAIL, blocking=False)], True, 0),
        ([verdict(INCONCLUSIVE)], False, 0),
        ([verdict(INCONCLUSIVE)], True, 3),
        ([verdict(INCONCLUSIVE, blocking=False)], True, 0),
        ([verdict(INCONCLUSIVE), verdict(FAIL)], True, 1),
        ([verdict(INCONCLUSIVE), verdict(FAIL, blocking=False), verdict(PASS)], True, 3),
    ],
)
def test_only_what_blocks_decides_the_exit_status(
    verdicts: list[GateVerdict], inconclusive_fails: bool, status: int
) -> None:
    assert GateResult(tuple(verdicts), inconclusive_fails).exit_status == status


def test_the_worst_comes_first() -> None:
    ordered = [
        verdict(FAIL, severity=9.0),
        verdict(FAIL, severity=2.0),
        verdict(FAIL, blocking=False, severity=99.0),
        verdict(INCONCLUSIVE),
        verdict(INCONCLUSIVE, blocking=False),
        verdict(PASS, scenario="a"),
        verdict(PASS, scenario="b"),
    ]
    assert GateResult(tuple(reversed(ordered)), False).worst_first() == ordered


@given(result=results)
def test_a_pass_more_never_changes_the_exit_status(result: GateResult) -> None:
    more = GateResult((*result.verdicts, verdict(PASS)), result.inconclusive_fails)
    assert more.exit_status == result.exit_status
    assert more.exit_status in {0, 1, 3}
