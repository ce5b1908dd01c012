"""The claims of the description that the suite tests, and the records of findings and answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bench.model import Arm

__all__ = ["CLAIMS", "Answer", "Claim", "Finding", "Outcome", "Table"]


class Outcome(enum.StrEnum):
    """The outcome of a test of a claim."""

    CONFIRMED = "confirmed"
    QUALIFIED = "qualified"
    REFUTED = "refuted"
    UNTESTED = "not tested here"


@dataclass(frozen=True)
class Claim:
    """A sentence of the description; `untested` is the reason if a run has no finding on it."""

    id: str
    text: str
    untested: str = "no scenario of this run measured it"


@dataclass(frozen=True)
class Finding:
    """The finding of one scenario on a claim, on one arm or volume (`where`), with the figures behind it."""

    where: str
    outcome: Outcome
    evidence: str
    scenario: str = ""


@dataclass(frozen=True)
class Answer:
    """One of the answers at the head of a page.

    `text` is a sentence with figures and intervals; `where` is the arm; `scenario` is the section whose chart shows it.
    """

    text: str
    where: Arm
    scenario: str


@dataclass(frozen=True)
class Table:
    """A table that a reading adds to its section: titles of columns, and rows with one text per column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


CLAIMS = (
    Claim(
        "C1",
        "overlay2 is the default storage driver; overlay and devicemapper are deprecated.",
        "only an engine chooses a driver, and the scenario choice, which asks one, is not in this run",
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
