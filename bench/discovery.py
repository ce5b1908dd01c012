"""Find scenarios, drivers and volumes: one module each, no register to edit."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import nearest

if TYPE_CHECKING:
    from types import ModuleType

    from bench.drivers.base import Driver
    from bench.measure.scenario import Scenario
    from bench.model import Support
    from bench.volumes.base import Recipe

__all__ = ["driver", "driver_support", "drivers", "engines", "scenario", "scenarios", "volume", "volumes"]

T = TypeVar("T")


def _collect(package: ModuleType, attribute: str) -> dict[str, Any]:
    """Return {object.name: object} of every module of `package` that defines `attribute`, or several in its plural."""
    found: dict[str, Any] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        things = [getattr(module, attribute)] if hasattr(module, attribute) else getattr(module, f"{attribute}S", ())
        found.update((thing.name, thing) for thing in things)
    return dict(sorted(found.items(), key=lambda item: (getattr(item[1], "order", 99), item[0])))


@cache
def scenarios() -> dict[str, Scenario]:
    """Return every scenario by name, in the order they are reported."""
    import scenarios as package

    return _collect(package, "SCENARIO")


@cache
def drivers() -> dict[str, type[Driver]]:
    """Return every driver class by name."""
    import bench.drivers as package

    return _collect(package, "DRIVER")


def engines() -> tuple[str, ...]:
    """Return the names of the drivers whose stacks an engine builds."""
    return tuple(name for name, kind in drivers().items() if kind.daemon)


@cache
def volumes() -> dict[str, Recipe]:
    """Return every volume recipe by name."""
    import bench.volumes as package

    return _collect(package, "VOLUME")


def scenario(name: str) -> Scenario:
    """Return the scenario `name`, or raise with the nearest known name."""
    return _named("scenario", name, scenarios())


def driver(name: str) -> type[Driver]:
    """Return the driver class `name`, or raise with the nearest known name."""
    return _named("driver", name, drivers())


def volume(name: str) -> Recipe:
    """Return the volume recipe `name`, perhaps with arguments for mkfs, or raise with the nearest known name."""
    known, *arguments = name.split(",mkfs=")
    recipe = _named("volume", known, volumes())
    return recipe.varied(arguments) if arguments else recipe


def driver_support(kind: type[Driver], *, rootless: bool = False) -> Support:
    """Tell whether a driver works here on some volume: on any, or on one of its own that can be made here."""
    driver = kind(rootless=rootless)
    told = {name: driver.probe(recipe) for name, recipe in volumes().items()}
    first, *others = told.items()
    if first[1].ok:
        return first[1]
    own = next((name for name, support in others if support.ok), None)
    return first[1] if own is None else volumes()[own].probe()


def _named(kind: str, name: str, known: dict[str, T]) -> T:
    if name not in known:
        raise nearest(kind, name, known)
    return known[name]
