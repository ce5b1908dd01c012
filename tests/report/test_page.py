"""One file, nothing from anywhere, whatever the run is like."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from markupsafe import escape
from plotly.offline import get_plotlyjs

from bench import discovery
from bench.model import Mismatch, RunWarning
from bench.reading.analysis import Analysis
from bench.reading.headlines import figures
from bench.reading.verdicts import verdicts
from bench.report.page import prose, render, sentence
from bench.report.summary import lines
from bench.store.records import Provenance
from tests.builders import make_sample, read_back

if TYPE_CHECKING:
    from pathlib import Path

    from bench.reading.contract import Reading
    from bench.store.reader import Run

MOST_BYTES = 7_000_000
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \" ' `"
# What makes a browser load something: an attribute, a style sheet, a script.
LOADS = re.compile(
    r"""(?:src|href|srcset|poster|action|data)\s*=\s*["']?\s*(?:https?:)?//|@import|url\(\s*["']?\s*(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def text(run: Run, known: dict[str, Reading], tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(run, known, tmp_path_factory.mktemp("reports") / "page.html").read_text()


def own(text: str) -> str:
    """Return the page without plotly.js, which the browser's test judges."""
    return text.replace(get_plotlyjs(), "")


def test_it_is_small_enough_and_has_plotly_once(text: str) -> None:
    assert len(text.encode()) < MOST_BYTES
    assert text.count("* plotly.js v") == 1
    assert text.count(get_plotlyjs()) == 1


def test_a_page_that_would_be_too_large_has_fewer_rows_of_folded_tables(
    text: str, run: Run, known: dict[str, Reading], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(page: str) -> int:
        [told] = re.findall(r'id="sheets">(.*?)</script>', page)
        return sum(len(sheet["codes"][0]) for sheet in json.loads(told).values())

    most = len(text.encode()) - 1
    monkeypatch.setattr("bench.report.page.PAGE_BYTES", most)
    smaller = render(run, known, tmp_path / "page.html").read_text()
    assert len(smaller.encode()) <= most
    assert 0 < rows(smaller) < rows(text)


def test_it_loads_nothing(text: str) -> None:
    assert LOADS.findall(own(text)) == []
    assert "<link" not in own(text).replace('<link rel="icon" href="data:,">', "")


def test_it_says_what_was_asked_in_order(text: str) -> None:
    marks = ["<h1>", "Every counter", "Headline figures of overlay2", 'id="overview"', 'id="claims"']
    marks += ['id="scenario-sweep"', 'id="scenario-single"', 'id="provenance"']
    places = [text.lower().index(mark.lower()) for mark in marks]
    assert places == sorted(places)
    assert "A CPU, 2 CPUs, 8 GiB, Linux 6.1, Debian" in text


def test_claims_have_words_and_evidence(text: str) -> None:
    assert "≈ qualified" in text
    assert "it does not" in text
    assert "– not tested here" in text
    assert all(f'id="C{number}"' in text for number in range(1, 10))


def test_sections_say_rows_precision_method_and_skips(text: str) -> None:
    section = text[text.index('id="scenario-sweep"') : text.index('id="scenario-single"')]
    assert "select(.scenario == &#34;sweep&#34;" in section
    assert "8 units each" in section
    assert "It measures nothing." in section
    assert "too large" in section
    assert "A table of its own" in section
    assert "✓ all as expected" in section


def test_provenance_has_everything(text: str) -> None:
    told = text[text.index('id="provenance"') :]
    assert "mkfs.ext4 -q" in told
    assert "python -m bench run" in told
    assert "seed" in told


def test_charts_are_json_a_browser_reads(text: str) -> None:
    for name in ("charts", "sheets", "themes"):
        match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)
        assert match is not None
        json.loads(match[1], parse_constant=lambda constant: pytest.fail(constant))


def test_an_empty_run(tmp_path: Path) -> None:
    run = read_back(tmp_path / "empty", [])
    known = discovery.readings()
    page = render(run, known, tmp_path / "page.html").read_text()
    assert "This run has no unit yet" in page
    assert lines(Analysis(run, known), [], verdicts(Analysis(run, known), known)) == []


def test_an_incomplete_run_says_so(run: Run, known: dict[str, Reading], tmp_path: Path) -> None:
    page = render(replace(run, provenance=Provenance(schema=1)), known, tmp_path / "page.html").read_text()
    assert "INCOMPLETE" in page
    assert "machine not recorded" in page


def test_more_than_a_reader_needs_is_shown_whatever_it_is(run: Run, known: dict[str, Reading], tmp_path: Path) -> None:
    whole = {**run.whole, "volumes": [1, {"a": []}], "of tomorrow": {"b": None}}
    assert "Of tomorrow" in render(replace(run, whole=whole), known, tmp_path / "page.html").read_text()


def test_a_run_of_an_unknown_scenario(tmp_path: Path) -> None:
    samples = [make_sample(number, block=number, scenario="of tomorrow") for number in range(4)]
    page = render(read_back(tmp_path / "run", samples), {}, tmp_path / "page.html").read_text()
    assert "does not know this scenario" in page
    assert 'id="scenario-of-tomorrow"' in page


def test_every_installed_scenario_of_a_bare_run(tmp_path: Path) -> None:
    samples = [make_sample(number, scenario=name) for number, name in enumerate(discovery.readings())]
    page = render(read_back(tmp_path / "run", samples), discovery.readings(), tmp_path / "page.html").read_text()
    for name, scenario in discovery.readings().items():
        assert f'id="scenario-{name.replace("_", "-")}"' in page or f'id="scenario-{name}"' in page
        assert escape(scenario.question) in page


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    samples = [
        make_sample(0, scenario=HOSTILE, arm="overlay2@ext4", error=HOSTILE, metrics={}),
        make_sample(
            1,
            scenario=HOSTILE,
            arm=f"{HOSTILE}@{HOSTILE}",
            params={"kind": HOSTILE},
            mismatches=(Mismatch(HOSTILE, 1, 2, 3, HOSTILE),),
        ),
        make_sample(
            2, scenario=HOSTILE, arm=f"{HOSTILE}@{HOSTILE}", counters={HOSTILE: 1.0}, expected={HOSTILE: (0.0, 2.0)}
        ),
    ]
    run = read_back(
        tmp_path / "run", samples, warnings=[RunWarning("", HOSTILE)],
        skips=[{"what": HOSTILE, "reason": HOSTILE, "fix": HOSTILE}],
        host={"cpu_model": HOSTILE}, command=[HOSTILE], volumes={HOSTILE: {HOSTILE: HOSTILE}},
    )  # fmt: skip
    page = own(render(run, {}, tmp_path / "page.html").read_text())
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<img" not in page


def test_failed_units_and_counters_are_told_first(known: dict[str, Reading], tmp_path: Path) -> None:
    samples = [
        make_sample(0, scenario="single"),
        make_sample(1, scenario="single", error="ProofError: not proven: it happened", metrics={}),
        make_sample(
            2, scenario="single", block=1, counters={"inodes": 3.0}, expected={"inodes": "2"},
            mismatches=("inodes is 3, expected 2 (the formula)",),
        ),
    ]  # fmt: skip
    page = render(read_back(tmp_path / "run", samples), known, tmp_path / "page.html").read_text()
    head = page[: page.index('id="claims"')]
    assert "1 of 3 units failed" in head
    assert "1 of 3 units counted something else than expected" in head
    assert "not proven: it happened" in page
    assert "inodes is 3, expected 2 (the formula)" in page
    assert "✗ 1 of 1 not as expected" in page


def test_the_summary_is_a_table_of_headline_figures(run: Run, known: dict[str, Reading]) -> None:
    analysis = Analysis(run, known)
    told = lines(analysis, figures(analysis, known), verdicts(analysis, known))
    assert len(told) <= 14
    assert re.split(r" {2,}", told[0]) == ["overlay2", "ext4", "xfs"]
    rows = {cells[0]: cells[1:] for line in told[1:] if len(cells := re.split(r" {2,}", line)) == 3}
    assert set(rows) == {"each MiB more", "a hot one of 4 KiB", "times native", "written, 1 MiB"}
    assert re.fullmatch(r"1\.\d\d µs ±[\d.]+ %", rows["each MiB more"][0])
    assert rows["each MiB more"][1] == "none"  # its true slope is 0, and its interval happens to lie below that
    assert rows["written, 1 MiB"] == ["1.00 MiB", "1.00 MiB"]
    assert not any("metacopy" in line for line in told[:6])
    assert any(line.startswith("C6") and "refuted on overlay2@ext4" in line for line in told)
    assert any(re.fullmatch(r"Counters: ([\d,]+) of \1 were as expected\.", line) for line in told)
    [precision] = [line for line in told if line.startswith("Precision: ")]
    assert re.search(r"±[\d.]+% at worst \(.+, overlay2@\S+\)\. As a share of the time, not of the slope: ", precision)
    assert precision.endswith(": each MiB more, overlay2@xfs (none).")
    assert all("\n" not in line for line in told)


def test_the_summary_tells_the_precision_of_other_volumes_apart(run: Run, known: dict[str, Reading]) -> None:
    analysis = Analysis(run, known)
    own = [replace(figure, precision=0.04) for figure in figures(analysis, known) if not figure.exact]
    moved = [replace(figure, arm=replace(figure.arm, volume="btrfs"), precision=0.3) for figure in own]
    [told] = [line for line in lines(analysis, [*own, *moved], []) if line.startswith("Precision")]
    assert told.startswith("Precision on ext4 and xfs: ")
    assert re.search(r"±4\.0% in the median, ±4\.0% at worst .+; on btrfs ±30\.0% in the median\. ", told)
    assert told.endswith("median. As a share of the time, not of the slope: each MiB more, overlay2@xfs (none).")
    [alone] = [line for line in lines(analysis, moved, []) if line.startswith("Precision")]
    assert alone.startswith("Precision: half")


def test_the_summary_says_what_each_warning_says(known: dict[str, Reading], tmp_path: Path) -> None:
    texts = ("times of zfs have whole seconds", "the hypervisor took 5.0% of the CPU time")
    samples = [make_sample(0, scenario="single"), make_sample(1, scenario="single", error="it broke", metrics={})]
    run = read_back(tmp_path / "run", samples, warnings=[RunWarning("", text) for text in texts])
    told = [line for line in lines(Analysis(run, known), [], []) if line.startswith("Beware")]
    failed = "1 of 2 units failed; the page says more"
    assert told == [f"Beware: {text}." for text in (*texts, failed)]


def test_a_warning_is_a_sentence_on_the_page() -> None:
    assert sentence("times of `zfs` have whole seconds") == "Times of <code>zfs</code> have whole seconds."
    assert sentence("62% of the units") == "62% of the units."


def test_prose_marks_code_and_intervals() -> None:
    assert prose("`a<b` is 1.42 µs [1.38, 1.47]") == (
        '<code>a&lt;b</code> is 1.42 µs <span class="interval">[1.38, 1.47]</span>'
    )
