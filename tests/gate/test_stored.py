"""Ratios to native against stored ones: on the same machine only, and only what is beyond doubt and delta fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.gate.baseline import make_baseline
from bench.gate.config import GateConfig, ScenarioOverride, StoredTimes
from bench.gate.stored import judge_stored_times
from bench.gate.verdict import GateVerdict, Status, Tier
from tests.gate.made import HOST, READINGS, analysed, timed, units

if TYPE_CHECKING:
    from pathlib import Path


def judged(directory: Path, before: float, now: float, **settings: Any) -> GateVerdict:
    """Return the verdict on overlay2 that took `before`, and takes `now` times as long as native."""
    stored = make_baseline(analysed(directory / "before", timed(before)), READINGS)
    verdicts, warnings = judge_stored_times(stored, analysed(directory / "now", timed(now)), GateConfig(**settings))
    assert not warnings
    (verdict,) = verdicts
    return verdict


@pytest.mark.parametrize(
    ("before", "now", "status", "reason"),
    [
        (2.0, 2.0, Status.PASS, "the intervals overlap"),
        (2.0, 2.04, Status.PASS, "more than in the baseline, by no more than delta"),
        (2.0, 2.08, Status.FAIL, "more beside native than in the baseline, and the intervals do not overlap"),
        (2.0, 1.5, Status.PASS, "less beside native than in the baseline: update it if meant"),
    ],
)
def test_only_slower_beyond_delta_and_doubt_fails(
    tmp_path: Path, before: float, now: float, status: Status, reason: str
) -> None:
    told = judged(tmp_path, before, now)
    assert (told.status, told.reason, told.tier) == (status, reason, Tier.STORED)
    assert told.name == "time overlay2@ext4 hot depth=1"
    assert not told.blocking
    assert told.seen.endswith("] native")
    assert (told.severity > 1) == (status is Status.FAIL)


def test_delta_is_that_of_the_scenario(tmp_path: Path) -> None:
    lax = {"writes": ScenarioOverride(delta=0.1)}
    assert judged(tmp_path, 2.0, 2.08, scenarios=lax).status is Status.PASS


def test_an_interval_that_overlaps_does_not_fail_however_large_the_ratio(tmp_path: Path) -> None:
    stored = make_baseline(analysed(tmp_path / "before", timed(2.0)), READINGS)
    unsure = analysed(tmp_path / "now", [*timed(1.5, blocks=1), *timed(6, blocks=2)[2:]])
    verdicts, _ = judge_stored_times(stored, unsure, GateConfig())
    (told,) = verdicts
    assert (told.status, told.reason) == (Status.PASS, "the intervals overlap")
    assert told.seen.startswith("2.99×")  # about the square root of 1.5 × 6


def test_it_blocks_only_if_both_say_so(tmp_path: Path) -> None:
    blocking = StoredTimes.BLOCKING
    assert judged(tmp_path / "one", 2, 3, stored_times=blocking).blocking
    quiet = {"writes": ScenarioOverride(block=False)}
    assert not judged(tmp_path / "two", 2, 3, stored_times=blocking, scenarios=quiet).blocking


@pytest.mark.parametrize(
    ("fact", "difference"),
    [
        ({"cpu_model": "Another"}, "cpu_model Another, not A CPU"),
        ({"machine": "aarch64"}, "machine aarch64, not x86_64"),
        ({"cores": {"logical": 4}}, "cores 4, not 2"),
        ({"memory_bytes": 16 << 30}, "memory_gib 16, not 8"),
        ({"virtualisation": {"hypervisor": None}}, "hypervisor unknown, not True"),
        ({"kernel": "6.12"}, "kernel 6.12, not 6.1"),
        ({"cpu_model": "Another", "kernel": "6.12"}, "cpu_model Another, not A CPU"),
    ],
)
def test_on_another_machine_there_is_no_verdict_but_a_warning(
    tmp_path: Path, fact: dict[str, Any], difference: str
) -> None:
    stored = make_baseline(analysed(tmp_path / "before", timed(2)), READINGS)
    verdicts, warnings = judge_stored_times(stored, analysed(tmp_path / "now", timed(9), host=fact), GateConfig())
    assert not verdicts
    assert warnings == [f"stored times are not judged, the baseline is from another machine: {difference}"]


def test_what_does_not_tell_machines_apart(tmp_path: Path) -> None:
    stored = make_baseline(analysed(tmp_path / "before", timed(2)), READINGS)
    same = {"hostname": "other", "memory_bytes": HOST["memory_bytes"] - 100_000_000, "cores": {"logical": 2}}
    verdicts, warnings = judge_stored_times(stored, analysed(tmp_path / "now", timed(2), host=same), GateConfig())
    assert (len(verdicts), warnings) == (1, [])


def test_off_says_nothing(tmp_path: Path) -> None:
    stored = make_baseline(analysed(tmp_path / "before", timed(2)), READINGS)
    now = analysed(tmp_path / "now", timed(9), host={"kernel": "6.12"})
    assert judge_stored_times(stored, now, GateConfig(stored_times=StoredTimes.OFF)) == ([], [])


def test_stored_ratios_that_were_not_measured_are_told(tmp_path: Path) -> None:
    stored = make_baseline(analysed(tmp_path / "before", timed(2), timed(2, depth=5)), READINGS)
    verdicts, warnings = judge_stored_times(stored, analysed(tmp_path / "now", timed(2)), GateConfig())
    assert len(verdicts) == 1
    assert warnings == ["1 of 2 stored ratios to native were not measured"]


def test_without_stored_ratios_another_machine_is_no_matter(tmp_path: Path) -> None:
    stored = make_baseline(analysed(tmp_path / "before", units([{"bytes": 1}])), READINGS)
    now = analysed(tmp_path / "now", timed(2), host={"kernel": "6.12"})
    assert judge_stored_times(stored, now, GateConfig()) == ([], [])
