"""The requested container of a test, from its markers, its parameters and the command line.

The plugin imports this in every session of pytest, so it imports nothing until there is something to check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

__all__ = ["AXES", "DEFAULTS", "MARK", "axis_values", "check", "check_item", "marker", "options", "parametrised"]

MARK = "layers"
AXES = ("driver", "volume", "depth")
ARGUMENTS = (*AXES, "content")
DEFAULTS: Mapping[str, str | int] = {"driver": "overlay2", "volume": "ext4", "depth": 8}


def options(config: Any, axis: str) -> list[Any]:
    """Return the values of an axis on the command line, else the default."""
    return config.getoption(f"layer_{axis}") or [DEFAULTS[axis]]


def marker(node: Any) -> dict[str, Any]:
    """Return the arguments of all `layers` markers of a test; the closest marker takes precedence."""
    arguments: dict[str, Any] = {}
    for mark in node.iter_markers(MARK):
        arguments = {**mark.kwargs, **arguments}
    return arguments


def axis_values(node: Any, axis: str) -> list[Any]:
    """Return the values of an axis for a test, from its marker or else from the command line."""
    arguments = marker(node)
    return _values(arguments[axis]) if axis in arguments else options(node.config, axis)


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def parametrised(node: Any) -> set[str]:
    """Return the names of the parameters in a test's `parametrize` markers."""
    parameters: set[str] = set()
    for mark in node.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        parameters |= {name.strip() for name in names.split(",")} if isinstance(names, str) else set(names)
    return parameters


def check(axes: Iterable[Iterable[Any]]) -> None:
    """Raise BenchError for an invalid combination of driver, volume and depth."""
    from bench.containers.choice import Choice

    for values in product(*axes):
        Choice(*values).check()


def check_item(item: Any) -> None:
    """Raise BenchError for invalid markers or parameters of a test."""
    from bench.errors import BenchError, nearest

    for mark in item.iter_markers(MARK):
        if mark.args:
            raise BenchError(f"marker {MARK} takes no positional argument", fix=f"write {MARK}(driver=…, depth=…)")
        for key, value in mark.kwargs.items():
            if key not in ARGUMENTS:
                raise nearest(f"argument of marker {MARK}", key, ARGUMENTS)
            if key in AXES and not _values(value):
                raise BenchError(f"marker {MARK} names no {key}", why="the list is empty")
    params = item.callspec.params if hasattr(item, "callspec") else {}
    check([params[name]] if (name := f"layer_{axis}") in params else axis_values(item, axis) for axis in AXES)
