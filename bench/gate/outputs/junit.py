"""A gate's result as JUnit XML, which every CI system shows: one test case per verdict.

There is no one specification; these are the elements and attributes that Jenkins, GitLab and GitHub's
reporters all read: a testsuite with its totals, and testcases with at most one of failure and skipped.
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

    What fails the gate is a failure. An advisory failure is skipped with its message, and so is what is
    inconclusive, unless that blocks and fails the gate.
    """
    root = ET.Element("testsuites", name=SUITE)
    suite = ET.SubElement(root, "testsuite", name=SUITE)
    verdicts = result.worst_first()
    for one in verdicts:
        _case(suite, one, inconclusive_fails=result.inconclusive_fails)
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


def _case(suite: ET.Element, one: GateVerdict, *, inconclusive_fails: bool) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"{SUITE}.{plain(one.scenario)}", name=plain(one.name), time="0")
    reason = plain(one.reason)
    if one.status is Status.FAIL and one.blocking:
        told = ET.SubElement(case, FAILURE, message=reason, type=plain(one.tier.value))
    elif one.status is Status.FAIL:
        told = ET.SubElement(case, SKIPPED, message=f"advisory: {reason}")
    elif one.status is Status.INCONCLUSIVE and one.blocking and inconclusive_fails:
        told = ET.SubElement(case, FAILURE, message=reason, type="inconclusive")
    elif one.status is Status.INCONCLUSIVE:
        told = ET.SubElement(case, SKIPPED, message=f"inconclusive: {reason}")
    else:
        return
    told.text = f"seen: {plain(one.seen)}\nexpected: {plain(one.expected)}"


OUTPUT = Output("junit", "Write the verdicts as JUnit XML too.", as_junit)
