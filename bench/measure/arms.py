"""Parser of arms: a driver with its options, on a volume, with parameters."""

from __future__ import annotations

from bench import discovery
from bench.errors import BenchError
from bench.model import Arm
from bench.volumes.base import MKFS

__all__ = ["parse_arm", "parse_driver", "recipe_name", "volume_key"]


def volume_key(driver: str, volume: str) -> str:
    """Return the key in Plan.volumes of a driver's volume; a driver with a daemon has a volume of its own."""
    return f"{driver}@{volume}" if discovery.driver(driver).daemon else volume


def recipe_name(key: str) -> str:
    """Return the recipe's name for a key of Plan.volumes."""
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
            raise BenchError(f"{part!r} in {text!r} is not option=value", fix="write it like overlay2,metacopy=on")
        options.append((key, value))
    if len({key for key, _ in options}) != len(options):
        raise BenchError(f"{text!r} gives an option twice")
    kind(dict(options))
    return name, tuple(sorted(options))


def parse_arm(text: str) -> tuple[Arm, dict[str, str]]:
    """Parse `DRIVER[,option=value…]@VOLUME[,parameter=value…]`; return the arm and its parameters as texts.

    The parameter `mkfs`, which may be repeated, is an argument of mkfs and part of the volume. It may contain commas,
    followed by a `=` only inside single quotes: `mkfs=-E 'stride=4,stripe_width=8'`.
    """
    driver, at, rest = text.partition("@")
    if not at:
        raise BenchError(f"{text!r} is not an arm", fix="write it like overlay2,metacopy=on@xfs,depth=64")
    name, options = parse_driver(driver)
    volume, *parts = rest.split(",")
    values: dict[str, str] = {}
    of_mkfs = False  # whether the previous part belongs to an mkfs argument, which may have commas: -O quota,project
    for part in parts:
        key, equals, value = part.partition("=")
        if of_mkfs and (not equals or volume.rpartition(f",{MKFS}=")[2].count("'") % 2):
            volume += f",{part}"
            continue
        of_mkfs = key == MKFS
        if not equals:
            raise BenchError(f"{part!r} in {text!r} is not parameter=value", fix="write it like overlay2@xfs,depth=64")
        if key == MKFS:
            volume += f",{part}"
        elif key in values:
            raise BenchError(f"{text!r} gives {key} twice")
        else:
            values[key] = value
    return Arm(name, discovery.volume(volume).name, options), values
