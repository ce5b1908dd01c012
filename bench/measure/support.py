"""Support on this machine, with the same rules for plans, comparisons, fixtures and the doctor."""

from __future__ import annotations

from bench import discovery
from bench.drivers.base import Driver
from bench.model import Arm, Support, Temperature

__all__ = ["arm_support", "cell_support", "driver_of", "driver_support"]


def driver_of(arm: Arm, *, rootless: bool = False) -> Driver:
    """Return the driver of an arm, with its options; raises BenchError for unknown options."""
    return discovery.driver(arm.driver)(dict(arm.options), rootless=rootless)


def arm_support(arm: Arm, *, rootless: bool = False) -> Support:
    """Tell whether the volume can be made and the driver works on it."""
    recipe = discovery.volume(arm.volume)
    support = recipe.probe()
    if not support.ok:
        return support
    if recipe.needs_root and rootless:
        return Support.no("as an ordinary user the only volume is `dir`", "run as root")
    return driver_of(arm, rootless=rootless).probe(recipe)


def cell_support(arm: Arm, depth: int, temperature: Temperature | None = None) -> Support:
    """Tell whether a working arm supports this depth and, if given, this temperature."""
    driver = discovery.driver(arm.driver)
    if driver.max_depth is not None and depth > driver.max_depth:
        return Support.no(f"the driver takes at most {driver.max_depth} layers")
    if temperature is not Temperature.COLD:
        return Support.yes()
    if not discovery.volume(arm.volume).filesystem:
        return Support.no("no cold cells: the file system of a directory is not the run's to mount again")
    if driver.daemon:
        return Support.no("no cold cells: the engine holds files of its file system open")
    return Support.yes()


def driver_support(name: str, *, rootless: bool = False) -> Support:
    """Tell whether a driver works here on some volume that can be made."""
    driver = discovery.driver(name)(rootless=rootless)
    probes = {volume: driver.probe(recipe) for volume, recipe in discovery.volumes().items()}
    first, *others = probes.values()
    if first.ok or not any(support.ok for support in others):
        return first
    return discovery.volume(next(volume for volume, support in probes.items() if support.ok)).probe()
