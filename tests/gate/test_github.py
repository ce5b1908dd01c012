"""What GitHub is told: a summary that it takes and renders as meant, annotations that it shows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from bench.gate.github import ANNOTATIONS, as_annotations
from bench.gate.outputs.markdown import SUMMARY_BYTES, as_markdown
from bench.gate.verdict import GateResult, Status
from bench.gate.words import plain, word
from tests.gate.made import results, verdict

PASS, FAIL, INCONCLUSIVE = Status.PASS, Status.FAIL, Status.INCONCLUSIVE


def cells(row: str) -> list[str]:
    """Return the cells of a row of a table as GitHub renders them: split at bare pipes, backslashes resolved."""
    inner = re.findall(r"(?:\\.|[^\\|])+", row)
    return [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).strip() for text in inner]


def test_the_summary() -> None:
    result = GateResult((verdict(FAIL, name="a|b *c* <d>"), verdict(PASS)), False, ("a_b",))
    assert as_markdown(result).splitlines() == [
        "## Gate: fail",
        "",
        "gate: fail: 1 regression, 1 passed",
        "",
        r"- warning: a\_b",
        "",
        "| verdict | scenario | figure | seen | expected | why |",
        "| --- | --- | --- | --- | --- | --- |",
        r"| fail | writes | a\|b \*c\* \<d\> | 8 bytes | 4 bytes | more than the baseline |",
        "",
        "<details><summary>1 passed</summary>",
        "",
        "| verdict | scenario | figure | seen | expected | why |",
        "| --- | --- | --- | --- | --- | --- |",
        "| pass | writes | bytes overlay2@ext4 hot depth=1 | 8 bytes | 4 bytes | more than the baseline |",
        "",
        "</details>",
    ]


def test_a_summary_of_nothing_has_no_table() -> None:
    assert as_markdown(GateResult((), False)) == "## Gate: pass\n\ngate: pass: nothing was judged\n\n"


@given(result=results)
def test_rows_render_as_the_text_that_they_were(result: GateResult) -> None:
    rows = [line for line in as_markdown(result).splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| ---", "| verdict"))]
    assert len(rows) == len(result.verdicts)
    for row, one in zip(rows, result.worst_first(), strict=True):
        texts = (word(one), one.scenario, one.name, one.seen, one.expected, one.reason)
        assert cells(row) == [plain(text) for text in texts]


def test_a_summary_that_is_too_long_leaves_the_least_bad_rows_out() -> None:
    many = [verdict(PASS, name=f"pass {place} " + "é" * 100) for place in range(5000)]
    bad = [verdict(FAIL, name=f"fail {place}", severity=place + 1.0) for place in range(50)]
    text = as_markdown(GateResult((*many, *bad), False))
    assert SUMMARY_BYTES - 2000 < len(text.encode()) <= SUMMARY_BYTES
    assert text.count("| fail |") == 50
    kept = text.count("| pass |")
    assert 0 < kept < 5000
    assert text.endswith(f"</details>\n\n{5000 - kept} rows were left out: a summary holds no more.\n")
    assert "<details><summary>5000 passed</summary>" in text
    short = as_markdown(GateResult((*many, *bad), False), most=3000)
    assert len(short.encode()) <= 3000
    assert "| fail | writes | fail 49 |" in short
    assert "<details>" not in short


@pytest.mark.parametrize("most", [1000, 1100, 2000])
def test_the_limit_holds_with_warnings_and_rows_of_any_length(most: int) -> None:
    result = GateResult(tuple(verdict(FAIL, name="x" * 300) for _ in range(20)), False, ("w" * 400,) * 3)
    text = as_markdown(result, most=most)
    assert len(text.encode()) <= most
    assert "rows were left out" in text


def test_what_fails_is_an_error_and_the_rest_a_warning() -> None:
    told = (
        verdict(INCONCLUSIVE, name="i"),
        verdict(FAIL, blocking=False, name="a"),
        verdict(FAIL, name="f"),
        verdict(),
    )
    body = "8 bytes, expected 4 bytes: more than the baseline"
    assert as_annotations(GateResult(told, False, ("careful",))) == [
        f"::error title=writes f::fail: {body}",
        "::warning title=gate::careful",
        f"::warning title=writes a::advisory: {body}",
        f"::warning title=writes i::inconclusive: {body}",
    ]
    assert as_annotations(GateResult(told, True))[1] == f"::error title=writes i::inconclusive: {body}"
    quiet = GateResult((verdict(INCONCLUSIVE, blocking=False, name="i"),), True)
    assert as_annotations(quiet) == [f"::warning title=writes i::inconclusive: {body}"]


def test_no_more_than_github_shows_the_worst_first_and_the_rest_counted() -> None:
    errors = [verdict(FAIL, name=f"f{place}", severity=place) for place in range(25)]
    warnings = [verdict(INCONCLUSIVE, name=f"i{place:02}") for place in range(10)]
    told = as_annotations(GateResult((*errors, *warnings), False))
    assert len(told) == 2 * ANNOTATIONS
    assert [re.match(r"::error title=writes f(\d+)::", one)[1] for one in told[:9]] == [*map(str, range(24, 15, -1))]  # type: ignore[index]
    assert told[9] == "::error title=gate::16 more: the summary of this step has all"
    assert [one[:26] for one in told[10:]] == [f"::warning title=writes i{place:02}" for place in range(10)]


def test_what_a_command_would_take_for_its_own_is_escaped() -> None:
    one = verdict(FAIL, scenario="a,b", name="c:d%\r\n", seen="1,2:3", expected="100%", reason="x\ry\nz\ud800")
    assert as_annotations(GateResult((one,), False)) == [
        "::error title=a%2Cb c%3Ad%25%0D%0A::fail: 1,2:3, expected 100%25: x%0Dy%0Az?"
    ]


@given(result=results)
def test_every_annotation_is_one_line_that_is_read_back(result: GateResult) -> None:
    told = as_annotations(result)
    assert sum(one.startswith("::error ") for one in told) <= ANNOTATIONS
    assert sum(one.startswith("::warning ") for one in told) <= ANNOTATIONS
    assert any(one.startswith("::error ") for one in told) == (result.exit_status != 0)
    for one in told:
        assert one.encode()
        assert not set(one) & {"\n", "\r"}
        match = re.fullmatch(r"::(?:error|warning) title=([^:,]*)::(.*)", one, re.DOTALL)
        assert match
        assert all(re.fullmatch(r"(?:[^%]|%(?:25|0A|0D|3A|2C))*", text, re.DOTALL) for text in match.groups())
