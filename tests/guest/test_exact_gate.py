"""Counts of a kernel against a committed file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.errors import BenchError
from bench.gate import exact
from bench.gate.verdict import GateResult, Status
from bench.model import Arm
from bench.reading.headlines import Headline, HeadlineFigure, Time
from bench.stats.estimate import Estimate
from tests.builders import PLACE, make_sample, read_back

if TYPE_CHECKING:
    from pathlib import Path

    from bench.store.reader import Run

FIRST_WRITE = Headline("first_write_4k", "first write, 4 KiB file", "instructions", Time("first_write"))


def run(path: Path, **place: Any) -> Run:
    request = {"profile": "quick", "seed": 1}
    return read_back(path, [make_sample()], place={**PLACE, **place}, request=request, version="0.2.0")


def figure(value: float, half: float = 10.0) -> HeadlineFigure:
    estimate = Estimate(value, value - half, value + half, 3, "test")
    return HeadlineFigure(FIRST_WRITE, "copy_up", Arm.parse("overlay2@xfs"), estimate, half / value)


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = exact.make(run(tmp_path / "run"), [figure(np.float64(1000.0))])
    exact.write(tmp_path / "exact.json", made)
    assert exact.read(tmp_path / "exact.json") == made
    assert made.figures == {"copy_up first_write_4k overlay2@xfs": (1000.0, 990.0, 1010.0)}
    assert made.kernel == PLACE["kernel"]


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        (1000.0, Status.PASS, "as on 6.1.0-56-cloud-amd64, within 1%"),
        (1008.0, Status.PASS, "as on"),
        (1015.0, Status.PASS, "as on"),  # beyond 1 %, but within the spread
        (1100.0, Status.FAIL, "+10.0% on 7.2, against 6.1.0-56-cloud-amd64"),
        (900.0, Status.PASS, "-10.0% on 7.2, against 6.1.0-56-cloud-amd64: update the baseline if meant"),
    ],
)
def test_more_instructions_fail(tmp_path: Path, value: float, status: Status, reason: str) -> None:
    baseline = exact.make(run(tmp_path / "old"), [figure(1000.0)])
    [verdict] = exact.judge(baseline, run(tmp_path / "new", kernel="7.2"), [figure(value)])
    assert (verdict.status, verdict.scenario, verdict.name) == (
        status,
        "copy_up",
        "first write, 4 KiB file, overlay2@xfs",
    )
    assert verdict.reason.startswith(reason)
    assert GateResult((verdict,), inconclusive_fails=True).exit_status == (1 if status is Status.FAIL else 0)


def test_a_figure_that_is_missing_is_inconclusive(tmp_path: Path) -> None:
    baseline = exact.make(run(tmp_path / "old"), [figure(1000.0)])
    verdicts = exact.judge(baseline, run(tmp_path / "new"), [])
    assert GateResult(tuple(verdicts), inconclusive_fails=True).exit_status == 3


@pytest.mark.parametrize("what", ["machine", "command_line"])
def test_counts_of_another_machine_are_refused(tmp_path: Path, what: str) -> None:
    baseline = exact.make(run(tmp_path / "old"), [figure(1000.0)])
    with pytest.raises(BenchError, match=r"counts of different machines cannot be compared: the .*, and is other"):
        exact.judge(baseline, run(tmp_path / "new", **{what: "other"}), [figure(1000.0)])


def test_a_run_of_the_host_makes_no_baseline(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="run run was made on no guest; measure with --kernel"):
        exact.make(read_back(tmp_path / "run", [make_sample()]), [])


def test_a_failed_unit_makes_no_baseline(tmp_path: Path) -> None:
    broken = read_back(tmp_path / "run", [replace(make_sample(), error="it broke")], place=PLACE)
    with pytest.raises(BenchError, match=r"makes no baseline: not all of its units are there"):
        exact.make(broken, [])


def test_what_is_no_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot read the baseline .*: No such file.*; make it with --update"):
        exact.read(tmp_path / "exact.json")
    (tmp_path / "exact.json").write_text('{"schema": 1}')
    with pytest.raises(BenchError, match=r"is no baseline of a kernel: .*`kernel`"):
        exact.read(tmp_path / "exact.json")
