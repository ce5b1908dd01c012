"""A user's image: its layers, ready to be built, and what its archive says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.layers.content import Entry

__all__ = ["Image", "ImageLayer", "printable"]


def printable(text: str) -> str:
    """Return a text of an image for a terminal: with escapes for bytes that are no UTF-8 and for control characters.

    Line breaks and tabs stay.
    """
    try:
        whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte, as JSON can have
        whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(sign if sign.isprintable() or sign in "\n\t" else repr(sign)[1:-1] for sign in whole)


@dataclass(frozen=True)
class ImageLayer:
    """A layer, complete for overlayfs: the parents of all its entries are entries of it.

    `digest`: of its uncompressed archive, which has `archive_bytes`; empty for a directory. `command`: of the image's
    history, which made it; empty if that does not say.
    """

    entries: Sequence[Entry]
    digest: str
    archive_bytes: int
    command: str = ""


@dataclass(frozen=True)
class Image:
    """An image; layers bottom first.

    `config` is the part `config` of its configuration, with Env, WorkingDir and User.
    """

    name: str
    source: str  # what was given: an archive and its format, a directory, an engine
    platform: str
    layers: Sequence[ImageLayer]
    config: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()  # what of it could not be taken over
