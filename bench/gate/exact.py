"""Verdicts on counts of instructions of a kernel in a guest, against a committed file; they need no statistics.

A guest's counts repeat exactly with a seed, on any machine, so that a file of one machine judges runs of another. What
is allowed is the spread between boots, and a change too small to matter.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench.errors import BenchError
from bench.gate.verdict import GateVerdict, Status, Tier
from bench.reading.headlines import HeadlineFigure
from bench.store.reader import Run
from bench.store.records import Place
from bench.store.writer import write_json

__all__ = ["ALLOWED", "ExactBaseline", "judge", "make", "read", "write"]

SCHEMA = 1
ALLOWED = 0.01  # a change of a count up to this share is a pass: kernels differ by that without anybody's doing


class ExactBaseline(msgspec.Struct, kw_only=True):
    """What a kernel's figures were: value, low and high by `SCENARIO KEY ARM`."""

    schema: int
    kernel: Annotated[str, "its release"]
    machine: Annotated[str, "the program that emulates the machine, its version and arguments"]
    command_line: str
    boots: int
    request: Annotated[dict[str, Any], "what was measured"]
    figures: dict[str, tuple[float, float, float]]


def make(run: Run, headlines: list[HeadlineFigure]) -> ExactBaseline:
    """Return the baseline of a run in guests; raises BenchError if it is no such run, or not complete."""
    place = _place(run)
    if not run.provenance.complete or (run.units["error"] != "").any():
        raise BenchError(f"run {run.id} makes no baseline", why="not all of its units are there", fix="measure again")
    return ExactBaseline(
        schema=SCHEMA,
        kernel=place.kernel,
        machine=place.machine,
        command_line=place.command_line,
        boots=place.boots,
        request=run.provenance.request,
        figures={_name(figure): _range(figure) for figure in headlines if figure.estimate.has_interval},
    )


def read(path: Path) -> ExactBaseline:
    """Read a baseline; raises BenchError for what is none."""
    try:
        baseline = msgspec.json.decode(path.read_bytes(), type=ExactBaseline)
    except OSError as error:
        raise BenchError(
            f"cannot read the baseline {path}", why=error.strerror or str(error), fix="make it with --update"
        ) from error
    except msgspec.MsgspecError as error:
        raise BenchError(f"{path} is no baseline of a kernel", why=str(error), fix="make it with --update") from error
    if baseline.schema > SCHEMA:
        raise BenchError(f"{path} has schema {baseline.schema}", why=f"this version reads {SCHEMA}", fix="upgrade")
    return baseline


def write(path: Path, baseline: ExactBaseline) -> None:
    """Write a baseline."""
    try:
        write_json(path, baseline)
    except OSError as error:
        raise BenchError(f"cannot write {path}", why=error.strerror or str(error), fix="make room") from error


def judge(
    baseline: ExactBaseline, run: Run, headlines: list[HeadlineFigure], allowed: float = ALLOWED
) -> list[GateVerdict]:
    """Judge every figure of the baseline; raises BenchError if the machines differ, so that counts say nothing."""
    place = _place(run)
    for what, own, other in (
        ("machine", place.machine, baseline.machine),
        ("kernel's command line", place.command_line, baseline.command_line),
    ):
        if own != other:
            raise BenchError(
                "counts of different machines cannot be compared",
                why=f"the {what} was {other}, and is {own}",
                fix="make a new baseline with --update",
            )
    seen = {_name(figure): figure for figure in headlines}
    return [
        _verdict(name, base, seen[name], place.kernel, baseline.kernel, allowed)
        if name in seen
        else _missing(name, place.kernel)
        for name, base in baseline.figures.items()
    ]


def _verdict(
    name: str, base: tuple[float, float, float], figure: HeadlineFigure, kernel: str, earlier: str, allowed: float
) -> GateVerdict:
    value, low, high = base
    now, unit = figure.estimate, figure.headline.unit.removeprefix("1")
    change = now.value / value - 1 if value else 0.0
    apart = now.low > high or now.high < low
    failed = apart and change > allowed
    if failed:
        reason = f"{change:+.1%} on {kernel}, against {earlier}"
    elif apart and change < -allowed:
        reason = f"{change:+.1%} on {kernel}, against {earlier}: update the baseline if meant"
    else:
        reason = f"as on {earlier}, within {allowed:.0%} or the spread between boots"
    before = dataclasses.replace(now, value=value, low=low, high=high)
    scenario, _, rest = name.partition(" ")
    return GateVerdict(
        scenario=scenario,
        name=f"{figure.headline.label}, {rest.rpartition(' ')[2]}",
        tier=Tier.EXACT,
        status=Status.FAIL if failed else Status.PASS,
        blocking=True,
        seen=now.text(unit),
        expected=before.text(unit),
        reason=reason,
        severity=max(change / allowed, 0.0),
    )


def _missing(name: str, kernel: str) -> GateVerdict:
    scenario, _, rest = name.partition(" ")
    return GateVerdict(
        scenario=scenario,
        name=rest,
        tier=Tier.EXACT,
        status=Status.INCONCLUSIVE,
        blocking=True,
        seen="not measured",
        expected="a figure",
        reason=f"the run on {kernel} does not have it",
    )


def _name(figure: HeadlineFigure) -> str:
    return f"{figure.scenario} {figure.headline.key} {figure.arm}"


def _range(figure: HeadlineFigure) -> tuple[float, float, float]:
    estimate = figure.estimate
    return float(estimate.value), float(estimate.low), float(estimate.high)  # some are of numpy


def _place(run: Run) -> Place:
    if run.provenance.place is None:
        raise BenchError(f"run {run.id} was made on no guest", fix="measure with --kernel")
    return run.provenance.place
