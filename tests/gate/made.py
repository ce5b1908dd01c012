"""What the tests of a gate are made of: runs with counters and ratios, and verdicts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from bench.gate.verdict import GateResult, GateVerdict, Status, Tier
from bench.reading.analysis import Analysis
from tests.builders import make_reading, make_sample, read_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bench.model import Sample
    from bench.reading.contract import Reading

HOST: dict[str, Any] = {
    "cpu_model": "A CPU",
    "machine": "x86_64",
    "cores": {"logical": 2, "physical": 1},
    "memory_bytes": 8 << 30,
    "virtualisation": {"hypervisor": True},
    "kernel": "6.1",
}
HOW = {"mount": "fsconfig lowerdir+", "options": "rw,relatime,lowerdir×1", "backing": "ext4 rw,relatime"}
READINGS: dict[str, Reading] = {
    "writes": make_reading("writes"),
    "reads": make_reading("reads", order=2),
}


def units(
    counters: Iterable[Mapping[str, float]], arm: str = "overlay2@ext4", *, scenario: str = "writes", **rest: Any
) -> list[Sample]:
    """Return a unit of one cell for each of these counters, one a block."""
    rest.setdefault("how", HOW)
    return [
        make_sample(0, arm, block=block, scenario=scenario, counters=told, **rest)
        for block, told in enumerate(counters)
    ]


def timed(factor: float, *, blocks: int = 12, scenario: str = "writes", **rest: Any) -> list[Sample]:
    """Return units of native and of overlay2 that takes `factor` times as long, within half a per cent."""
    found = []
    for block in range(blocks):
        wobble = 1 + (block % 5 - 2) / 400
        for arm, value in (("native@ext4", 1000.0), ("overlay2@ext4", 1000.0 * factor * wobble)):
            found.append(make_sample(0, arm, block=block, scenario=scenario, metrics={"time": value}, **rest))
    return found


def analysed(directory: Path, *groups: list[Sample], host: Mapping[str, Any] | None = None) -> Analysis:
    """Return the analysis of a run of these units."""
    flat = [sample for group in groups for sample in group]
    numbered = [dataclasses.replace(sample, sequence=place) for place, sample in enumerate(flat)]
    run = read_back(directory, numbered, host={**HOST, **(host or {})}, version="1.2.3")
    return Analysis(run, READINGS)


def verdict(status: Status = Status.PASS, *, blocking: bool = True, **rest: Any) -> GateVerdict:
    """Return a verdict on one figure."""
    told = {"scenario": "writes", "name": "bytes overlay2@ext4 hot depth=1", "tier": Tier.COUNTERS}
    told |= {"seen": "8 bytes", "expected": "4 bytes", "reason": "more than the baseline"}
    return GateVerdict(status=status, blocking=blocking, **{**told, **rest})


texts = st.text(st.characters(), max_size=12)  # halves of surrogate pairs and control characters as well
verdicts = st.builds(
    GateVerdict, scenario=texts, name=texts, tier=st.sampled_from(Tier), status=st.sampled_from(Status),
    blocking=st.booleans(), seen=texts, expected=texts, reason=texts, severity=st.floats(0, 1e9),
)  # fmt: skip
results = st.builds(
    GateResult, verdicts=st.lists(verdicts, max_size=8).map(tuple), inconclusive_fails=st.booleans(),
    warnings=st.lists(texts, max_size=3).map(tuple),
)  # fmt: skip
