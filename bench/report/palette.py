"""Colours and markers: a driver has the same colour everywhere, a volume the same marker and dash.

The colours are those of Okabe and Ito (Color Universal Design, 2008), which people with any common
colour blindness can distinguish. Colour is never the only channel: arms of one driver differ by marker and dash
(volume) and by open markers (options), and every mark has its name in its tooltip and in the list of arms. The driver
of an engine has the colour of the driver that it corresponds to, and markers of its engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.model import NATIVE, Arm

__all__ = ["DARK", "LIGHT", "ArmStyle", "Palette", "split"]

GREY = "#808080"  # contrast 3.9 to white and 4.6 to the dark page, so it is visible on both
# Ordered by contrast to a white and a dark page; yellow, the faintest on white, is last.
OKABE_ITO = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
FIXED = {
    NATIVE: GREY,
    "overlay2": OKABE_ITO[0],
    "fuse-overlayfs": OKABE_ITO[1],
    "vfs": OKABE_ITO[2],
    "btrfs": OKABE_ITO[3],
}
FREE = OKABE_ITO[4:]
KIN = {"podman/overlay": "overlay2", "containerd/overlayfs": "overlay2", "containerd/native": "vfs"}
VARIANTS = ("", "open", "open-dot", "dot")  # suffixes of SYMBOLS
MARKED = ("", "open", "open, dotted", "dotted")
ENGINES = {"docker": 1, "podman": 2, "containerd": 3}  # the variant of each engine's drivers

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "cross", "star", "hexagon", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
STROKES = ("none", "6 4", "1.5 3", "6 3 1.5 3", "10 4", "10 3 1.5 3")  # DASHES in SVG's notation
MARKS = ("●", "■", "▲", "◆", "✚", "★", "⬢", "✖")  # SYMBOLS as text
VOLUMES = ("ext4", "xfs", "xfs-noreflink", "btrfs", "dir")  # with fixed markers, in this order

# Colours of the page that charts use; the style sheet of the page has the same names.
LIGHT = {
    "ink": "#1b1f24",
    "soft": "#59636e",
    "grid": "#dfe3e8",
    "line": "#9aa3ad",
    "page": "#ffffff",
    "card": "#f6f8fa",
    "good": "#00694d",
    "bad": "#a34700",
    "mid": "#00588a",
}
DARK = {
    "ink": "#e6e8eb",
    "soft": "#a2acb8",
    "grid": "#30363d",
    "line": "#6b7480",
    "page": "#14171a",
    "card": "#1d2126",
    "good": "#2fc79b",
    "bad": "#ff8a3d",
    "mid": "#6dbdf0",
}


@dataclass(frozen=True)
class ArmStyle:
    """The style of an arm. `variant` is 0 for a driver without options, else the number of its options or engine."""

    colour: str
    symbol: str
    dash: str
    mark: str  # the symbol as text
    variant: int


def split(arm: str) -> tuple[str, str, str]:
    """Return (driver, stack, volume) of an arm's name: `overlay2,metacopy=on@xfs`; the volume may be left out."""
    parsed = Arm.parse(arm)
    return parsed.driver, parsed.stack, parsed.volume


def _kin(driver: str) -> str:
    """Return the driver that gives `driver` its colour: for an engine's driver, that of the suite by hand."""
    return KIN.get(driver) or driver.rpartition("/")[2]


class Palette:
    """The styles of a run's arms, which do not depend on the order of `arms`."""

    def __init__(self, arms: Iterable[str]) -> None:
        """Assign colours to all drivers of `arms`, markers and dashes to all volumes."""
        parts = sorted({split(arm) for arm in arms})
        self.drivers = tuple(sorted({driver for driver, _, _ in parts}, key=lambda name: (name != NATIVE, name)))
        volumes = {volume for _, _, volume in parts}
        others = sorted(volumes - set(VOLUMES))
        self._places = {name: index for index, name in enumerate([*VOLUMES, *others])}
        self.volumes = tuple(sorted(volumes, key=lambda name: self._places[name]))
        unknown = sorted({_kin(driver) for driver in self.drivers} - FIXED.keys())
        self._colours = FIXED | {driver: FREE[index % len(FREE)] for index, driver in enumerate(unknown)}
        stacks = sorted({(driver, stack) for driver, stack, _ in parts if stack != driver})
        self._variants = {
            stack: 1 + [other for name, other in stacks if name == driver].index(stack) for driver, stack in stacks
        } | {driver: ENGINES.get(driver.partition("/")[0], 1) for driver in self.drivers if "/" in driver}

    def colour(self, driver: str) -> str:
        """Return a driver's colour."""
        return self._colours.get(_kin(driver), GREY)

    def marks(self, arm: str) -> str:
        """Return in words how an arm's markers are filled; "" if plain."""
        return MARKED[self._suffix(arm)]

    def _suffix(self, arm: str) -> int:
        return min(self._variants.get(split(arm)[1], 0), len(VARIANTS) - 1)

    def mark(self, volume: str) -> str:
        """Return the marker of a volume as text."""
        return MARKS[self._places.get(volume, 0) % len(MARKS)]

    def strokes(self, volume: str) -> str:
        """Return the dash of a volume in SVG's notation."""
        return STROKES[self._places.get(volume, 0) % len(STROKES)]

    def dash(self, volume: str) -> str:
        """Return the dash of a volume."""
        return DASHES[self._places.get(volume, 0) % len(DASHES)]

    def style(self, arm: str) -> ArmStyle:
        """Return the style of an arm."""
        driver, stack, volume = split(arm)
        variant = self._variants.get(stack, 0)
        symbol, suffix = SYMBOLS[self._places.get(volume, 0) % len(SYMBOLS)], VARIANTS[self._suffix(arm)]
        symbol = f"{symbol}-{suffix}" if suffix else symbol
        return ArmStyle(self.colour(driver), symbol, self.dash(volume), self.mark(volume), variant)
