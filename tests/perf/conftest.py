"""A run of 100,000 units on disk, made once."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.model import Temperature
from bench.store.writer import row
from tests.builders import make_sample, write_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNITS = 100_000
ARMS = [f"{stack}@{volume}" for volume in ("ext4", "xfs") for stack in ("native", "overlay2", "fuse-overlayfs", "vfs")]
CELLS = list(itertools.product(("a", "b", "c"), ARMS, (1, 8, 64), Temperature, (4096, 65536, 1048576, 16777216)))
METRICS = tuple(f"metric-{number}" for number in range(5))
COUNTERS = {f"counter-{number}": 4096.0 * number for number in range(5)}


@pytest.fixture(scope="session")
def large_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run's directory: 864 cells, five metrics and five counters each, rows of about 1 kB."""
    directory = write_run(tmp_path_factory.mktemp("results") / "large", [])
    values = np.random.default_rng(0).lognormal(8, 0.1, size=(UNITS, len(METRICS))).round(1)
    rows = [
        row(
            make_sample(
                arm=arm,
                scenario=scenario,
                depth=depth,
                temperature=temperature,
                params={"size": size},
                metrics=dict.fromkeys(METRICS, 0.0),
                operations=dict.fromkeys(METRICS, 100),
                counters=COUNTERS,
                expected={name: f"{value:g}" for name, value in COUNTERS.items()},
                proofs=("the file was not in the upper layer before", "it is after", "its content is equal"),
                how={
                    "temperature": "the volume unmounted and mounted again, dentries and pages dropped",
                    "operation": "pwrite of one byte at the end of the file, then close; opened before",
                    "mount": "lowerdir+ of the new mount API, index=off, metacopy=off",
                },
            )
        )
        for scenario, arm, depth, temperature, size in CELLS
    ]
    path = directory / "samples.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for sequence in range(UNITS):
            block, cell = divmod(sequence, len(rows))
            metrics = dict(zip(METRICS, values[sequence].tolist(), strict=True))
            told = {**rows[cell], "sequence": sequence, "block": block, "metrics": metrics}
            file.write(json.dumps(told, separators=(",", ":")) + "\n")
    yield directory
    path.unlink()
