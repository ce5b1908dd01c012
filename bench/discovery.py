"""Find scenarios, drivers, volumes, engines and outputs: one module or package each; there is no list to edit.

Those of this project are found by listing its packages. Other projects add theirs by entry points in these groups:

=========================  =========================================================================
`layer_bench.scenarios`    a package with the modules `measure` (a `SCENARIO`) and `reading` (a `READING`)
`layer_bench.drivers`      a module with a `DRIVER`, or several `DRIVERS`
`layer_bench.volumes`      a module with a `VOLUME`
`layer_bench.engines`      a module with an `ENGINE`
`layer_bench.outputs`      a module with an `OUTPUT`: a format of a gate's verdicts
=========================  =========================================================================

Modules are imported on first use: reading a run imports readings only.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.drivers.base import Driver
    from bench.engines.base import Engine
    from bench.gate.output import Output
    from bench.host.packages import Package
    from bench.reading.contract import Reading
    from bench.scenario.contract import Scenario
    from bench.volumes.base import Recipe

__all__ = [
    "driver",
    "drivers",
    "engine_kinds",
    "engines",
    "outputs",
    "packages",
    "readings",
    "scenario",
    "scenarios",
    "volume",
    "volumes",
]

T = TypeVar("T")
GROUP = "layer_bench."  # prefix of the entry points' group names


def _modules(package: str, group: str) -> Iterator[str]:
    """Yield the modules of `package` and those that entry points of `group` name."""
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        yield f"{package}.{info.name}"
    for entry in entry_points(group=f"{GROUP}{group}"):
        yield entry.module


def _collect(package: str, group: str, attribute: str, submodule: str = "") -> dict[str, Any]:
    """Return {object.name: object} from every module that defines `attribute`, or a sequence `attribute`S.

    `submodule`: each is a package, and this module of it has the attribute.
    """
    objects: dict[str, Any] = {}
    for name in _modules(package, group):
        module = importlib.import_module(f"{name}.{submodule}" if submodule else name)
        members = [getattr(module, attribute)] if hasattr(module, attribute) else getattr(module, f"{attribute}S", ())
        objects.update((member.name, member) for member in members)
    return _in_order(objects)


def _in_order(objects: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(objects.items(), key=lambda item: (getattr(item[1], "order", 99), item[0])))


@cache
def scenarios() -> dict[str, Scenario]:
    """Return every scenario by name, in the order of the report."""
    return _collect("scenarios", "scenarios", "SCENARIO", "measure")


@cache
def readings() -> dict[str, Reading]:
    """Return every scenario's reading by name, in the same order; imports nothing that measures."""
    return _collect("scenarios", "scenarios", "READING", "reading")


@cache
def drivers() -> dict[str, type[Driver]]:
    """Return every driver class by name; drivers of engines are named `ENGINE/STORAGE`."""
    kinds = _collect("bench.drivers", "drivers", "DRIVER")
    make_driver = importlib.import_module("bench.drivers.engine").engine_driver
    pairs = [(engine, storage) for engine in engine_kinds().values() for storage in engine.storages]
    combined = [make_driver(engine, storage, kinds[storage.counterpart]) for engine, storage in pairs]
    kinds.update((kind.name, kind) for kind in combined)
    return _in_order(kinds)


@cache
def engine_kinds() -> dict[str, type[Engine]]:
    """Return every engine class by name."""
    return _collect("bench.engines", "engines", "ENGINE")


def engines() -> tuple[str, ...]:
    """Return the names of the drivers whose stacks an engine builds."""
    return tuple(name for name, kind in drivers().items() if kind.daemon)


def packages() -> Iterator[Package]:
    """Yield the packages that volumes, drivers, engines and scenarios declare."""
    for kinds in (volumes(), drivers(), engine_kinds(), scenarios()):
        for kind in kinds.values():
            yield from kind.packages


@cache
def volumes() -> dict[str, Recipe]:
    """Return every volume recipe by name."""
    return _collect("bench.volumes", "volumes", "VOLUME")


@cache
def outputs() -> dict[str, Output]:
    """Return every output format of a gate by name."""
    return _collect("bench.gate.outputs", "outputs", "OUTPUT")


def scenario(name: str) -> Scenario:
    """Return the scenario `name`, or raise with the nearest known name."""
    return _named("scenario", name, scenarios())


def driver(name: str) -> type[Driver]:
    """Return the driver class `name`, or raise with the nearest known name."""
    return _named("driver", name, drivers())


def volume(name: str) -> Recipe:
    """Return the volume recipe `name`, with `,mkfs=` arguments if any, or raise with the nearest known name."""
    known, *arguments = name.split(",mkfs=")
    recipe = _named("volume", known, volumes())
    return recipe.varied(arguments) if arguments else recipe


def _named(kind: str, name: str, known: dict[str, T]) -> T:
    if name not in known:
        raise nearest(kind, name, known)
    return known[name]
