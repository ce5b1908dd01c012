"""Two arms against each other: what is asked for, in which order it is measured, and when it is known."""

from __future__ import annotations

import itertools
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import discovery
from bench.errors import BenchError
from bench.measure.compare import MOST, SIDES, Compare, Comparison, make, plan_of
from bench.measure.plan import Plan
from bench.measure.request import Request
from bench.model import Arm, Cell, Sample, Support, Temperature
from bench.stats.paired import Procedure
from bench.volumes.base import Recipe
from tests.measure.fakes import FOREVER, Quiet, recording_scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.measure.workshop import Workshop
    from bench.scenario.contract import Scenario

HOT, NEW = Temperature.HOT, Temperature.NEW
FIRST, FRESH = 1, 2  # set-ups
PROCEDURE = Procedure(looks=(12, 24))
OVERLAY = "overlay2@ext4"


@pytest.fixture
def everything_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare as on a machine that has it all, whatever this one has."""

    def yes(self: object, volume: object = None) -> Support:
        return Support.yes()

    for kind in {Recipe, *map(type, discovery.volumes().values()), *discovery.drivers().values()}:
        monkeypatch.setattr(kind, "probe", yes)


# What is asked for


@pytest.mark.usefixtures("everything_works")
def test_without_a_scenario_every_one_whose_times_are_compared_is_at_its_own_point() -> None:
    found = make(OVERLAY, "overlay2,volatile=on@xfs", first=3)
    points = {name: one.compared for name, one in discovery.scenarios().items() if one.compared}
    assert [one.scenario for one in found] == list(points)
    assert [one.number for one in found] == list(range(3, 3 + len(points)))
    for one in found:
        point = points[one.scenario]
        assert point is not None
        assert one.metric == point.metric
        assert (one.a.arm.name, one.b.arm.name) == (OVERLAY, "overlay2,volatile=on@xfs")
        for cell in (one.a, one.b):
            assert (cell.depth, cell.temperature, cell.values) == (point.depth, point.temperature, dict(point.params))


@pytest.mark.usefixtures("everything_works")
def test_an_arms_own_parameters_win_over_those_of_both() -> None:
    [one] = make(
        f"{OVERLAY},depth=64",
        f"{OVERLAY},size=16KiB,temperature=cold",
        scenarios=["copy_up"],
        where={"depth": 10, "size": "4KiB", "temperature": "new", "position": "top"},
    )
    assert (one.a.depth, one.a.temperature, one.a.values) == (64, NEW, {"size": 4096, "position": "top"})
    assert (one.b.depth, one.b.temperature) == (10, Temperature.COLD)
    assert one.b.values == {"size": 16384, "position": "top"}


@pytest.mark.usefixtures("everything_works")
def test_arguments_of_mkfs_are_part_of_the_volume_of_the_arm_and_of_its_control() -> None:
    [one] = make(OVERLAY, f"{OVERLAY},mkfs=-O ^has_journal,depth=4,mkfs=-m 0", scenarios=["lookup"])
    assert one.b.arm.volume == "ext4,mkfs=-O ^has_journal,mkfs=-m 0"
    assert (one.a.depth, one.b.depth) == (32, 4)
    plan = plan_of([one], seed=1, budget=10)
    assert set(plan.volumes) == {"ext4", one.b.arm.volume}
    turned = Comparison(0, one.scenario, one.metric, one.b, one.a, PROCEDURE)
    assert turned.cell("control a", 1).arm.name == f"native@{one.b.arm.volume}"


@pytest.mark.usefixtures("everything_works")
def test_a_plan_holds_all_four_sides_and_their_stacks() -> None:
    [one] = make(OVERLAY, "fuse-overlayfs@ext4", scenarios=["copy_up"])
    plan = plan_of([one], seed=5, budget=10)
    assert [cell.values["side"] for cell in plan.cells["copy_up"]] == list(SIDES)
    assert {key.driver for key in plan.stacks} == {"overlay2", "fuse-overlayfs", "native"}
    assert (plan.request.seed, plan.request.seconds) == (5, 10)


@pytest.mark.usefixtures("everything_works")
@pytest.mark.parametrize(
    ("a", "rest", "words"),
    [
        ("overlay2", {}, r"'overlay2' is not an arm; write it like overlay2,"),
        ("overlay22@ext4", {}, r"unknown driver 'overlay22'; did you mean 'overlay2'\?"),
        ("overlay2@exts4", {}, r"unknown volume 'exts4'; did you mean 'ext4'\?"),
        ("overlay2,metacop=on@ext4", {}, r"unknown option of overlay2 'metacop'; did you mean 'metacopy'\?"),
        ("overlay2,metacopy=maybe@ext4", {}, r"metacopy='maybe' is not known; one of: on, off"),
        ("overlay2@ext4,depth", {}, r"'depth' in 'overlay2@ext4,depth' is not parameter=value"),
        ("overlay2@ext4,depth=1,depth=2", {}, r"gives depth twice"),
        ("overlay2@ext4,dept=1", {}, r"unknown parameter of copy_up 'dept'; did you mean 'depth'\?"),
        (OVERLAY, {"where": {"deletions": 3}}, r"unknown parameter of copy_up 'deletions'"),
        (OVERLAY, {"where": {"position": "botom"}}, r"unknown position 'botom'; did you mean 'bottom'\?"),
        (OVERLAY, {"where": {"temperature": "warm"}}, r"unknown temperature 'warm'"),
        (OVERLAY, {"where": {"size": "4X"}}, r"'4X' is not a size"),
        (OVERLAY, {"where": {"depth": "0"}}, r"'0' is not a depth"),
        (OVERLAY, {"where": {"depth": "501"}}, r"cannot run here: the driver takes at most 500 layers"),
        (OVERLAY, {"metric": "first_writ"}, r"unknown metric of copy_up 'first_writ'; did you mean 'first_write'\?"),
        (OVERLAY, {"scenarios": ["copyup"]}, r"unknown scenario 'copyup'; did you mean 'copy_up'\?"),
        (OVERLAY, {"scenarios": ["limits"]}, r"the times of scenario limits are not compared; choose of: .*copy_up"),
        (OVERLAY, {"scenarios": ["whiteouts"], "where": {"deletions": "few"}}, r"deletions='few' is not a whole"),
        (OVERLAY, {"scenarios": ["whiteouts"], "where": {"deletions": 0}}, r"deletions='0' is not a whole number"),
        (OVERLAY, {"scenarios": ["whiteouts"], "where": {"deletions": MOST + 1}}, r"from 1 to 100,000"),
        (OVERLAY, {"rootless": True}, r"arm overlay2@ext4 cannot run here: as an ordinary user the only volume is"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_not_known_or_does_not_apply_is_told(a: str, rest: dict[str, Any], words: str, turned: bool) -> None:
    arms = (OVERLAY, a) if turned else (a, OVERLAY)
    with pytest.raises(BenchError, match=words):
        make(*arms, **{"scenarios": ["copy_up"], **rest})


@pytest.mark.usefixtures("everything_works")
def test_an_arm_that_cannot_run_here_says_why_and_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = discovery.driver("fuse-overlayfs")
    monkeypatch.setattr(driver, "probe", lambda self, volume: Support.no("it is not installed", "install it"))
    with pytest.raises(BenchError, match=r"fuse-overlayfs@ext4 cannot run here: it is not installed; install it"):
        make(OVERLAY, "fuse-overlayfs@ext4")


@pytest.mark.usefixtures("everything_works")
def test_a_scenario_that_does_not_apply_to_an_arm_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    known = recording_scenario(
        [], "picky", compared=SimpleNamespace(metric="time", depth=1, temperature=HOT, params={})
    )
    object.__setattr__(known, "applies", lambda cell, driver: "it has no cat")
    monkeypatch.setattr(discovery, "scenarios", lambda: {"picky": known})
    with pytest.raises(BenchError, match=r"picky does not apply to overlay2@ext4: it has no cat"):
        make(OVERLAY, OVERLAY)


# In which order


def comparison(number: int = 0, procedure: Procedure = PROCEDURE, metric: str = "time") -> Comparison:
    a, b = (Cell("recorded", Arm("recorded", "disk", (("how", how),)), 2, HOT) for how in ("well", "badly"))
    return Comparison(number, "recorded", metric, a, b, procedure)


seeds = st.integers(0, 2**31)


@given(seed=seeds, number=st.integers(0, 5), setup=st.sampled_from([1, 2]), pair=st.integers(0, 500))
def test_a_block_has_each_side_once_and_the_pairs_are_not_torn(seed: int, number: int, setup: int, pair: int) -> None:
    pairs = comparison(number).pairs(seed, setup, pair)
    assert sorted(map(sorted, pairs)) == [sorted(SIDES[:2]), sorted(SIDES[2:])]
    assert pairs == comparison(number).pairs(seed, setup, pair)


@given(seed=seeds, setup=st.sampled_from([1, 2]), pair=st.integers(0, 250).map(lambda half: 2 * half))
def test_of_two_successive_pairs_each_side_goes_first_once(seed: int, setup: int, pair: int) -> None:
    orders = [list(chain(*comparison().pairs(seed, setup, block))) for block in (pair, pair + 1)]
    for first, second in (SIDES[:2], SIDES[2:]):
        assert {order.index(first) < order.index(second) for order in orders} == {True, False}


def test_orders_differ_between_seeds_set_ups_and_comparisons() -> None:
    def whole(number: int, seed: int, setup: int) -> list[list[tuple[str, str]]]:
        return [comparison(number).pairs(seed, setup, pair) for pair in range(40)]

    told = [whole(*which) for which in itertools.product((0, 1), (1, 2), (1, 2))]
    assert all(one != other for one, other in itertools.combinations(told, 2))


@pytest.mark.usefixtures("everything_works")
def test_units_run_at_the_same_time_unless_one_is_cold_or_they_are_to_run_apart() -> None:
    [told] = make(OVERLAY, "overlay2@xfs", scenarios=["lookup"])
    cold = replace(told.b, temperature=Temperature.COLD)
    assert told.in_turns
    assert not replace(told, b=cold).in_turns
    assert not replace(told, a=cold).in_turns
    assert not replace(told, apart=True).in_turns


# When it is known


@dataclass
class Shop:
    """A workshop whose units take given times: what it was asked for, and the runs of a runner it made."""

    time: Callable[[str, int, int], float]
    fails: Callable[[str, int, int], bool] = lambda side, setup, block: False
    deadline: float = FOREVER
    plans: list[Plan] = field(default_factory=list)
    rows: list[Sample] = field(default_factory=list)

    @contextmanager
    def runner(self, plan: Plan) -> Iterator[Runner]:
        self.plans.append(plan)
        yield Runner(self, plan)

    def blocks(self, setup: int, number: int = 0) -> int:
        """Return how many blocks of a comparison a set-up had."""
        own = [row for row in self.rows if row.params["setup"] == setup and row.params["comparison"] == number]
        assert len(own) % len(SIDES) == 0
        return len(own) // len(SIDES)


@dataclass
class Runner:
    shop: Shop
    plan: Plan
    built: bool = False
    sequence: int = 0
    deadline: float = FOREVER
    listener: Quiet = field(default_factory=Quiet)

    def build(self) -> None:
        self.built = True

    def observe_together(self, scenario: Scenario, cells: Sequence[Cell], block: int, judged: str) -> list[Sample]:
        assert {str(cell.values["side"])[-1] for cell in cells} == {"a", "b"}
        return [self.observe(scenario, cell, block, judged) for cell in cells]

    def observe(self, scenario: Scenario, cell: Cell, block: int, judged: str) -> Sample:
        assert self.built
        assert judged in {"time", "absent"}
        side, setup = str(cell.values["side"]), int(cell.values["setup"])
        failed = self.shop.fails(side, setup, block)
        metrics = {} if failed else {"time": self.shop.time(side, setup, block)}
        sample = Sample(
            len(self.shop.rows), block, scenario.name, cell.arm, cell.depth, cell.temperature, cell.values, 0.0,
            metrics, dict.fromkeys(metrics, 1), error="it failed" if failed else "",
        )  # fmt: skip
        self.shop.rows.append(sample)
        return sample


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr(discovery, "scenarios", lambda: {"recorded": recording_scenario([])})

    def measure(shop: Shop, *comparisons: Comparison, seed: int = 7) -> dict[str, Any]:
        work = Compare(comparisons or (comparison(),), Plan(Request(seed=seed)))
        return dict(work(cast("Workshop", shop)))

    return measure


def wobble(block: int) -> float:
    """Return a factor within 1 % of 1, which differs from block to block."""
    return 1 + math.sin(block * 2.4) / 100


def equal(side: str, setup: int, block: int) -> float:
    return 1000 * wobble(block + 7 * SIDES.index(side))


def slower(factor: float, *setups: int) -> Callable[[str, int, int], float]:
    """Return times of which B's are `factor` times the others' in these set-ups."""

    def time(side: str, setup: int, block: int) -> float:
        return equal(side, setup, block) * (factor if side == "b" and setup in setups else 1)

    return time


@pytest.mark.parametrize("factor", [1.2, 1 / 1.2])
def test_a_difference_is_found_and_measured_again_with_other_content(
    measured: Callable[..., dict[str, Any]], factor: float
) -> None:
    shop = Shop(slower(factor, FIRST, FRESH))
    told = measured(shop)
    assert [plan.request.seed for plan in shop.plans] == [7, 8]
    assert (shop.blocks(FIRST), shop.blocks(FRESH)) == (12, 12)
    assert len(told["setup_seconds"]) == 2
    orders = [[row.params["side"] for row in shop.rows if row.params["setup"] == setup] for setup in (FIRST, FRESH)]
    assert orders[0] == [side for pair in range(12) for side in chain(*comparison().pairs(7, FIRST, pair))]
    assert orders[1] == [side for pair in range(12) for side in chain(*comparison().pairs(8, FRESH, pair))]


def test_equal_arms_are_known_to_be_the_same_and_not_measured_again(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(equal)
    assert len(measured(shop)["setup_seconds"]) == 1
    assert shop.blocks(FIRST) == 12
    assert {row.params["setup"] for row in shop.rows} == {FIRST}


def test_what_cannot_be_told_ends_at_the_cap(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(lambda side, setup, block: 1000 * (1.5 if side == "b" and block % 2 else 1))
    assert len(measured(shop)["setup_seconds"]) == 1
    assert shop.blocks(FIRST) == PROCEDURE.cap


def test_an_effect_of_the_first_set_up_alone_is_measured_again(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(slower(1.2, FIRST))
    measured(shop)
    assert (shop.blocks(FIRST), shop.blocks(FRESH)) == (12, 12)


def test_only_what_was_found_is_measured_again(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(slower(1.2, FIRST, FRESH))
    a, b = comparison(0), comparison(1, metric="absent")
    measured(shop, a, b)
    assert (shop.blocks(FIRST, 0), shop.blocks(FRESH, 0)) == (12, 12)
    assert (shop.blocks(FIRST, 1), shop.blocks(FRESH, 1)) == (PROCEDURE.cap, 0)


def test_comparisons_take_turns(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(equal)
    measured(shop, comparison(0), comparison(1))
    turns = [row.params["comparison"] for row in shop.rows[:: len(SIDES)]]
    assert turns == [0, 1] * 12


def test_a_unit_that_failed_is_no_pair(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(equal, fails=lambda side, setup, block: side == "a" and block in (3, 5))
    measured(shop)
    assert shop.blocks(FIRST) == 14, "twelve whole pairs are looked at"


@pytest.mark.parametrize("side", SIDES[:2])
def test_a_side_that_always_fails_does_not_go_on_for_ever(measured: Callable[..., dict[str, Any]], side: str) -> None:
    shop = Shop(equal, fails=lambda which, setup, block: which == side)
    measured(shop)
    assert shop.blocks(FIRST) == PROCEDURE.cap
    assert len(shop.plans) == 1


def test_a_time_that_is_not_positive_is_no_pair(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(lambda side, setup, block: 0.0)
    measured(shop)
    assert shop.blocks(FIRST) == PROCEDURE.cap


def test_a_deadline_ends_it_with_what_it_has(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(equal)

    def last(side: str, setup: int, block: int) -> float:
        if block == 4:
            monkey.setattr(time, "monotonic", lambda: FOREVER)
        return equal(side, setup, block)

    shop.time = last
    shop.deadline = time.monotonic() + 1000
    with pytest.MonkeyPatch.context() as monkey:
        told = measured(shop)
    assert shop.blocks(FIRST) == 5
    assert len(told["setup_seconds"]) == 1


def test_a_deadline_that_is_over_measures_nothing(measured: Callable[..., dict[str, Any]]) -> None:
    shop = Shop(equal, deadline=time.monotonic() - 1)
    measured(shop)
    assert shop.rows == []


def by_the_minute(monkeypatch: pytest.MonkeyPatch, minutes: int, *comparisons: Comparison) -> Shop:
    """Measure for so many minutes, of which a unit takes one; B is slower."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(discovery, "scenarios", lambda: {"recorded": recording_scenario([])})

    def minute(side: str, setup: int, block: int) -> float:
        nonlocal now
        now += 60
        return slower(1.2, FIRST, FRESH)(side, setup, block)

    shop = Shop(minute, deadline=minutes * 60)
    Compare(comparisons, Plan(Request(seed=7)))(cast("Workshop", shop))
    return shop


def test_what_was_found_early_leaves_time_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found is confirmed within what is kept for it."""
    shop = by_the_minute(monkeypatch, 200, comparison(0), comparison(1, metric="absent"))
    assert (shop.blocks(FIRST, 0), shop.blocks(FRESH, 0)) == (12, 12)
    minutes = len(SIDES) * (12 + 12 + shop.blocks(FIRST, 1))
    assert 200 - len(SIDES) * 12 * 0.5 - 2 * len(SIDES) <= minutes <= 200


def test_where_time_is_short_some_findings_are_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = by_the_minute(monkeypatch, 3 * len(SIDES) * 12, comparison(0), comparison(1))
    assert [shop.blocks(FIRST, number) for number in (0, 1)] == [12, 12]
    assert shop.blocks(FRESH, 0) == 12
