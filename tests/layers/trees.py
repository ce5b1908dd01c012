"""Layers drawn at random, and what a tree of them must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from bench.layers.content import Directory, File, HardLink, pieces

if TYPE_CHECKING:
    from pathlib import Path

    from bench.layers.content import Entry

__all__ = ["expected", "layers", "whole", "written"]

NAMES = st.sampled_from(["a", "b", "c", "d"])


def whole(file: File, seed: int = 1) -> bytes:
    return b"".join(pieces(file, seed))


@st.composite
def layers(draw: st.DrawFn) -> tuple[Entry, ...]:
    """A layer: up to three directories, nested, and files in them; parents first, a name is either."""
    parents, found = [""], dict[str, "Entry"]()
    for name in draw(st.lists(NAMES, unique=True, max_size=3)):
        path = f"{draw(st.sampled_from(parents))}D{name}"
        found[path] = Directory(path, draw(st.sampled_from([0o755, 0o700])))
        parents.append(f"{path}/")
    for name in draw(st.lists(NAMES, unique=True, max_size=4)):
        path = f"{draw(st.sampled_from(parents))}f{name}"
        size = draw(st.integers(0, 5000))
        data = draw(st.sampled_from([None, (), ((0, size // 2),), ((size // 3, size // 3),)]))
        found[path] = File(path, size, draw(st.integers(0, 3)), data=data)
    files = [entry.path for entry in found.values() if isinstance(entry, File)]
    for name in draw(st.lists(NAMES, unique=True, max_size=3)) if files else ():
        path = f"{draw(st.sampled_from(parents))}f{name}"
        if path not in found:  # a name of a file that another layer may have otherwise
            found[path] = HardLink(path, draw(st.sampled_from(files)))
    return tuple(found.values())


def written(root: Path) -> tuple[dict[str, bytes | int], list[list[str]]]:
    """Return what lies below `root`: the bytes of each file, the mode of each directory, and which are one file."""
    paths = {str(path.relative_to(root)): path for path in root.rglob("*")}
    groups: dict[int, list[str]] = {}
    for name, path in paths.items():
        if path.is_file():
            groups.setdefault(path.stat().st_ino, []).append(name)
    told = {name: path.read_bytes() if path.is_file() else path.stat().st_mode & 0o7777 for name, path in paths.items()}
    return told, sorted(map(sorted, groups.values()))


def expected(entries: list[Entry], seed: int) -> tuple[dict[str, bytes | int], list[list[str]]]:
    told: dict[str, bytes | int] = {}
    groups: dict[str, list[str]] = {}
    for entry in entries:
        if isinstance(entry, Directory):
            told[entry.path] = entry.mode
        elif isinstance(entry, File):
            told[entry.path] = whole(entry, seed)
            groups[entry.path] = [entry.path]
        elif isinstance(entry, HardLink):
            told[entry.path] = told[entry.target]
            groups[entry.target].append(entry.path)
    return told, sorted(map(sorted, groups.values()))
