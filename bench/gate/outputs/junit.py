"""The result of a gate as JUnit XML, which every CI system shows: one test case per verdict.

JUnit XML has no specification. These are the elements and attributes that Jenkins, GitLab and GitHub's
reporters all read: a testsuite with its totals, and testcases with at most one failure or skipped element.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.gate.output import Output
from bench.gate.verdict import GateResult, GateVerdict, Status
from bench.gate.words import plain

__all__ = ["OUTPUT", "as_junit"]

SUITE = "bench.gate"
FAILURE, SKIPPED = "failure", "skipped"


def as_junit(result: GateResult) -> str:
    """Return the result as an XML document, worst first.

    A verdict that fails the gate is a failure. Advisory failures and other inconclusive verdicts are
    skipped, with its message.
    """
    root = ET.Element("testsuites", name=SUITE)
    suite = ET.SubElement(root, "testsuite", name=SUITE)
    verdicts = result.worst_first()
    for verdict in verdicts:
        _case(suite, verdict, inconclusive_fails=result.inconclusive_fails)
    if result.warnings:
        ET.SubElement(suite, "system-out").text = "\n".join(map(plain, result.warnings))
    totals = {
        "tests": len(verdicts),
        "failures": len(suite.findall(f"testcase/{FAILURE}")),
        "skipped": len(suite.findall(f"testcase/{SKIPPED}")),
        "errors": 0,
    }
    for element in (root, suite):
        element.attrib.update({name: str(total) for name, total in totals.items()})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, verdict: GateVerdict, *, inconclusive_fails: bool) -> None:
    scenario, name, reason = plain(verdict.scenario), plain(verdict.name), plain(verdict.reason)
    case = ET.SubElement(suite, "testcase", classname=f"{SUITE}.{scenario}", name=name, time="0")
    if verdict.status is Status.FAIL and verdict.blocking:
        element = ET.SubElement(case, FAILURE, message=reason, type=plain(verdict.tier.value))
    elif verdict.status is Status.FAIL:
        element = ET.SubElement(case, SKIPPED, message=f"advisory: {reason}")
    elif verdict.status is Status.INCONCLUSIVE and verdict.blocking and inconclusive_fails:
        element = ET.SubElement(case, FAILURE, message=reason, type="inconclusive")
    elif verdict.status is Status.INCONCLUSIVE:
        element = ET.SubElement(case, SKIPPED, message=f"inconclusive: {reason}")
    else:
        return
    element.text = f"seen: {plain(verdict.seen)}\nexpected: {plain(verdict.expected)}"


OUTPUT = Output("junit", "Write the verdicts as JUnit XML too.", as_junit)
