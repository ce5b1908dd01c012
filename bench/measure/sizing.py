"""Sizes of a plan's volumes: chains of layers, containers, and what units write."""

from __future__ import annotations

from collections.abc import Sequence

from bench import discovery
from bench.drivers.base import Driver, Footprint
from bench.layers.content import Layer
from bench.measure.arms import recipe_name, volume_key
from bench.measure.plan import Content, Plan, StackKey, StackPlan, content_of
from bench.measure.request import PROFILES, Profile
from bench.model import Arm, Param, Support
from bench.scenario.contract import Scenario

__all__ = ["fits", "lay_out"]

MARGIN = 1.35  # factor on a volume's computed content, for metadata that grows in chunks (xfs inode chunks, htrees)
SPARE_BYTES = 128 << 20  # of a volume, for its journal or log and the file system's reserve
SPARE_INODES = 20_000
IN_TURNS = 2  # maximum number of units that write at the same time (bench.measure.turns)
CONTAINERS = 3  # maximum number at the same time: two in turns, and one that warms the image


def lay_out(plan: Plan) -> None:
    """Add the stacks and volumes that the plan's cells need."""
    _stacks(plan)
    _sizes(plan)


_chains: dict[tuple[str, Content], list[Layer]] = {}  # each as long as requested so far


def _chain(scenario: Scenario, depth: int, content: Content) -> Sequence[Layer]:
    layers = _chains.setdefault((scenario.name, content), [])
    layers += (tuple(scenario.layer(index, dict(content))) for index in range(len(layers), depth))
    return tuple(layers[:depth])


_footprints: dict[tuple[object, ...], Footprint] = {}  # by driver with options, chain, depths and volume


def _footprint(driver: Driver, scenario: Scenario, content: Content, depths: tuple[int, ...], volume: str) -> Footprint:
    """Return the footprint of images of these depths; cached, because many cells need the same."""
    key = (driver.name, *driver.chosen.items(), scenario.name, content, depths, volume)
    if key not in _footprints:
        layers = _chain(scenario, max(depths), content)
        _footprints[key] = driver.footprint(layers, depths, discovery.volume(volume))
    return _footprints[key]


def _container_bytes(driver: Driver, scenario: Scenario, content: Content, depth: int) -> int:
    key = (driver.name, *driver.chosen.items(), scenario.name, content, depth)
    if key not in _footprints:
        _footprints[key] = Footprint(0, driver.container_bytes(_chain(scenario, depth, content), depth))
    return _footprints[key].bytes


def fits(
    scenario: Scenario,
    arm: Arm,
    driver: Driver,
    depth: int,
    params: tuple[tuple[str, Param], ...],
    profile: Profile,
) -> Support:
    """Tell whether the stack is within the profile's limits."""
    footprint = _footprint(driver, scenario, content_of(scenario, params), (depth,), arm.volume)
    if footprint.inodes > profile.stack_inodes or footprint.bytes > profile.stack_bytes:
        larger = [other.name for other in PROFILES.values() if other.stack_inodes > profile.stack_inodes]
        fix = f"--profile {larger[0]} builds more" if larger else ""
        return Support.no(
            f"the stack takes {footprint.inodes:,} inodes and {footprint.bytes >> 20:,} MiB here; profile "
            f"{profile.name} builds up to {profile.stack_inodes:,} and {profile.stack_bytes >> 20:,}",
            fix,
        )
    return Support.yes()


def _stacks(plan: Plan) -> None:
    """Add the chains that the cells need, each as deep as its deepest cell."""
    depths: dict[StackKey, set[int]] = {}
    for name, cells in plan.cells.items():
        scenario = discovery.scenario(name)
        for cell in cells:
            key = StackKey.of(scenario, cell)
            depths.setdefault(key, set()).add(cell.depth)
    for key, chosen in depths.items():
        scenario = discovery.scenario(key.scenario)
        driver = discovery.driver(key.driver)(rootless=plan.request.rootless)
        footprint = _footprint(driver, scenario, key.content, tuple(sorted(chosen)), key.volume)
        plan.stacks[key] = StackPlan(_chain(scenario, max(chosen), key.content), sorted(chosen), footprint)


def _sizes(plan: Plan) -> None:
    """Compute each volume's size: all chains, the live containers, and what a unit writes."""
    totals: dict[str, Footprint] = {}
    for key, stack in plan.stacks.items():
        name = volume_key(key.driver, key.volume)
        totals[name] = totals.get(name, Footprint(0, 0)) + stack.footprint
    for name, total in totals.items():
        recipe = discovery.volume(recipe_name(name))
        working = inodes = 0
        for cells in plan.cells.values():
            for cell in (cell for cell in cells if volume_key(cell.arm.driver, cell.arm.volume) == name):
                scenario = discovery.scenario(cell.scenario)
                driver = discovery.driver(cell.arm.driver)(dict(cell.arm.options), rootless=plan.request.rootless)
                content = content_of(scenario, cell.params)
                container = CONTAINERS * _container_bytes(driver, scenario, content, cell.depth)
                working = max(working, container + IN_TURNS * scenario.working_bytes(cell.values))
                inodes = max(inodes, CONTAINERS * sum(map(len, _chain(scenario, cell.depth, content))))
        count = int((total.inodes + inodes) * MARGIN) + SPARE_INODES
        size = int((total.bytes + working) * MARGIN) + count * recipe.inode_bytes + SPARE_BYTES
        plan.volumes[name] = Footprint(count, max(size, recipe.minimum_bytes))
