"""JUnit XML: one test case per verdict, totals that add up, and no text that breaks it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from bench.gate.outputs.junit import as_junit
from bench.gate.verdict import GateResult, Status, Tier
from bench.gate.words import plain
from tests.gate.made import results, verdict

PASS, FAIL, INCONCLUSIVE = Status.PASS, Status.FAIL, Status.INCONCLUSIVE


def suite_of(result: GateResult) -> ET.Element:
    root = ET.fromstring(as_junit(result).encode())
    assert root.tag == "testsuites"
    (suite,) = root
    assert {key: root.get(key) for key in ("tests", "failures", "skipped", "errors")} == {
        key: suite.get(key) for key in ("tests", "failures", "skipped", "errors")
    }
    return suite


@pytest.mark.parametrize(
    ("status", "blocking", "inconclusive_fails", "tag", "attributes"),
    [
        (PASS, True, True, None, {}),
        (FAIL, True, False, "failure", {"type": "counters", "message": "more than <it> & “was”"}),
        (FAIL, False, True, "skipped", {"message": "advisory: more than <it> & “was”"}),
        (INCONCLUSIVE, True, True, "failure", {"type": "inconclusive", "message": "more than <it> & “was”"}),
        (INCONCLUSIVE, True, False, "skipped", {"message": "inconclusive: more than <it> & “was”"}),
        (INCONCLUSIVE, False, True, "skipped", {"message": "inconclusive: more than <it> & “was”"}),
    ],
)
def test_what_becomes_of_a_verdict(
    status: Status, blocking: bool, inconclusive_fails: bool, tag: str | None, attributes: dict[str, str]
) -> None:
    one = verdict(status, blocking=blocking, reason="more than <it> & “was”")
    suite = suite_of(GateResult((one,), inconclusive_fails))
    (case,) = suite
    assert (case.tag, case.get("classname"), case.get("name")) == ("testcase", "bench.gate.writes", one.name)
    assert [child.tag for child in case] == ([tag] if tag else [])
    for child in case:
        assert child.attrib == attributes
        assert child.text == "seen: 8 bytes\nexpected: 4 bytes"
    assert suite.get("failures") == str(int(tag == "failure"))
    assert suite.get("skipped") == str(int(tag == "skipped"))


def test_the_tier_is_the_type_of_a_failure_and_warnings_are_output() -> None:
    result = GateResult((verdict(FAIL, tier=Tier.TIMES),), False, ("one < two", "three"))
    suite = suite_of(result)
    assert [one.get("type") for one in suite.iter("failure")] == ["times"]
    assert suite.findtext("system-out") == "one < two\nthree"
    assert as_junit(result).startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')


@given(result=results)
def test_it_is_xml_whose_totals_add_up_whatever_the_text(result: GateResult) -> None:
    suite = suite_of(result)
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [plain(one.name) for one in result.worst_first()]
    failures, skipped = (sum(case.find(tag) is not None for case in cases) for tag in ("failure", "skipped"))
    assert suite.attrib == {
        "name": "bench.gate",
        "tests": str(len(cases)),
        "failures": str(failures),
        "skipped": str(skipped),
        "errors": "0",
    }
    assert (failures > 0) == (result.exit_status != 0)
    assert skipped + failures == sum(one.status is not PASS for one in result.verdicts)
