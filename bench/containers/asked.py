"""What a test asks for, read from its markers, its parameters and the command line.

The plugin imports it in every session of pytest, so it imports nothing before there is something to check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

__all__ = ["AXES", "DEFAULTS", "MARK", "check", "check_item", "marked", "named", "parametrised", "wanted"]

MARK = "layers"
AXES = ("driver", "volume", "depth")
ARGUMENTS = (*AXES, "content")
DEFAULTS: Mapping[str, str | int] = {"driver": "overlay2", "volume": "ext4", "depth": 8}


def named(config: Any, axis: str) -> list[Any]:
    """Return the values of an axis that the command line names, else the default."""
    return config.getoption(f"layer_{axis}") or [DEFAULTS[axis]]


def marked(node: Any) -> dict[str, Any]:
    """Return the arguments of all `layers` markers of a test; of the same one, the closest marker's."""
    found: dict[str, Any] = {}
    for mark in node.iter_markers(MARK):
        found = {**mark.kwargs, **found}
    return found


def wanted(node: Any, axis: str) -> list[Any]:
    """Return the values of an axis for a test: its marker's, else those of the command line."""
    arguments = marked(node)
    return _values(arguments[axis]) if axis in arguments else named(node.config, axis)


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def parametrised(node: Any) -> set[str]:
    """Return the names that `parametrize` markers of a test give values."""
    found: set[str] = set()
    for mark in node.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        found |= {name.strip() for name in names.split(",")} if isinstance(names, str) else set(names)
    return found


def check(axes: Iterable[Iterable[Any]]) -> None:
    """Raise BenchError for a combination of values of driver, volume and depth that there is nowhere."""
    from bench.containers.choice import Choice

    for values in product(*axes):
        Choice(*values).check()


def check_item(item: Any) -> None:
    """Raise BenchError for markers or parameters of a test that ask for what there is nowhere."""
    from bench.errors import BenchError, nearest

    for mark in item.iter_markers(MARK):
        if mark.args:
            raise BenchError(f"marker {MARK} takes no positional argument", fix=f"write {MARK}(driver=…, depth=…)")
        for key, value in mark.kwargs.items():
            if key not in ARGUMENTS:
                raise nearest(f"argument of marker {MARK}", key, ARGUMENTS)
            if key in AXES and not _values(value):
                raise BenchError(f"marker {MARK} names no {key}", why="the list is empty")
    given = item.callspec.params if hasattr(item, "callspec") else {}
    check([given[name]] if (name := f"layer_{axis}") in given else wanted(item, axis) for axis in AXES)
