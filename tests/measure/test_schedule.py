"""Orders come from the seed alone, limits hold, and no block begins that cannot end in time."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.measure.schedule import ESTIMATE_MARGIN, NextBlock, Schedule, block_order
from bench.model import Arm, Cell, Temperature

SEEDS = st.integers(0, 2**32)


def make_cells(number: int, *, max_blocks: int | None = None, name: str = "s") -> list[Cell]:
    return [
        Cell(name, Arm.parse("overlay2@ext4"), depth + 1, Temperature.HOT, (), max_blocks) for depth in range(number)
    ]


@given(number=st.integers(0, 30), seed=SEEDS, block=st.integers(0, 50))
def test_a_block_is_a_permutation_of_its_cells_and_the_same_each_time(number: int, seed: int, block: int) -> None:
    cells = make_cells(number)
    order = block_order(cells, seed, "s", block)
    assert Counter(order) == Counter(cells)
    assert order == block_order(tuple(cells), seed, "s", block)


@given(seed=SEEDS)
def test_seed_scenario_and_block_each_change_the_order(seed: int) -> None:
    cells = make_cells(20)
    orders = [tuple(block_order(cells, *key)) for key in product((seed, seed + 1), ("s", "t"), (0, 1))]
    assert len(set(orders)) == len(orders)


def test_every_cell_comes_first_about_equally_often() -> None:
    cells = make_cells(4)
    first = Counter(block_order(cells, 1, "s", block)[0].depth for block in range(400))
    assert all(70 <= times <= 130 for times in first.values()), first  # binomial: 100 ± 3.5 σ
    assert len(first) == 4


def test_units_that_are_compared_run_near_each_other_and_none_of_them_always_first() -> None:
    axes = product(("native", "overlay2"), ("ext4", "xfs"), (1, 8), (4096, 65536))
    cells = [
        Cell("s", Arm(driver, volume, ()), depth, Temperature.HOT, (("size", size),))
        for driver, volume, depth, size in axes
    ]
    firsts: Counter[Cell] = Counter()
    for block in range(800):
        order = block_order(cells, 1, "s", block)
        assert len(list(groupby(order, key=lambda cell: cell.arm.volume))) == 2
        assert len(list(groupby(order, key=lambda cell: (cell.arm.volume, cell.params)))) == 4
        firsts[order[0]] += 1
    assert all(25 <= firsts[cell] <= 75 for cell in cells), firsts  # binomial: 50 ± 3.6 σ


@given(limits=st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=1, max_size=8), seed=SEEDS)
def test_a_cell_comes_in_as_many_blocks_as_it_may(limits: list[int | None], seed: int) -> None:
    cells = [Cell("s", Arm.parse("a@b"), place, Temperature.HOT, (), limit) for place, limit in enumerate(limits)]
    seen = Counter(cell for block in range(6) for cell in block_order(cells, seed, "s", block))
    assert all(seen[cell] == (6 if cell.max_blocks is None else cell.max_blocks) for cell in cells)


def simulate(schedule: Schedule, costs: dict[str, float], budget: float) -> list[tuple[str, int, float]]:
    """Run blocks that cost what `costs` says; return (scenario, block, seconds left at its start)."""
    left = budget
    chosen: list[tuple[str, int, float]] = []
    for _ in range(2000):
        one = schedule.next(left)
        if one is None:
            return chosen
        chosen.append((one.scenario, one.block, left))
        schedule.ran(one, costs[one.scenario])
        left -= costs[one.scenario]
    raise AssertionError("it does not end")


NAMES = ("a", "b", "c")
COSTS = st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(0.5, 20)))
WEIGHTS = st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(0.05, 1)))


@given(costs=COSTS, weights=WEIGHTS, budget=st.floats(1, 300))
def test_every_scenario_gets_a_block_and_no_later_one_begins_that_cannot_end(
    costs: dict[str, float], weights: dict[str, float], budget: float
) -> None:
    chosen = simulate(Schedule({name: make_cells(1) for name in NAMES}, weights), costs, budget)
    assert [name for name, _, _ in chosen[:3]] == list(NAMES)[: len(chosen)]
    for name, block, left in chosen:
        assert left > 0
        assert block == 0 or costs[name] * ESTIMATE_MARGIN <= left
    for name in NAMES:
        blocks = [block for scenario, block, _ in chosen if scenario == name]
        assert blocks == list(range(len(blocks)))


@given(costs=COSTS, weights=WEIGHTS)
def test_time_is_shared_by_weight_to_within_a_block(costs: dict[str, float], weights: dict[str, float]) -> None:
    schedule = Schedule({name: make_cells(1) for name in NAMES}, weights)
    for _ in range(60):
        one = schedule.next(1e9)
        assert one is not None
        schedule.ran(one, costs[one.scenario])
    shares = {name: schedule.spent[name] / weights[name] for name in NAMES}
    for name, other in product(NAMES, NAMES):
        # When `name` was last chosen it had had no more of its share than `other`.
        assert shares[name] - shares[other] <= costs[name] / weights[name] * (1 + 1e-9)


@given(limits=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_a_scenario_whose_cells_are_all_limited_ends_with_the_largest_limit(limits: list[int]) -> None:
    cells = [cell for limit in limits for cell in make_cells(1, max_blocks=limit)]
    chosen = simulate(Schedule({"s": cells}, {"s": 1.0}), {"s": 1.0}, 1e6)
    assert [block for _, block, _ in chosen] == list(range(max(limits)))


@given(limits=st.lists(st.integers(1, 6), min_size=1, max_size=4), left=st.floats(1, 40))
def test_one_cell_without_limit_keeps_a_scenario_going(limits: list[int], left: float) -> None:
    assume(left > 2)
    cells = [*make_cells(1), *[cell for limit in limits for cell in make_cells(1, max_blocks=limit)]]
    chosen = simulate(Schedule({"s": cells}, {"s": 1.0}), {"s": 1.0}, left)
    assert chosen[-1][2] - 1.0 < ESTIMATE_MARGIN


@pytest.mark.parametrize("left", [0.0, -1.0])
def test_nothing_begins_without_time(left: float) -> None:
    assert Schedule({"s": make_cells(1)}, {"s": 1.0}).next(left) is None


def test_a_scenario_that_does_not_fit_makes_room_for_one_that_does() -> None:
    schedule = Schedule({"long": make_cells(1), "short": make_cells(1)}, {"long": 1.0, "short": 0.1})
    schedule.ran(NextBlock("long", 0, True), 10.0)
    schedule.ran(NextBlock("short", 0, True), 1.0)
    assert schedule.next(5.0) == NextBlock("short", 1, True)
