"""Overlayfs where listings do not tell the types of names: what is counted for real, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.model import WITH_TYPES, WITHOUT_TYPES, Temperature
from bench.reading.analysis import Analysis
from bench.reading.claims import Outcome
from bench.store.reader import load
from scenarios.types.reading import READING, judge_backing
from tests.builders import make_sample, write_run
from tests.host.isolated import isolated
from tests.integration.places import require
from tests.scenarios.blocks import one_block, small

if TYPE_CHECKING:
    from pathlib import Path

    from bench.model import Sample


def told(sequence: int, types: str, **counters: int) -> Sample:
    return make_sample(
        sequence,
        scenario=READING.name,
        temperature=Temperature.NEW,
        params={"types": types},
        metrics={"make": 1.0},
        counters={"volume_mounts": 1, "overlay_mounts": 1, "told": int(types == WITH_TYPES), **counters},
    )


@pytest.mark.parametrize(
    ("counters", "outcome", "words"),
    [
        ({"volume_mounts": 0, "overlay_mounts": 0}, Outcome.QUALIFIED, "this kernel does not mount ext4 made without"),
        ({"overlay_mounts": 0}, Outcome.CONFIRMED, "overlayfs refuses ext4 made without types"),
        ({"left_in_listings": 1, "rmdir_fails": 0}, Outcome.CONFIRMED, "but a deleted name stays in listings"),
        (
            {"left_in_listings": 1, "rmdir_fails": 1},
            Outcome.CONFIRMED,
            "stays in listings and a directory whose files were deleted cannot be removed",
        ),
        ({"left_in_listings": 0, "rmdir_fails": 0}, Outcome.REFUTED, "and deletions work"),
    ],
)
def test_the_verdict_follows_what_was_counted(
    tmp_path: Path, counters: dict[str, int], outcome: Outcome, words: str
) -> None:
    run = write_run(
        tmp_path / "run", [told(0, WITH_TYPES, left_in_listings=0, rmdir_fails=0), told(1, WITHOUT_TYPES, **counters)]
    )
    analysis = Analysis(load(run), discovery.readings())
    [finding] = judge_backing(analysis)
    assert finding.outcome is outcome
    assert words in finding.evidence
    assert READING.tables is not None
    [table] = READING.tables(analysis)
    assert [row[:2] for row in table.rows] == [("ext4", WITH_TYPES), ("ext4", WITHOUT_TYPES)]


@pytest.mark.root
def test_on_ext4_without_types_a_deleted_name_stays(place: Path) -> None:
    require(volume="ext4", driver="overlay2")
    plan = small(READING.name, "ext4", "overlay2", profile="standard")

    def work() -> None:
        block = one_block(plan, place)
        block.check()
        by_types = {str(row.params["types"]): row.counters for row in block.samples}
        assert by_types[WITH_TYPES]["left_in_listings"] == 0
        assert by_types[WITHOUT_TYPES] == {
            "volume_mounts": 1, "overlay_mounts": 1, "told": 0, "left_in_listings": 1, "rmdir_fails": 1,
        }  # fmt: skip

    isolated(work)
