"""Runs that compared two arms, as rows and provenance: what the tests of verdicts on them are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.model import Temperature
from tests.builders import make_sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.model import Param, Sample

__all__ = ["Pairs", "rows"]

LOOKS = (12, 24)
NOISE = 0.01


@dataclass(frozen=True)
class Pairs:
    """A comparison that was measured: by what factor B is slower than A in each set-up, and control b than a.

    The pairs' common noise is large, so that only what is paired rightly gives an answer.
    """

    factors: tuple[float, ...] = (1.0,)  # of each set-up
    control: tuple[float, ...] = (1.0, 1.0)
    pairs: int = 24
    scenario: str = "writes"
    metric: str = "time"
    a: str = "overlay2@ext4"
    b: str = "overlay2,volatile=on@ext4"
    depth: int = 8
    temperature: Temperature = Temperature.HOT
    params: Mapping[str, Param] = field(default_factory=lambda: {"size": 4096})
    params_b: Mapping[str, Param] = field(default_factory=dict)  # in which B differs
    depth_b: int | None = None
    alpha: float = 0.05
    delta: float = 0.03
    looks: tuple[int, ...] = LOOKS

    def described(self) -> dict[str, Any]:
        """Return the comparison as `run.json` tells it."""
        sides = {
            side: {
                "arm": arm,
                "depth": self.depth_of(side),
                "temperature": self.temperature.value,
                "params": dict(self.params_of(side)),
            }
            for side, arm in (("a", self.a), ("b", self.b))
        }
        told = {"scenario": self.scenario, "metric": self.metric, **sides, "control": "native@ext4"}
        return {**told, "alpha": self.alpha, "delta": self.delta, "looks": list(self.looks)}

    def depth_of(self, side: str) -> int:
        return self.depth_b if side == "b" and self.depth_b is not None else self.depth

    def params_of(self, side: str) -> Mapping[str, Param]:
        return {**self.params, **(self.params_b if side == "b" else {})}

    def times(self) -> Iterator[tuple[int, int, str, float]]:
        """Yield set-up, block, side and time of each unit, in the order measured."""
        random = np.random.default_rng(1)
        for setup, factor in enumerate(self.factors, 1):
            of_side = {"a": 1.0, "b": factor, "control a": 0.5, "control b": 0.5 * self.control[setup - 1]}
            for block in range(self.pairs):
                shared = 1000 * random.lognormal(0, 0.3)
                for side in random.permutation(list(of_side)):
                    yield setup, block, str(side), shared * of_side[side] * random.lognormal(0, NOISE)

    def samples(self, number: int, sequence: int = 0) -> list[Sample]:
        """Return its units as comparison `number` of a run."""
        arms = {"a": self.a, "b": self.b}
        return [
            make_sample(
                sequence + place,
                arms.get(side, "native@ext4"),
                block=block,
                scenario=self.scenario,
                depth=self.depth_of(side),
                temperature=self.temperature,
                params={**self.params_of(side), "comparison": number, "side": side, "setup": setup},
                metrics={self.metric: time},
            )
            for place, (setup, block, side, time) in enumerate(self.times())
        ]


def rows(*comparisons: Pairs, sequence: int = 0) -> tuple[list[Sample], list[dict[str, Any]]]:
    """Return the units of comparisons, one after the other, and what `run.json` tells of them."""
    samples: list[Sample] = []
    for number, one in enumerate(comparisons):
        samples += one.samples(number, sequence + len(samples))
    return samples, [one.described() for one in comparisons]
