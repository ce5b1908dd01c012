"""What the page says of an engine's container beside those that are built by hand."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench import discovery
from bench.model import Temperature
from bench.reading.analysis import Analysis
from tests.builders import make_sample, read_back

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.model import Sample
    from bench.reading.claims import Table

METRICS = ("lookup", "small", "large", "unlink")
ARMS = tuple(f"docker/{name}@{volume}" for name in ("overlay2", "overlay", "vfs") for volume in ("ext4", "xfs"))
NOISE = 0.02


def tables(directory: Path, factors: Mapping[str, float], between: float, blocks: int = 12) -> list[Table]:
    """Return the tables of a run whose engines take these factors, with stacks `between` apart (log, deviation)."""
    rng = np.random.default_rng(3)
    samples: list[Sample] = []
    for arm in ("native@ext4", "native@xfs", *ARMS):
        drawn = {(side, name): rng.normal(0, between) for side in ("", "by_hand_", "control_") for name in METRICS}
        for block in range(blocks):
            times = {
                f"{side}{name}": 1000.0
                * (1.0 if side else factors.get(arm, 1.0))
                * float(np.exp(at + rng.normal(0, NOISE)))
                for (side, name), at in drawn.items()
                if "/" in arm or not side
            }
            known = dict.fromkeys(("create", "mount"), 1000000.0)
            samples.append(
                make_sample(
                    0,
                    arm,
                    block=block,
                    scenario="drivers",
                    depth=32,
                    temperature=Temperature.NEW,
                    metrics={**times, **known},
                )
            )
    numbered = [dataclasses.replace(sample, sequence=place) for place, sample in enumerate(samples)]
    analysis = Analysis(read_back(directory / "run", numbered), discovery.readings())
    return list(discovery.readings()["drivers"].tables(analysis))


def reasons(told: list[Table]) -> dict[str, str]:
    table = next(one for one in told if one.title == "An engine's container, times the one that is built by hand")
    return {row[0]: row[-1] for row in table.rows}


def test_what_no_two_stacks_by_hand_show_is_not_explained_away(tmp_path: Path) -> None:
    told = reasons(tables(tmp_path, {"docker/overlay2@ext4": 1.3}, 0.0))
    assert told["docker/overlay2@ext4"].startswith("not known: ")
    assert told["docker/overlay@xfs"] == ""


def test_what_two_stacks_by_hand_differ_by_is_said_and_held_by_the_intervals(tmp_path: Path) -> None:
    told = tables(tmp_path, {}, 0.05)
    said = reasons(told)
    assert any("two stacks by hand are as far apart" in reason for reason in said.values())
    assert not any("not known" in reason for reason in said.values())
    last = told[-1].rows[-1]
    deviations = [float(cell.removesuffix(" %")) for cell in last[1:]]
    assert all(3 < deviation < 14 for deviation in deviations)  # of a ratio of two: √2 times 5 %


def test_a_known_cause_is_said_whatever_the_figures(tmp_path: Path) -> None:
    said = reasons(tables(tmp_path, {"docker/vfs@xfs": 0.2}, 0.0))
    assert "clones" in said["docker/vfs@xfs"]
    assert not any("not known" in reason for reason in said.values())


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_short_run_has_the_tables_too(tmp_path: Path, blocks: int) -> None:
    said = reasons(tables(tmp_path, {}, 0.0, blocks))
    assert set(said) == set(ARMS)
