"""A distribution as pip leaves it, so that its entry points are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["write_distribution"]


def write_distribution(directory: Path, name: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """Write the metadata of an installed distribution with entry points, by group and name, into `directory`."""
    metadata = directory / f"{name}-1.0.dist-info"
    metadata.mkdir()
    metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{entry} = {module}" for entry, module in entries.items()))
    ]
    metadata.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
