"""A run that tests the suite: streams of pairs, and of runs for other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.builders import make_sample, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Sample

__all__ = ["SIDE", "described", "write_streams"]

SIDE = {"depth": 8, "temperature": "hot", "params": {}}


def described(number: int, kind: str, **rest: Any) -> dict[str, Any]:
    """Return what run.json says of a stream; `rest` replaces parts of it."""
    compared: dict[str, Any] = {
        "scenario": "copy_up",
        "metric": "time",
        "a": {"arm": "overlay2@ext4", **SIDE},
        "b": {"arm": "overlay2@ext4", **SIDE},
        "alpha": 0.05,
        "delta": 0.03,
        "looks": [12, 24],
    }
    wanted = {"number": number, "label": "write, ext4", "kind": kind, "share": 0.0, "trials": 0}
    return {**compared, **wanted, **rest}


def write_streams(directory: Path) -> Path:
    """Write equal arms and arms that differ by 10 %, as pairs and as two trials of 120 units a side."""
    random = np.random.default_rng(2)
    kinds = [(0, 1.0, False), (1, 1.1, False), (2, 1.0, True), (3, 1.1, True), (4, 1.1, True)]
    samples: list[Sample] = []
    for number, factor, batch in kinds:
        for block in range(240 if batch else 48):
            for side in "ab":
                value = 1000.0 * random.lognormal(0, 0.02) * (factor if side == "b" else 1.0)
                params: dict[str, int | str] = {"comparison": number, "side": side, "setup": 1, "delay": 0}
                samples.append(make_sample(len(samples), block=block, params=params, metrics={"time": value}))
    streams = [
        described(
            number,
            "delay" if factor > 1 else "equal",
            share=0.1 if factor > 1 else 0.0,
            trials=2,
            batch=120 if batch else 0,
            tool="hyperfine" if number == 4 else "",
        )
        for number, factor, batch in kinds
    ]
    return write_run(directory, samples, streams=streams, alpha=0.05)
