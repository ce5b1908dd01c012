"""A run, analysed: what pairs with what, what is counted, which laws are fitted."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.model import Arm, Sample, Temperature
from bench.reading.analysis import Analysis
from bench.reading.laws import Law
from bench.report.summary import between_runs
from bench.stats.pooled import Pool
from bench.store.rows import RESERVED
from tests.builders import make_reading, make_sample, make_samples, read_back

if TYPE_CHECKING:
    from pathlib import Path

    from bench.reading.contract import Reading
    from bench.stats.fit import Line

HOT, COLD = Temperature.HOT, Temperature.COLD


def analysed(directory: Path, samples: list[Sample], *scenarios: Reading) -> Analysis:
    return Analysis(read_back(directory / "run", samples), {scenario.name: scenario for scenario in scenarios})


def units(arm: str, values: dict[int, float], **rest: Any) -> list[Sample]:
    """Return one unit of `arm` in each of these blocks; to be numbered."""
    return [make_sample(0, arm, block=block, metrics={"time": value}, **rest) for block, value in values.items()]


def numbered(*groups: list[Sample]) -> list[Sample]:
    flat = [sample for group in groups for sample in group]
    return [dataclasses.replace(sample, sequence=place) for place, sample in enumerate(flat)]


def test_a_cell_is_the_centre_of_its_units(tmp_path: Path) -> None:
    samples = make_samples(
        [
            {"temperature": HOT, "params": {"size": 1}, "operations": {"time": 7}},
            {"temperature": COLD, "params": {"size": 1}, "metrics": {"time": 9000.0}},
            {"temperature": HOT, "params": {"size": 2}, "metrics": {"time": 4000.0}},
        ]
    )
    told = analysed(tmp_path, samples)
    hot = [one for one in samples if one.temperature == HOT]  # its sizes share a spread; cold cells have another
    pool = Pool(
        [one.metrics["time"] for one in hot], [one.params["size"] == 2 for one in hot], [one.block for one in hot]
    )
    assert told.cell("first-write", Arm.parse("overlay2@ext4"), "time", temperature=HOT, size=1) == pool.centre(0)
    values = [one.metrics["time"] for one in hot if one.params["size"] == 1]
    assert len(told.cells) == 3
    row = told.cells.iloc[0]
    assert (row["n"], row["operations"], row["minimum"], row["maximum"]) == (10, 70, min(values), max(values))
    assert (row["median"], row["outliers"]) == (float(np.median(values)), 0)


def test_units_on_a_disturbed_cpu_move_neither_a_time_nor_a_ratio(tmp_path: Path) -> None:
    """Their row says what the CPU was like before and after; a pair is disturbed if one of its units is."""
    arm = Arm.parse("overlay2@ext4")
    quiet = make_samples([{"arm": name} for name in ("native@ext4", "overlay2@ext4")], blocks=12, noise=0.01)
    paces = {2: {"slowness": 1.5, "slowness_after": 1.0}, 3: {"slowness": 1.0, "slowness_after": 1.6}}
    slow = [
        dataclasses.replace(one, metrics={"time": 1.4 * one.metrics["time"]}, pace=paces[one.block % 4])
        if one.block % 4 in paces and one.arm == arm
        else dataclasses.replace(one, pace={"slowness": 1.01, "slowness_after": 0.99})
        for one in quiet
    ]
    calm, weighted, alike = (
        analysed(tmp_path / name, samples)
        for name, samples in (
            ("calm", quiet),
            ("slow", slow),
            ("unknown", [dataclasses.replace(one, pace={}) for one in slow]),
        )
    )
    for look_up in ("cell", "ratio"):
        own, wanted, moved = (getattr(told, look_up)("first-write", arm, "time") for told in (weighted, calm, alike))
        assert own.value == pytest.approx(wanted.value, rel=0.02)
        assert own.relative_half_width < 0.02
        assert moved.value > 1.1 * wanted.value
    assert list(weighted.run.times["disturbed"]) == [
        one.pace["slowness"] + one.pace["slowness_after"] > 2.1 for one in slow
    ]
    assert not alike.run.times["disturbed"].any()


def test_times_allow_for_other_runs_and_less_in_a_long_one(tmp_path: Path) -> None:
    samples = make_samples([{"arm": arm} for arm in ("native@ext4", "overlay2@ext4")])
    arm = Arm.parse("overlay2@ext4")
    measuring, quick, long = (
        Analysis(read_back(tmp_path / name, samples, seconds=seconds), {})
        for name, seconds in (("measuring", 0.0), ("quick", 100.0), ("long", 1600.0))
    )
    own, wide, narrower = (analysis.cell("first-write", arm, "time") for analysis in (measuring, quick, long))
    assert own is not None
    assert wide is not None
    assert narrower is not None
    assert own.value == wide.value == narrower.value
    assert own.low > narrower.low > wide.low
    assert measuring.ratio("first-write", arm, "time") == quick.ratio("first-write", arm, "time")
    assert not between_runs(measuring)
    assert "differ by 3.0% on" in between_runs(quick)
    assert "differ by 1.5% on" in between_runs(long)


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    arms = ("native@ext4", "overlay2@ext4", "vfs@ext4")
    samples = make_samples([{"arm": arm, "depth": depth} for arm in arms for depth in (1, 2)])
    one = analysed(tmp_path / "one", samples)
    other = analysed(tmp_path / "other", numbered(samples[::-1]))
    for name in ("cells", "ratios", "counters"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def test_look_ups_answer_none_for_what_is_not_there(tmp_path: Path) -> None:
    told = analysed(tmp_path, make_samples([{"arm": "native@ext4"}, {"arm": "overlay2@ext4"}]))
    assert told.cell("first-write", Arm.parse("overlay2@ext4"), "time") is not None
    assert told.ratio("first-write", Arm.parse("overlay2@ext4"), "time") is not None
    for where in ({"depth": 9}, {"temperature": COLD}, {"size": 1}):
        assert told.cell("first-write", Arm.parse("overlay2@ext4"), "time", **where) is None
        assert told.ratio("first-write", Arm.parse("overlay2@ext4"), "time", **where) is None
    assert told.cell("lookup", Arm.parse("overlay2@ext4"), "time") is None
    assert told.cell("first-write", Arm.parse("vfs@ext4"), "time") is None
    assert told.cell("first-write", Arm.parse("overlay2@ext4"), "rate") is None
    assert told.ratio("first-write", Arm.parse("native@ext4"), "time") is None
    assert told.counter("first-write", Arm.parse("overlay2@ext4"), "bytes") is None
    assert told.law("first-write", "time", "depth", Arm.parse("overlay2@ext4")) is None


def test_look_ups_refuse_to_choose(tmp_path: Path) -> None:
    cells = [{"arm": arm, "depth": depth} for arm in ("native@ext4", "vfs@ext4") for depth in (1, 2)]
    told = analysed(tmp_path, make_samples([{**cell, "counters": {"bytes": 1.0}} for cell in cells]))
    for ask, name in ((told.cell, "time"), (told.ratio, "time"), (told.counter, "bytes")):
        with pytest.raises(ValueError, match="2 cells match"):
            ask("first-write", Arm.parse("vfs@ext4"), name)
        assert ask("first-write", Arm.parse("vfs@ext4"), name, depth=2) is not None


def test_ratios_pair_by_block(tmp_path: Path) -> None:
    """Blocks differ a hundredfold and the arms by a fifth, which only pairs can show."""
    slow = dict(enumerate(100.0 * 10 ** np.linspace(0, 2, 8)))
    own = {block: value * 1.2 for block, value in slow.items() if block != 3} | {20: 1e9}
    told = analysed(tmp_path, numbered(units("native@ext4", slow), units("vfs@ext4", own)))
    found = told.ratio("first-write", Arm.parse("vfs@ext4"), "time")
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((1.2, 1.2, 1.2))
    assert found.n == 7  # neither block 3, which lacks the arm, nor block 20, which lacks native


def test_ratios_are_those_of_paired_units(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    native, own = random.lognormal(8, 0.1, size=12), random.lognormal(9, 0.1, size=12)
    blocks = random.permutation(12).tolist()
    samples = numbered(
        units("native@ext4", dict(zip(blocks, native.tolist(), strict=True))),
        units("vfs@ext4", {block: own[blocks.index(block)] for block in range(12)}),
    )
    found = analysed(tmp_path, samples).ratio("first-write", Arm.parse("vfs@ext4"), "time")
    wanted = Pool(own / native, np.zeros(12, int), blocks).centre(0)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))


def test_ratios_take_native_from_the_same_volume_temperature_and_parameters(tmp_path: Path) -> None:
    samples: list[list[Sample]] = []
    factor = 2.0
    for volume in ("ext4", "xfs"):
        for temperature in (HOT, COLD):
            for size in (1, 2):
                same: dict[str, Any] = {"temperature": temperature, "params": {"size": size}}
                samples.append(units(f"native@{volume}", dict.fromkeys(range(6), 100.0 / factor), **same))
                samples.append(units(f"vfs@{volume}", dict.fromkeys(range(6), 100.0), **same))
                factor *= 2
    told = analysed(tmp_path, numbered(*samples))
    assert len(told.ratios) == 8
    assert sorted(told.ratios["ratio"].round(6)) == [2.0**power for power in range(1, 9)]
    found = told.ratio("first-write", Arm.parse("vfs@xfs"), "time", temperature=COLD, size=2)
    assert found is not None
    assert found.value == pytest.approx(256)


def test_ratios_take_natives_largest_depth_where_it_has_not_the_arms(tmp_path: Path) -> None:
    blocks = dict.fromkeys(range(6), 1.0)
    samples = [units("native@ext4", {b: float(depth) for b in blocks}, depth=depth) for depth in (8, 1)]
    samples += [units("vfs@ext4", dict.fromkeys(blocks, 16.0), depth=depth) for depth in (1, 2, 8, 64)]
    told = analysed(tmp_path, numbered(*samples)).ratios
    assert told[["depth", "native_depth"]].to_numpy().tolist() == [[1, 1], [2, 8], [8, 8], [64, 8]]
    assert told["ratio"].tolist() == pytest.approx([16, 2, 2, 2])


def test_there_is_no_ratio_without_native_on_the_volume_or_in_the_block(tmp_path: Path) -> None:
    told = analysed(
        tmp_path,
        numbered(units("native@ext4", {0: 1.0}), units("vfs@ext4", {1: 1.0}), units("vfs@xfs", {0: 1.0})),
    )
    assert told.ratios.empty
    assert len(told.cells) == 3


def test_a_value_of_zero_has_no_ratio_and_is_not_dropped(tmp_path: Path) -> None:
    told = analysed(tmp_path, numbered(units("native@ext4", {0: 0.0, 1: 1.0}), units("vfs@ext4", {0: 1.0, 1: 1.0})))
    assert told.ratios["ratio"].isna().tolist() == [True]
    assert told.ratios["n"].tolist() == [2]
    assert "not positive" in told.ratios["method"][0]
    assert told.ratio("first-write", Arm.parse("vfs@ext4"), "time") is None


def test_several_units_in_a_block_are_one_observation_of_it(tmp_path: Path) -> None:
    own = [*units("vfs@ext4", dict.fromkeys(range(6), 3.0)), *units("vfs@ext4", dict.fromkeys(range(6), 5.0))]
    found = analysed(tmp_path, numbered(units("native@ext4", dict.fromkeys(range(6), 2.0)), own)).ratio(
        "first-write", Arm.parse("vfs@ext4"), "time"
    )
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert found.n == 6


def test_failed_units_are_units_and_not_observations(tmp_path: Path) -> None:
    good = units("vfs@ext4", {0: 1.0, 1: 1.0})
    bad = units("vfs@ext4", {2: 1e9}, error="not proven: x")
    told = analysed(tmp_path, numbered(good, bad, units("overlay2@ext4", {0: 1.0}, error="cannot mount")))
    assert told.cells["n"].tolist() == [2]
    assert len(told.units("first-write")) == 4
    assert [*map(str, told.arms("first-write"))] == ["overlay2@ext4", "vfs@ext4"]
    assert told.units("lookup").empty


def test_counters_say_how_many_match_what_was_expected(tmp_path: Path) -> None:
    def unit(sequence: int, written: float, flushes: str, *wrong: str) -> Sample:
        return make_sample(
            sequence,
            counters={"bytes": written, "flushes": 1.0, "seen": 3.0},
            expected={"bytes": "4096", "flushes": flushes},
            mismatches=wrong,
        )

    told = analysed(
        tmp_path, [unit(0, 4096, "1"), unit(1, 4096, "0..1"), unit(2, 9000, "1", "bytes is 9000, expected 4096 (x)")]
    )
    found = {
        name: told.counter("first-write", Arm.parse("overlay2@ext4"), name) for name in ("bytes", "flushes", "seen")
    }
    columns = ("units", "matching", "expected", "minimum", "maximum", "median")
    assert {name: tuple(row[column] for column in columns) for name, row in found.items() if row} == {
        "bytes": (3, 2, "4096", 4096, 9000, 4096),
        "flushes": (3, 3, "varies", 1, 1, 1),
        "seen": (3, 3, "", 3, 3, 3),
    }


def test_scenarios_stand_in_their_own_order_and_unknown_ones_last(tmp_path: Path) -> None:
    names = ("alpha", "beta", "gamma", "delta")
    samples = make_samples([{"scenario": name} for name in names], blocks=2)
    told = analysed(
        tmp_path, samples, make_reading("beta", order=3), make_reading("gamma", order=1), make_reading("x", order=9)
    )
    assert told.scenarios == ("gamma", "beta", "alpha", "delta")
    assert told.cells["scenario"].tolist() == list(told.scenarios)


def test_arms_stand_by_volume_native_first(tmp_path: Path) -> None:
    arms = ["overlay2@btrfs", "vfs@ext4", "native@xfs", "fuse-overlayfs@xfs", "fuse-overlayfs@ext4", "native@ext4"]
    told = analysed(tmp_path, make_samples([{"arm": arm} for arm in arms], blocks=2))
    wanted = ["native@ext4", "fuse-overlayfs@ext4", "vfs@ext4", "native@xfs", "fuse-overlayfs@xfs", "overlay2@btrfs"]
    assert [*map(str, told.arms("first-write"))] == wanted
    assert told.cells["arm"].tolist() == wanted
    assert told.arms("lookup") == []


def law_cells(arm: str, slope: float, **rest: Any) -> list[dict[str, Any]]:
    return [
        {"arm": arm, "depth": depth, "metrics": {"time": 1000.0 + slope * depth}, **rest} for depth in (1, 8, 32, 64)
    ]


def covers(told: Line, slope: float) -> bool:
    return told.slope.low <= slope <= told.slope.high


def test_a_law_is_fitted_on_every_arm_that_has_the_cells(tmp_path: Path) -> None:
    law = Law("time", "depth", "lookup grows with depth", where={"temperature": HOT})
    cells = [
        *law_cells("overlay2,index=off@xfs", 50.0),
        *law_cells("vfs@xfs", 0.0),
        *law_cells("overlay2,index=off@xfs", 9999.0, temperature=COLD),
        {"arm": "native@xfs", "depth": 64},
    ]
    told = analysed(tmp_path, make_samples(cells, noise=0.01, seed=1), make_reading(laws=[law]))
    assert [(str(one.arm), one.line.shape) for one in told.laws] == [
        ("overlay2,index=off@xfs", "grows"),
        ("vfs@xfs", "flat"),
    ]
    first = told.law("first-write", "time", "depth", Arm.parse("overlay2,index=off@xfs"))
    assert first is told.laws[0]
    assert (first.scenario, first.law) == ("first-write", law)
    assert covers(first.line, 50.0)
    assert not covers(told.laws[1].line, 50.0)
    assert told.law("first-write", "time", "depth", Arm.parse("vfs@xfs"), temperature=COLD) is None


def test_blocks_without_the_largest_size_do_not_change_the_slope(tmp_path: Path) -> None:
    """The host is twice as slow in the later blocks, which have all sizes but the largest."""
    cells = [{"params": {"size": size}, "metrics": {"time": 1000.0 + 5 * size}} for size in (1, 10, 100)]
    slow = [{"params": {"size": size}, "metrics": {"time": 2 * (1000.0 + 5 * size)}} for size in (1, 10)]
    early = make_samples(cells, noise=0.01, blocks=8)
    late = [dataclasses.replace(one, block=one.block + 8) for one in make_samples(slow, noise=0.01, blocks=8)]
    law = Law("time", "size", "first write against size")
    told = analysed(tmp_path, numbered(early, late), make_reading(laws=[law])).laws[0].line
    assert told.slope == analysed(tmp_path / "early", early, make_reading(laws=[law])).laws[0].line.slope
    assert covers(told, 5.0)


def test_a_law_ends_where_its_reading_says(tmp_path: Path) -> None:
    """The cost of the largest x is no longer on the line."""
    cells = [{"params": {"size": size}, "metrics": {"time": 1000.0 + 5 * size}} for size in (1, 10, 100)]
    beyond = {"params": {"size": 1000}, "metrics": {"time": 99_999.0}}
    samples = make_samples([*cells, beyond], noise=0.01)
    told = {
        up_to: analysed(
            tmp_path / f"{up_to}", samples, make_reading(laws=[Law("time", "size", "some", up_to=up_to)])
        ).laws[0]
        for up_to in (100, math.inf)
    }
    assert covers(told[100].line, 5.0)
    assert told[100].line.x_high == 100
    assert not covers(told[math.inf].line, 5.0)
    assert told[math.inf].line.x_high == 1000


def test_a_law_over_a_parameter_among_several_values_of_another(tmp_path: Path) -> None:
    some: Any = {"kind": ("a", "b"), "depth": 1}
    laws = [
        Law("time", "size", "some", where=some),
        Law("time", "size", "none", where={"kind": "z"}),
    ]
    cells: list[dict[str, Any]] = [
        {"depth": depth, "params": {"size": size, "kind": kind}, "metrics": {"time": 100.0 + size * factor}}
        for size in (1, 10, 100)
        for kind, factor in (("a", 1), ("b", 1), ("c", 99))
        for depth in (1, 2)
    ]
    cells.append({"depth": 1, "params": {"kind": "a"}})  # has no size, so is no point of the law
    told = analysed(tmp_path, make_samples(cells, noise=0.001), make_reading(laws=laws))
    assert [one.law.title for one in told.laws] == ["some"]
    assert sorted(told.laws[0].line.x) == [1, 1, 10, 10, 100, 100]
    assert covers(told.laws[0].line, 1.0)


def test_two_metrics_of_the_same_units_are_held_against_each_other(tmp_path: Path) -> None:
    both = [{"time": 100.0 * block, "other": 50.0 * block} for block in range(1, 9)]
    samples = [make_sample(place, block=place, depth=3, metrics=told) for place, told in enumerate(both)]
    samples.append(make_sample(8, block=8, depth=3, metrics={"time": 9e9}))  # the other is missing
    told = analysed(tmp_path, samples)
    arm = samples[0].arm.name
    one, other = ({"arm": arm, "depth": 3, "metric": metric} for metric in ("time", "other"))
    found = told.paired("first-write", one, other)
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert found.n == 8
    wider = told.paired("first-write", one, other, among=2)
    assert wider is not None
    assert wider.low <= found.low <= found.high <= wider.high
    assert told.paired("first-write", one, {**other, "depth": 4}) is None
    assert told.paired("first-write", one, {**other, "metric": "none"}) is None
    with pytest.raises(ValueError, match="several cells match"):
        told.paired("first-write", {"arm": arm}, other)


def test_two_laws_that_match_are_not_chosen_between(tmp_path: Path) -> None:
    laws = [Law("time", "depth", kind, where={"temperature": kind}) for kind in Temperature]
    cells = [cell for kind in (HOT, COLD) for cell in law_cells("vfs@xfs", 5.0, temperature=kind)]
    told = analysed(tmp_path, make_samples(cells), make_reading(laws=laws))
    with pytest.raises(ValueError, match="2 laws"):
        told.law("first-write", "time", "depth", Arm.parse("vfs@xfs"))
    found = told.law("first-write", "time", "depth", Arm.parse("vfs@xfs"), temperature=COLD)
    assert found is not None
    assert found.law.title == "cold"


def test_two_depths_are_no_law(tmp_path: Path) -> None:
    law = Law("time", "depth", "title")
    cells = [{"depth": depth} for depth in (1, 2)]
    assert analysed(tmp_path, make_samples(cells), make_reading(laws=[law])).laws == []


def test_an_empty_run_has_empty_frames(tmp_path: Path) -> None:
    told = analysed(tmp_path, [])
    assert (told.scenarios, told.laws) == ((), [])
    for frame in (told.cells, told.ratios, told.counters):
        assert len(frame) == 0
        assert "scenario" in frame.columns


def test_no_parameter_can_be_called_like_a_column(tmp_path: Path) -> None:
    cells = [{"arm": arm, "params": {"size": 1}, "counters": {"bytes": 1.0}} for arm in ("native@ext4", "vfs@ext4")]
    told = analysed(tmp_path, make_samples(cells))
    for frame in (told.cells, told.ratios, told.counters):
        assert set(frame.columns) - {"size"} <= RESERVED


def test_analysing_needs_no_kernel_and_no_driver() -> None:
    program = "import sys, bench.reading.analysis, bench.store.reader; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("bench.")}
    assert "stats" in rooms
    assert not rooms & {"kernel", "host", "volumes", "layers", "drivers", "measure"}


@pytest.mark.parametrize(("missing", "intervals"), [(0, 5), (1, 20), (4, 48), (12, 48)])
def test_how_many_intervals_miss_by_chance(tmp_path: Path, missing: int, intervals: int) -> None:
    told = analysed(tmp_path, [make_sample()])
    assert told.by_chance(missing, intervals) == pytest.approx(stats.binom.sf(missing - 1, intervals, 0.05))
