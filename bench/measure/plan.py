"""The plan: which cells, on which stacks, on volumes of which size, and what is left out and why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from bench import discovery
from bench.drivers.base import Driver, Footprint
from bench.errors import BenchError, nearest
from bench.host.packages import install_hint
from bench.model import NATIVE, Arm, Cell, Param, Skip, Support, Temperature
from bench.volumes.base import MKFS, require_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.layers.content import Layer
    from bench.scenario.contract import Grid, Scenario

__all__ = [
    "PROFILES",
    "Plan",
    "Profile",
    "Request",
    "StackKey",
    "StackPlan",
    "lay_out",
    "make",
    "parse_arm",
    "parse_driver",
    "recipe_name",
    "volume_key",
]

MARGIN = 1.35  # of a volume's computed content, for metadata that grows in chunks (xfs inode chunks, htrees)
SPARE_BYTES = 128 << 20  # of a volume, for its journal or log and a file system's own reserve
SPARE_INODES = 20_000
MAX_DEPTH = 500  # of drivers without a limit of their own: deeper than overlayfs goes, nothing is compared
UNASKED = "leaves it out"  # the end of a skip's reason: nobody named it
IN_TURNS = 2  # units that write at the same time, at most (bench.measure.turns)
CONTAINERS = 3  # alive at once: two in turns, and one that warms the image


@dataclass(frozen=True)
class Profile:
    """How thorough a run is: its seconds in all, and the largest stack it builds."""

    name: str
    seconds: float
    stack_inodes: int
    stack_bytes: int


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 105, 20_000, 300 << 20),
        Profile("standard", 840, 120_000, 3 << 30),
        Profile("full", 2370, 500_000, 20 << 30),
    )
}


@dataclass(frozen=True)
class Request:
    """What the user asked for; empty means all."""

    profile: str = "quick"
    seed: int = 1
    budget: float | None = None
    scenarios: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()  # with options: overlay2,metacopy=on
    volumes: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    rootless: bool = False

    @property
    def seconds(self) -> float:
        """The whole run's time."""
        return self.budget if self.budget is not None else PROFILES[self.profile].seconds


@dataclass(frozen=True)
class StackKey:
    """Which chain of layers: shared by all cells and arms that can."""

    scenario: str
    driver: str
    volume: str
    content: tuple[tuple[str, Param], ...]

    @staticmethod
    def of(scenario: Scenario, cell: Cell) -> StackKey:
        """Return the chain that `cell` of `scenario` stands on."""
        return StackKey(scenario.name, cell.arm.driver, cell.arm.volume, _content(scenario, cell.params))


@dataclass
class StackPlan:
    """Layers of a chain, and the depths at which it serves as an image."""

    layers: Sequence[Layer]
    depths: list[int]
    footprint: Footprint


@dataclass
class Plan:
    """All that a run will do."""

    request: Request
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    stacks: dict[StackKey, StackPlan] = field(default_factory=dict)
    volumes: dict[str, Footprint] = field(default_factory=dict)  # by volume_key
    skips: list[Skip] = field(default_factory=list)

    @property
    def needed_bytes(self) -> int:
        """What the work directory must have free."""
        return sum(volume.bytes for volume in self.volumes.values())


def volume_key(driver: str, volume: str) -> str:
    """Return the key in Plan.volumes of the volume that a driver works on: a daemon has one of its own."""
    return f"{driver}@{volume}" if discovery.driver(driver).daemon else volume


def recipe_name(key: str) -> str:
    """Return the name of the recipe of a key of Plan.volumes."""
    driver, at, volume = key.partition("@")
    return volume if at and driver in discovery.drivers() else key


def parse_driver(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Parse `overlay2,metacopy=on`; raises for an unknown driver, option or value."""
    name, *rest = text.split(",")
    kind = discovery.driver(name)
    options = []
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals:
            raise BenchError(f"{part!r} in {text!r} is not option=value", mend="write it like overlay2,metacopy=on")
        options.append((key, value))
    if len({key for key, _ in options}) != len(options):
        raise BenchError(f"{text!r} gives an option twice")
    kind(dict(options))
    return name, tuple(sorted(options))


def parse_arm(text: str) -> tuple[Arm, dict[str, str]]:
    """Parse `DRIVER[,option=value…]@VOLUME[,parameter=value…]`; return the arm and its parameters' texts.

    The parameter `mkfs`, which may stand more than once, is an argument of mkfs and part of the volume. It may have
    commas, with `=` behind them if it is in single quotes: `mkfs=-E 'stride=4,stripe_width=8'`.
    """
    driver, at, rest = text.partition("@")
    if not at:
        raise BenchError(f"{text!r} is not an arm", mend="write it like overlay2,metacopy=on@xfs,depth=64")
    name, options = parse_driver(driver)
    volume, *parts = rest.split(",")
    values: dict[str, str] = {}
    of_mkfs = False  # whether the part before was of an argument for mkfs, which may have commas: -O quota,project
    for part in parts:
        key, equals, value = part.partition("=")
        if of_mkfs and (not equals or volume.rpartition(f",{MKFS}=")[2].count("'") % 2):
            volume += f",{part}"
            continue
        of_mkfs = key == MKFS
        if not equals:
            raise BenchError(f"{part!r} in {text!r} is not parameter=value", mend="write it like overlay2@xfs,depth=64")
        if key == MKFS:
            volume += f",{part}"
        elif key in values:
            raise BenchError(f"{text!r} gives {key} twice")
        else:
            values[key] = value
    return Arm(name, discovery.volume(volume).name, options), values


def make(request: Request) -> Plan:
    """Make the plan of `request`; raises BenchError where nothing could be measured."""
    plan = Plan(request)
    volumes = _volumes(plan)
    arms = _arms(plan, volumes)
    _check_depths(request, arms)
    known = discovery.scenarios()
    for name in request.scenarios:
        discovery.scenario(name)
    for scenario in known.values():
        if request.scenarios and scenario.name not in request.scenarios:
            continue
        lacking = [program for program in scenario.requires if not require_program(program).ok]
        if lacking:
            why = f"the program {lacking[0]} is not installed"
            plan.skips.append(Skip(f"scenario {scenario.name}", why, install_hint(lacking[0]), scenario=scenario.name))
            continue
        if not tuple(scenario.grids(request.profile)):
            unasked = _unasked(f"scenario {scenario.name}", "standard", "", request)
            plan.skips.append(replace(unasked, scenario=scenario.name))
            continue
        if scenario.needs_engine and not any(driver.daemon for _, driver in arms):
            reason = "no engine is among the drivers of this run"
            mend = "--profile standard, or --driver docker/overlay2"
            plan.skips.append(Skip(f"scenario {scenario.name}", reason, mend, by_choice=True, scenario=scenario.name))
            continue
        cells = _cells(plan, scenario, arms)
        if cells:
            plan.cells[scenario.name] = cells
    if not any(cell.arm.driver != NATIVE for cells in plan.cells.values() for cell in cells):
        ranked = sorted(plan.skips, key=lambda skip: (skip.by_choice, skip.reason.endswith(UNASKED)))
        reasons = "; ".join(f"{skip.what}: {skip.reason}" for skip in ranked[:3])
        raise BenchError(
            "nothing to measure", why=reasons or "the choice leaves no cell", mend="see `python -m bench doctor`"
        )
    lay_out(plan)
    return plan


def lay_out(plan: Plan) -> None:
    """Fill in the stacks and the volumes that the plan's cells need."""
    _stacks(plan)
    _sizes(plan)


def _volumes(plan: Plan) -> list[str]:
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
        if not request.volumes and not _included(recipe.profile, request):
            plan.skips.append(_unasked(f"volume {recipe.name}", recipe.profile, f"--volume {recipe.name}", request))
            continue
        support = recipe.probe()
        if support.ok:
            chosen.append(recipe.name)
        elif request.volumes:
            raise BenchError(f"volume {recipe.name} cannot be made here", why=support.reason, mend=support.mend)
        else:
            plan.skips.append(Skip(f"volume {recipe.name}", support.reason, support.mend))
    return chosen


def _arms(plan: Plan, volumes: Iterable[str]) -> list[tuple[Arm, Driver]]:
    request = plan.request
    wanted = [parse_driver(text) for text in request.drivers] or _usual(plan)
    if NATIVE not in {name for name, _ in wanted}:
        wanted.insert(0, (NATIVE, ()))
    arms: list[tuple[Arm, Driver]] = []
    for name, options in dict.fromkeys(wanted):
        refused: list[tuple[Arm, Support]] = []
        unusual: list[tuple[Arm, Driver]] = []
        for volume in volumes:
            driver = discovery.driver(name)(dict(options), rootless=request.rootless)
            arm = Arm(name, volume, options)
            usual = _usual_arm(driver, volume) or (request.drivers and request.volumes)
            if not request.drivers and not usual:
                plan.skips.append(_unasked(f"arm {arm.name}", request.profile, f"--driver {name}", request))
                continue
            support = driver.probe(discovery.volume(volume))
            if not support.ok:
                refused.append((arm, support))
            elif usual:
                arms.append((arm, driver))
            else:
                unusual.append((arm, driver))
        if name in {arm.driver for arm, _ in arms}:
            told = [_unasked(f"arm {arm.name}", "", f"--volume {arm.volume}", request) for arm, _ in unusual]
            plan.skips += told
        else:
            arms += unusual
        if refused and request.drivers and name != NATIVE and name not in {arm.driver for arm, _ in arms}:
            arm, support = refused[0]
            raise BenchError(f"arm {arm.name} cannot run here", why=support.reason, mend=support.mend)
        plan.skips += [Skip(f"arm {arm.name}", support.reason, support.mend) for arm, support in refused]
    beside = {arm.volume for arm, _ in arms if arm.driver != NATIVE}
    if request.drivers and not request.volumes and beside:  # native is there to be compared with
        arms = [(arm, driver) for arm, driver in arms if arm.volume in beside or NATIVE in request.drivers]
    return arms


def _affordable(arm: Arm, driver: Driver, grid: Grid) -> bool:
    """Tell whether a grid measures an arm unasked: what is costly, and native beside it, only if it is named."""
    volume = discovery.volume(arm.volume).drivers
    costly = driver.costly or (bool(volume) and all(discovery.driver(name).costly for name in volume))
    return not costly or not {arm.driver, *volume}.isdisjoint(_chosen(grid) or ())


def _chosen(grid: Grid) -> set[str] | None:
    """Return the names of a grid's own drivers; None if it has no choice of its own."""
    return None if grid.drivers is None else {*grid.drivers, *(discovery.engines() if grid.engines else ())}


def _usual_arm(driver: Driver, volume: str) -> bool:
    """Tell whether the two are measured together unasked."""
    drivers, volumes = discovery.volume(volume).drivers, driver.usual_volumes
    return (not drivers or driver.name in {NATIVE, *drivers}) and (not volumes or volume in volumes)


def _usual(plan: Plan) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return the drivers that the profile measures unasked; the others are skips, by choice."""
    chosen: list[tuple[str, tuple[tuple[str, str], ...]]] = []
    for name, kind in discovery.drivers().items():
        if _included(kind.profile, plan.request):
            chosen.append((name, ()))
        else:
            plan.skips.append(_unasked(f"driver {name}", kind.profile, f"--driver {name}", plan.request))
    return chosen


def _included(profile: str, request: Request) -> bool:
    """Tell whether the request's profile is at least as thorough."""
    order = list(PROFILES)
    return order.index(profile) <= order.index(request.profile)


def _unasked(what: str, profile: str, option: str, request: Request) -> Skip:
    mend = ", or ".join(part for part in (profile and f"--profile {profile}", option) if part)
    return Skip(what, f"profile {request.profile} {UNASKED}", mend, by_choice=True)


def _check_depths(request: Request, arms: Iterable[tuple[Arm, Driver]]) -> None:
    """Refuse a depth that a chosen driver does not take, before layers of it are thought out."""
    limits = {arm.driver: driver.max_depth for arm, driver in arms if driver.max_depth is not None}
    for depth in request.depths:
        for name, most in (limits or {"a stack here": MAX_DEPTH}).items():
            if depth > most:
                raise BenchError(f"{name} takes at most {most} layers", why=f"depth {depth} was asked for")


def _grids(request: Request, scenario: Scenario) -> Iterable[Grid]:
    """Return the scenario's grids with the axes that the user gave instead."""
    for grid in scenario.grids(request.profile):
        changed = grid
        if request.depths:
            changed = replace(changed, depths=request.depths)
        if request.sizes and "size" in grid.params:
            changed = replace(changed, params={**grid.params, "size": request.sizes})
        if request.rootless and Temperature.COLD in grid.temperatures:
            changed = replace(changed, temperatures=tuple(t for t in changed.temperatures if t != Temperature.COLD))
        if changed.temperatures:
            yield changed


def _cells(plan: Plan, scenario: Scenario, arms: list[tuple[Arm, Driver]]) -> list[Cell]:
    request = plan.request
    profile = PROFILES[request.profile]
    found: dict[Cell, Cell] = {}  # keyed without max_blocks; if two grids have a cell, the first grid's wins
    skipped: dict[str, Skip] = {}
    if request.rootless and any(Temperature.COLD in grid.temperatures for grid in scenario.grids(request.profile)):
        reason = "only root can mount a file system again"
        skipped["cold"] = Skip(f"{scenario.name}: cold cells", reason, "run as root", scenario=scenario.name)
    for grid, (arm, driver) in product(_grids(request, scenario), arms):
        # A grid's drivers are its own choice; a driver that the user names is measured on every grid.
        chosen = _chosen(grid)
        if chosen is not None and not request.drivers and arm.driver not in {*chosen, NATIVE}:
            continue
        if not request.drivers and not _affordable(arm, driver, grid):
            continue
        depths = sorted(set(grid.depths)) if driver.layered else sorted({min(grid.depths), max(grid.depths)})
        for depth, values in product(depths, product(*grid.params.values())):
            params = tuple(zip(grid.params, values, strict=True))
            support = _fits(plan, scenario, arm, driver, depth, params, profile)
            for temperature in grid.temperatures if support.ok else ():
                cell = Cell(scenario.name, arm, depth, temperature, params, grid.max_blocks)
                reason = _no_cold(cell, driver) or scenario.excludes(cell, driver)
                if reason:
                    what = f"{scenario.name} on {arm.name}"
                    skipped.setdefault(what + reason, Skip(what, reason, scenario=scenario.name))
                else:
                    found.setdefault(replace(cell, max_blocks=None), cell)
            if not support.ok:
                what = f"{scenario.name} on {arm.name} at depth {depth} {_words(params)}".rstrip()
                skip = Skip(what, support.reason, support.mend, by_choice=True, scenario=scenario.name)
                skipped.setdefault(what, skip)
    plan.skips.extend(skipped.values())
    return list(found.values())


def _no_cold(cell: Cell, driver: Driver) -> str:
    """Return why a cell cannot be cold, empty where it can or need not."""
    if cell.temperature is Temperature.COLD and not discovery.volume(cell.arm.volume).filesystem:
        return "no cold cells: the file system of a directory is not the run's to mount again"
    if cell.temperature is Temperature.COLD and driver.daemon:
        return "no cold cells: the engine holds files of its file system open"
    return ""


def _words(params: Iterable[tuple[str, Param]]) -> str:
    return " ".join(f"{key} {value}" for key, value in params)


def _content(scenario: Scenario, params: Iterable[tuple[str, Param]]) -> tuple[tuple[str, Param], ...]:
    return tuple((key, value) for key, value in params if key in scenario.content)


_chains: dict[tuple[str, tuple[tuple[str, Param], ...]], list[Layer]] = {}  # each as long as was asked for so far


def _chain(scenario: Scenario, depth: int, content: tuple[tuple[str, Param], ...]) -> Sequence[Layer]:
    layers = _chains.setdefault((scenario.name, content), [])
    layers += (tuple(scenario.layer(index, dict(content))) for index in range(len(layers), depth))
    return tuple(layers[:depth])


def _fits(
    plan: Plan,
    scenario: Scenario,
    arm: Arm,
    driver: Driver,
    depth: int,
    params: tuple[tuple[str, Param], ...],
    profile: Profile,
) -> Support:
    """Tell whether the driver takes such a stack, and the profile builds one so large."""
    if driver.max_depth is not None and depth > driver.max_depth:
        return Support.no(f"the driver takes at most {driver.max_depth} layers")
    layers = _chain(scenario, depth, _content(scenario, params))
    footprint = driver.footprint(layers, (depth,), discovery.volume(arm.volume))
    if footprint.inodes > profile.stack_inodes or footprint.bytes > profile.stack_bytes:
        larger = [other.name for other in PROFILES.values() if other.stack_inodes > profile.stack_inodes]
        mend = f"--profile {larger[0]} builds more" if larger else ""
        return Support.no(
            f"the stack takes {footprint.inodes:,} inodes and {footprint.bytes >> 20:,} MiB here; profile "
            f"{profile.name} builds up to {profile.stack_inodes:,} and {profile.stack_bytes >> 20:,}",
            mend,
        )
    return Support.yes()


def _stacks(plan: Plan) -> None:
    """Collect the chains that the cells need, each as deep as its deepest cell."""
    depths: dict[StackKey, set[int]] = {}
    for name, cells in plan.cells.items():
        scenario = discovery.scenario(name)
        for cell in cells:
            key = StackKey.of(scenario, cell)
            depths.setdefault(key, set()).add(cell.depth)
    for key, wanted in depths.items():
        layers = _chain(discovery.scenario(key.scenario), max(wanted), key.content)
        driver = discovery.driver(key.driver)(rootless=plan.request.rootless)
        footprint = driver.footprint(layers, sorted(wanted), discovery.volume(key.volume))
        plan.stacks[key] = StackPlan(layers, sorted(wanted), footprint)


def _sizes(plan: Plan) -> None:
    """Compute what each volume must hold: all chains, the live containers, and what a unit writes."""
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
                chain = _chain(scenario, cell.depth, _content(scenario, cell.params))
                container = CONTAINERS * driver.container_bytes(chain, cell.depth)
                working = max(working, container + IN_TURNS * scenario.working_bytes(cell.values))
                inodes = max(inodes, CONTAINERS * sum(len(layer) for layer in chain))
        count = int((total.inodes + inodes) * MARGIN) + SPARE_INODES
        size = int((total.bytes + working) * MARGIN) + count * recipe.inode_bytes + SPARE_BYTES
        plan.volumes[name] = Footprint(count, max(size, recipe.minimum_bytes))


def parse_profile(name: str) -> str:
    """Return `name` if it is a profile."""
    if name not in PROFILES:
        raise nearest("profile", name, PROFILES)
    return name


def parse_depth(text: str) -> int:
    """Return a number of layers, 1 or more."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise BenchError(f"{text!r} is not a depth", mend="give a number of layers, 1 or more")
    return int(text)
