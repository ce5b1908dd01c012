"""Builders that tests of several rooms share: a sample, and a run of samples on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.model import Arm, Sample, Temperature
from bench.reading.contract import Reading
from bench.reading.laws import Metric
from bench.store.reader import Run, load
from bench.store.records import bounds, mismatch
from bench.store.writer import RunWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.model import Param
    from bench.reading.laws import Law

__all__ = ["PLACE", "make_reading", "make_sample", "make_samples", "read_back", "write_run"]


PLACE: dict[str, Any] = {
    "kernel": "6.1.0-56-cloud-amd64",
    "origin": "Debian bookworm",
    "sha256": "0",
    "initramfs": "0",
    "clock": "instructions",
    "machine": "qemu-system-x86_64 7.2, -accel tcg",
    "memory_mib": 4096,
    "boots": 3,
    "command_line": "quiet",
}  # of a run in guests


def make_sample(
    sequence: int = 0,
    arm: str = "overlay2@ext4",
    *,
    block: int = 0,
    scenario: str = "first-write",
    depth: int = 1,
    temperature: Temperature = Temperature.HOT,
    params: Mapping[str, Param] | None = None,
    metrics: Mapping[str, float] | None = None,
    **rest: Any,
) -> Sample:
    """Return a unit that measured 1000 ns of `time`, unless told otherwise.

    `expected` and `mismatches` may be texts: `4..8`, `bytes is 24, expected 8 (why)`.
    """
    values = {"time": 1000.0} if metrics is None else dict(metrics)
    rest.setdefault("operations", dict.fromkeys(values, 1))
    rest.setdefault("started", 1.7e9 + sequence)
    rest["expected"] = {name: bounds(told) for name, told in rest.get("expected", {}).items()}
    rest["mismatches"] = tuple(map(mismatch, rest.get("mismatches", ())))
    return Sample(
        sequence=sequence,
        block=block,
        scenario=scenario,
        arm=Arm.parse(arm),
        depth=depth,
        temperature=temperature,
        params=params or {},
        metrics=values,
        **rest,
    )


def make_samples(
    cells: Iterable[Mapping[str, Any]], *, blocks: int = 10, noise: float = 0.05, seed: int = 0
) -> list[Sample]:
    """Return `blocks` units of each cell in random order within each block.

    A cell is what `make_sample` takes; each of its metrics is multiplied by seeded lognormal noise.
    """
    random = np.random.default_rng(seed)
    told = list(cells)
    samples: list[Sample] = []
    for block in range(blocks):
        for place in random.permutation(len(told)):
            cell = dict(told[place])
            metrics = {
                name: float(value * random.lognormal(0, noise))
                for name, value in cell.pop("metrics", {"time": 1000.0}).items()
            }
            samples.append(make_sample(len(samples), block=block, metrics=metrics, **cell))
    return samples


def make_reading(name: str = "first-write", *, order: int = 1, laws: Sequence[Law] = (), **rest: Any) -> Reading:
    """Return the reading of a scenario with the metric `time`."""
    needed: dict[str, Any] = {
        "question": f"What does {name} cost?",
        "method": "It measures nothing.",
        "metrics": (Metric("time", "time"),),
        "judged_metric": "time",
    }
    return Reading(name=name, order=order, laws=tuple(laws), **{**needed, **rest})


def write_run(directory: Path, samples: Iterable[Sample], **provenance: Any) -> Path:
    """Write a complete run of these samples; return its directory."""
    writer = RunWriter(directory, provenance)
    try:
        for sample in samples:
            writer.add(sample)
        writer.save(complete=True)
    finally:
        writer.close()
    return directory


def read_back(directory: Path, samples: Iterable[Sample], **provenance: Any) -> Run:
    """Write a run of these samples and load it."""
    return load(write_run(directory, samples, **provenance))
