"""The inventory of a user's image: `results/<run>/image.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.errors import BenchError

__all__ = ["NAME", "Alike", "Copied", "Hidden", "Inventory", "LayerCount", "Share", "load_inventory", "save_inventory"]

NAME = "image.json"


@dataclass
class LayerCount:
    """Counts of one layer.

    `added`, `replaced`: its files, links and devices at new and at existing paths; `deleted`: names of the layers below
    that it deletes; `void`: whiteouts that delete nothing; `opaque`: directories whose content below it hides.
    `bytes`: of its files' content; `blocks`: bytes of the 4 KiB blocks that they take; `inodes`: of its tree.
    `hidden`: bytes of its files that layers above hide; `hides`: bytes of lower files that it hides.
    `copies`, `copied`: files that have the content of the file they hide, and their bytes.
    """

    number: int
    command: str
    digest: str
    archive_bytes: int
    added: int = 0
    replaced: int = 0
    deleted: int = 0
    void: int = 0
    opaque: int = 0
    directories: int = 0
    bytes: int = 0
    blocks: int = 0
    inodes: int = 0
    hidden: int = 0
    hides: int = 0
    copies: int = 0
    copied: int = 0


@dataclass(frozen=True)
class Hidden:
    """A file of `layer` that `by` hides: `how` is replaced, deleted or opaque (in a directory that is)."""

    path: str
    bytes: int
    layer: int
    by: int
    how: str


@dataclass(frozen=True)
class Copied:
    """A file of `layer` with the content of the one of `of` that it hides; `changed` names what differs otherwise."""

    path: str
    bytes: int
    layer: int
    of: int
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Alike:
    """Files of one content in several layers, as (layer, path), that no layer hides; `bytes` of each."""

    bytes: int
    places: tuple[tuple[int, str], ...]

    @property
    def spare(self) -> int:
        """Bytes that all but one of them take."""
        return self.bytes * (len(self.places) - 1)


@dataclass(frozen=True)
class Share:
    """Bytes of a layer's files in a directory and below, without those that another share names; `hidden` of them."""

    layer: int
    path: str
    bytes: int
    hidden: int


@dataclass
class Inventory:
    """The counts of an image; lists are sorted by bytes, largest first."""

    name: str
    source: str
    platform: str
    layers: list[LayerCount]
    notes: list[str] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    copied: list[Copied] = field(default_factory=list)
    alike: list[Alike] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    files: int = 0  # of the merged tree: all but directories
    directories: int = 0
    bytes: int = 0  # of the merged tree's files
    inodes: int = 0

    @property
    def shipped(self) -> int:
        """Bytes of all layers' files."""
        return sum(layer.bytes for layer in self.layers)

    @property
    def hidden_bytes(self) -> int:
        """Bytes of files that no container sees."""
        return sum(item.bytes for item in self.hidden)

    @property
    def copied_bytes(self) -> int:
        """Bytes of files that differ from what they hide in metadata alone: `metacopy=on` would not copy them."""
        return sum(item.bytes for item in self.copied)

    @property
    def alike_bytes(self) -> int:
        """Bytes that files of equal content take beyond the first."""
        return sum(item.spare for item in self.alike)


def save_inventory(inventory: Inventory, directory: Path) -> None:
    """Write the inventory of a run's image."""
    content = msgspec.json.format(msgspec.json.encode(inventory), indent=1)
    (directory / NAME).write_bytes(content + b"\n")


def load_inventory(directory: Path) -> Inventory:
    """Return the inventory of a run's image; raises BenchError if the run has none."""
    path = directory / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Inventory)
    except FileNotFoundError as error:
        fix = "`python -m bench image` makes a run that has"
        raise BenchError(f"run {directory.name} has no image", fix=fix) from error
    except (OSError, msgspec.DecodeError) as error:
        raise BenchError(f"cannot read {path}", why=str(error), fix="restore the file, or measure again") from error
