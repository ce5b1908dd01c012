"""Selection of a request's arms and cells on this machine, and the reasons for what is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from bench import discovery
from bench.drivers.base import Driver
from bench.errors import BenchError
from bench.measure.arms import parse_driver
from bench.measure.plan import Plan
from bench.measure.request import PROFILES, Request
from bench.measure.sizing import fits
from bench.measure.support import arm_support, cell_support, driver_of
from bench.model import NATIVE, Arm, Cell, Param, Skip, Support, Temperature
from bench.scenario.contract import Grid, Scenario

__all__ = ["LEFT_OUT", "MAX_DEPTH", "arms_of", "cells_of", "check_depths", "profile_of", "profile_skip", "volumes_of"]

MAX_DEPTH = 500  # for drivers without a limit: that of overlayfs, beyond which there is nothing to compare
LEFT_OUT = "leaves it out"  # the end of a skip's reason: it was not named


def volumes_of(plan: Plan) -> list[str]:
    """Return the requested volumes that can be made; add skips for the others."""
    request = plan.request
    for name in request.volumes:
        discovery.volume(name)
    chosen = []
    for recipe in discovery.volumes().values():
        if request.volumes and recipe.name not in request.volumes:
            continue
        if not request.volumes and recipe.needs_root == request.rootless:
            if request.rootless:
                plan.skips.append(Skip(f"volume {recipe.name}", "loop devices and mounts need root", "run as root"))
            continue
        if not request.volumes and not _includes_profile(recipe.profile, request):
            own = [name for name in recipe.scenarios if name in (request.scenarios or recipe.scenarios)]
            what = f"volume {recipe.name}" + (f", except in {' and '.join(own)}" if own else "")
            plan.skips.append(profile_skip(what, recipe.profile, f"--volume {recipe.name}", request))
            if not own:
                continue
        support = recipe.probe()
        if support.ok:
            chosen.append(recipe.name)
        elif request.volumes:
            raise BenchError(f"volume {recipe.name} cannot be made here", why=support.reason, fix=support.fix)
        else:
            plan.skips.append(Skip(f"volume {recipe.name}", support.reason, support.fix))
    return chosen


def arms_of(plan: Plan, volumes: Iterable[str]) -> list[tuple[Arm, Driver]]:
    """Return the requested arms on these volumes that work here; add skips for the others."""
    request = plan.request
    requested = [parse_driver(text) for text in request.drivers] or _default_drivers(plan)
    if NATIVE not in {name for name, _ in requested}:
        requested.insert(0, (NATIVE, ()))
    arms: list[tuple[Arm, Driver]] = []
    for name, options in dict.fromkeys(requested):
        refused: list[tuple[Arm, Support]] = []
        unusual: list[tuple[Arm, Driver]] = []
        for volume in volumes:
            arm = Arm(name, volume, options)
            driver = driver_of(arm, rootless=request.rootless)
            usual = _is_default_arm(driver, volume) or (request.drivers and request.volumes)
            if not request.drivers and not usual:
                plan.skips.append(profile_skip(f"arm {arm.name}", request.profile, f"--driver {name}", request))
                continue
            support = arm_support(arm, rootless=request.rootless)
            if not support.ok:
                refused.append((arm, support))
            elif usual:
                arms.append((arm, driver))
            else:
                unusual.append((arm, driver))
        if name in {arm.driver for arm, _ in arms}:
            skips = [profile_skip(f"arm {arm.name}", "", f"--volume {arm.volume}", request) for arm, _ in unusual]
            plan.skips += skips
        else:
            arms += unusual
        if refused and request.drivers and name != NATIVE and name not in {arm.driver for arm, _ in arms}:
            arm, support = refused[0]
            raise BenchError(f"arm {arm.name} cannot run here", why=support.reason, fix=support.fix)
        plan.skips += [Skip(f"arm {arm.name}", support.reason, support.fix) for arm, support in refused]
    measured = {arm.volume for arm, _ in arms if arm.driver != NATIVE}
    if request.drivers and not request.volumes and measured:  # native is there to be compared with
        arms = [(arm, driver) for arm, driver in arms if arm.volume in measured or NATIVE in request.drivers]
    return arms


def _affordable(arm: Arm, driver: Driver, grid: Grid) -> bool:
    """Tell whether a grid measures an arm by default: costly ones, and native on their volumes, only if it says so."""
    if driver.daemon:
        return grid.engines or arm.driver in (grid.drivers or ())
    of_volume = discovery.volume(arm.volume).drivers
    costly = driver.costly or (bool(of_volume) and all(discovery.driver(name).costly for name in of_volume))
    return not costly or grid.costly or not {arm.driver, *of_volume}.isdisjoint(grid.drivers or ())


def _is_default_arm(driver: Driver, volume: str) -> bool:
    """Tell whether the two are measured together by default."""
    drivers, volumes = discovery.volume(volume).drivers, driver.usual_volumes
    return (not drivers or driver.name in {NATIVE, *drivers}) and (not volumes or volume in volumes)


def _default_drivers(plan: Plan) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return the drivers that the profile measures by default; add skips, by choice, for the others."""
    chosen: list[tuple[str, tuple[tuple[str, str], ...]]] = []
    for name, kind in discovery.drivers().items():
        if _includes_profile(kind.profile, plan.request):
            chosen.append((name, ()))
        else:
            plan.skips.append(profile_skip(f"driver {name}", kind.profile, f"--driver {name}", plan.request))
    return chosen


def _includes_profile(profile: str, request: Request) -> bool:
    """Tell whether the request's profile is at least as thorough."""
    order = list(PROFILES)
    return order.index(profile) <= order.index(request.profile)


def _measures_on(scenario: Scenario, volume: str, request: Request) -> bool:
    """Tell whether the request has a scenario on a volume: on every one that is named, or that its profile measures."""
    recipe = discovery.volume(volume)
    return bool(request.volumes) or _includes_profile(recipe.profile, request) or scenario.name in recipe.scenarios


def profile_skip(what: str, profile: str, option: str, request: Request) -> Skip:
    """Return the skip of something that the profile leaves out by default."""
    fix = ", or ".join(part for part in (profile and f"--profile {profile}", option) if part)
    return Skip(what, f"profile {request.profile} {LEFT_OUT}", fix, by_choice=True)


def check_depths(request: Request, arms: Iterable[tuple[Arm, Driver]]) -> None:
    """Raise BenchError for a depth above a driver's limit, before its layers are generated."""
    limits = {arm.driver: driver.max_depth for arm, driver in arms if driver.max_depth is not None}
    for depth in request.depths:
        for name, limit in (limits or {"a stack here": MAX_DEPTH}).items():
            if depth > limit:
                raise BenchError(f"{name} takes at most {limit} layers", why=f"depth {depth} was asked for")


def profile_of(request: Request, scenario: Scenario) -> str:
    """Return the profile whose grids of a scenario are measured: a scenario that is named has grids, if any has."""
    order = list(PROFILES)
    names = order[order.index(request.profile) :] if scenario.name in request.scenarios else []
    return next((name for name in names if tuple(scenario.grids(name))), request.profile)


def _grids(request: Request, scenario: Scenario) -> Iterable[Grid]:
    """Yield the scenario's grids, with axes replaced by those of the request."""
    for grid in scenario.grids(profile_of(request, scenario)):
        changed = grid
        if request.depths:
            changed = replace(changed, depths=request.depths)
        if request.sizes and "size" in grid.params:
            changed = replace(changed, params={**grid.params, "size": request.sizes})
        if request.rootless and Temperature.COLD in grid.temperatures:
            changed = replace(changed, temperatures=tuple(t for t in changed.temperatures if t != Temperature.COLD))
        if changed.temperatures:
            yield changed


def cells_of(plan: Plan, scenario: Scenario, arms: list[tuple[Arm, Driver]]) -> list[Cell]:
    """Return the cells of a scenario on these arms; add skips for those of the grids that are not possible."""
    request = plan.request
    name = profile_of(request, scenario)
    profile = PROFILES[name]
    cells: dict[Cell, Cell] = {}  # keyed without max_blocks; if two grids have a cell, the first grid's wins
    skipped: dict[str, Skip] = {}
    arms = [(arm, driver) for arm, driver in arms if _measures_on(scenario, arm.volume, request)]
    if request.rootless and any(Temperature.COLD in grid.temperatures for grid in scenario.grids(name)):
        reason = "only root can mount a file system again"
        skipped["cold"] = Skip(f"{scenario.name}: cold cells", reason, "run as root", scenario=scenario.name)
    for grid, (arm, driver) in product(_grids(request, scenario), arms):
        # A grid's drivers are its own choice; a driver that the user names is measured on every grid.
        if grid.drivers is not None and not request.drivers and arm.driver not in {*grid.drivers, NATIVE}:
            continue
        if not request.drivers and not _affordable(arm, driver, grid):
            continue
        depths = sorted(set(grid.depths)) if driver.layered else sorted({min(grid.depths), max(grid.depths)})
        for depth, values in product(depths, product(*grid.params.values())):
            params = tuple(zip(grid.params, values, strict=True))
            support = cell_support(arm, depth)
            if support.ok:
                support = fits(scenario, arm, driver, depth, params, profile)
            for temperature in grid.temperatures if support.ok else ():
                cell = Cell(scenario.name, arm, depth, temperature, params, grid.max_blocks)
                reason = cell_support(arm, depth, temperature).reason or scenario.excludes(cell, driver)
                if reason:
                    what = f"{scenario.name} on {arm.name}"
                    skipped.setdefault(what + reason, Skip(what, reason, scenario=scenario.name))
                else:
                    cells.setdefault(replace(cell, max_blocks=None), cell)
            if not support.ok:
                what = f"{scenario.name} on {arm.name} at depth {depth} {_words(params)}".rstrip()
                skip = Skip(what, support.reason, support.fix, by_choice=True, scenario=scenario.name)
                skipped.setdefault(what, skip)
    plan.skips.extend(skipped.values())
    return list(cells.values())


def _words(params: Iterable[tuple[str, Param]]) -> str:
    return " ".join(f"{key} {value}" for key, value in params)
