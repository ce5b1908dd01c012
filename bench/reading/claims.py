"""The claims of the description that the suite puts to the test, and what a verdict is."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bench.model import Arm

__all__ = ["CLAIMS", "Answer", "Claim", "Finding", "Outcome", "Table"]


class Outcome(enum.StrEnum):
    """What a run can say of a claim."""

    CONFIRMED = "confirmed"
    QUALIFIED = "qualified"
    REFUTED = "refuted"
    UNTESTED = "not tested here"


@dataclass(frozen=True)
class Claim:
    """A sentence of the description; `untested` says why a run may have nothing to say of it."""

    id: str
    text: str
    untested: str = "no scenario of this run measured it"


@dataclass(frozen=True)
class Finding:
    """What one scenario says of a claim on one arm or volume (`where`), with the figures behind it."""

    where: str
    outcome: Outcome
    evidence: str
    scenario: str = ""


@dataclass(frozen=True)
class Answer:
    """One sentence of the answers at the head of a page: what it costs, where, with its interval.

    `text` is a whole sentence with figures; `where` the arm; `scenario` names the section whose chart shows it.
    """

    text: str
    where: Arm
    scenario: str


@dataclass(frozen=True)
class Table:
    """A table that a scenario adds to its section: titled columns, and rows of text as long as `columns`."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


CLAIMS = (
    Claim(
        "C1",
        "overlay2 is the default storage driver; overlay and devicemapper are deprecated.",
        "only an engine chooses a driver, and this run starts none",
    ),
    Claim(
        "C2",
        "Backing file systems: overlay2 needs ext4 or xfs with ftype=1; fuse-overlayfs and vfs run on any.",
    ),
    Claim(
        "C3",
        "overlayfs natively supports 128 lower layers, and overlay2 uses fewer inodes than overlay.",
    ),
    Claim(
        "C4",
        "The bottom layer holds link and diff, the others link, lower, diff, work and merged; l/ holds short "
        "links so that mount options stay within their limit.",
    ),
    Claim("C5", "A read comes from the topmost layer that has the file."),
    Claim("C6", "The first write copies the whole file up, however small the change; later writes go to the copy."),
    Claim("C7", "Deleting a file leaves a whiteout in the container's layer."),
    Claim("C8", "Deleting a directory leaves an opaque directory in the container's layer."),
    Claim("C9", "Image layers never change."),
)
