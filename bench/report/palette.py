"""Colours: a driver has the same one everywhere.

They are those of Okabe and Ito (Color Universal Design, 2008), which people with any common colour blindness can
distinguish. Colour is never the only channel: every mark has its driver's name beside it, and volumes have panels of
their own. The driver of an engine has the colour of the one that it corresponds to, and open markers, as options have.
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
PLAIN, OPEN = "circle", "circle-open"  # markers of drivers, and of those with options or of an engine

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
    """The style of an arm."""

    colour: str
    symbol: str = PLAIN
    dash: str = "solid"


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
        """Assign colours to all drivers of `arms`."""
        unknown = sorted({_kin(split(arm)[0]) for arm in arms} - FIXED.keys())
        self._colours = FIXED | {driver: FREE[index % len(FREE)] for index, driver in enumerate(unknown)}

    def colour(self, driver: str) -> str:
        """Return a driver's colour."""
        return self._colours.get(_kin(driver), GREY)

    def style(self, arm: str) -> ArmStyle:
        """Return the style of an arm."""
        driver, stack, _ = split(arm)
        return ArmStyle(self.colour(driver), OPEN if stack != driver or "/" in driver else PLAIN)
