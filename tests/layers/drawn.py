"""Layers drawn at random, and a plain reading of the image specification of what they give one over the other.

The reference knows no file system: a tree is a dictionary. It follows layer.md for what is hidden, merged and replaced,
and docs/method.md for what that leaves open. BENCH_EXAMPLES says how many chains of layers are drawn.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.layers.archives import DIRECTORY, FIFO, Given, hard, link

__all__ = ["CHAINS", "EXAMPLES", "Node", "RefusedError", "Tree", "on_disk", "read", "reference", "shown"]

EXAMPLES = int(os.environ.get("BENCH_EXAMPLES", "500"))
Path_ = tuple[str, ...]


@dataclass(eq=False)
class Node:
    """A file, a link, a fifo or a directory; two names of one file are one Node."""

    kind: str
    value: object  # content, target, or mode of a directory


Tree = dict[Path_, Node]


class RefusedError(Exception):
    """The layer cannot be applied."""


@dataclass
class Told:
    """What a layer comes to: what it has, which directories it names, and what it hides."""

    own: Tree
    named: dict[Path_, int]
    whiteouts: set[Path_]
    opaque: set[Path_]
    borrowed: set[Path_]


def reference(below: Tree, layer: list[Given]) -> Tree:
    """Return the tree of `layer` over `below`; `below` stays as it was."""
    told = read(below, layer)
    for path in told.borrowed:
        if any(path[: len(gone)] == gone for gone in told.whiteouts):
            raise RefusedError
        if any(path[: len(top)] == top and path != top for top in told.opaque):
            raise RefusedError
    hidden = {path for path in below if any(path[: len(gone)] == gone for gone in told.whiteouts if real(below, gone))}
    for top in told.opaque:
        if real(below, (*top, "")):
            hidden |= {path for path in below if path[: len(top)] == top and path != top}
    merged = {path: node for path, node in below.items() if path not in hidden}
    for path in sorted(told.own, key=len):
        node = told.own[path]
        old = merged.get(path)
        if node.kind == "directory" and old is not None and old.kind == "directory":
            merged[path] = Node("directory", told.named.get(path, old.value))
            continue
        for gone in [other for other in merged if other[: len(path)] == path]:
            del merged[gone]
        merged[path] = Node("directory", told.named.get(path, 0o755)) if node.kind == "directory" else node
    if () in told.named:
        merged[()] = Node("directory", told.named[()])
    return merged


def real(tree: Tree, path: Path_) -> bool:
    """Tell whether all parents of a path are directories."""
    return all(tree[path[:end]].kind == "directory" if path[:end] in tree else False for end in range(len(path)))


def read(below: Tree, layer: list[Given]) -> Told:
    told = Told({(): Node("directory", 0o755)}, {}, set(), set(), set())
    seen: set[Path_] = set()
    for name, facts in layer:
        path = cleaned(name)
        if path in seen or any(part.startswith(".wh.") for part in path[:-1]):
            raise RefusedError
        seen.add(path)
        last = path[-1] if path else ""
        if last == ".wh..wh..opq":
            told.opaque.add(walk(told.own, path[:-1], make=False))
        elif last.startswith(".wh."):
            marked = last.removeprefix(".wh.")
            if marked in ("", ".", ".."):
                raise RefusedError
            told.whiteouts.add((*walk(told.own, path[:-1], make=False), marked))
        elif not path:
            if facts.get("type") != DIRECTORY["type"]:
                raise RefusedError
            told.named[()] = facts["mode"]
        else:
            entry(below, told, (*walk(told.own, path[:-1], make=True), last), facts)
    return told


def entry(below: Tree, told: Told, path: Path_, facts: dict[str, Any]) -> None:
    own = told.own
    kind = facts.get("type")
    if kind == DIRECTORY["type"]:
        if not (path in own and own[path].kind == "directory"):
            drop(told, path)
            own[path] = Node("directory", 0o755)
        told.named[path] = facts["mode"]
        return
    if kind == hard("")["type"]:
        wanted = cleaned(facts["linkname"])
        if not wanted:
            raise RefusedError
        target = (*walk(own, wanted[:-1], make=False), wanted[-1])
        if target in own:
            node = own[target]
        elif target in below and real(below, target):
            node = below[target]
            told.borrowed.add(target)
        else:
            raise RefusedError
        if node.kind == "directory" or target[: len(path)] == path:  # it is replaced before it is linked to
            raise RefusedError
    elif kind == link("")["type"]:
        node = Node("link", facts["linkname"])
    elif kind == FIFO["type"]:
        node = Node("fifo", None)
    else:
        node = Node("file", facts.get("data", b""))
    drop(told, path)
    own[path] = node


def drop(told: Told, path: Path_) -> None:
    for gone in [other for other in told.own if other[: len(path)] == path]:
        del told.own[gone]
        told.named.pop(gone, None)


def cleaned(name: str) -> Path_:
    path: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not path:
                raise RefusedError
            path.pop()
        elif part not in ("", "."):
            path.append(part)
    return tuple(path)


def walk(own: Tree, parts: Path_, *, make: bool, at: Path_ = (), strict: bool = False, depth: int = 0) -> Path_:
    """Follow the links of the layer itself; what a link leads to must be there."""
    for part in parts:
        if part == "..":
            if not at:
                raise RefusedError
            at = at[:-1]
            continue
        if part in ("", "."):
            continue
        node = own.get((*at, part))
        if node is None:
            if strict:
                raise RefusedError
            if make:
                own[*at, part] = Node("directory", 0o755)
            at = (*at, part)
        elif node.kind == "link":
            if depth > 12:
                raise RefusedError
            target = str(node.value)
            start = () if target.startswith("/") else at
            at = walk(own, tuple(target.split("/")), make=make, at=start, strict=True, depth=depth + 1)
        elif node.kind == "directory":
            at = (*at, part)
        else:
            raise RefusedError
    return at


def shown(tree: Tree) -> object:
    """Return a tree as it can be compared: what each path has, and which paths are one file."""
    facts = {"/".join(path): (node.kind, node.value) for path, node in tree.items()}
    groups: dict[int, set[str]] = {}
    for path, node in tree.items():
        if node.kind != "directory":
            groups.setdefault(id(node), set()).add("/".join(path))
    return facts, sorted(map(sorted, groups.values()))


def on_disk(root: Path) -> object:
    """Return the same of a directory."""
    facts: dict[str, tuple[str, object]] = {"": ("directory", stat.S_IMODE(root.stat().st_mode))}
    groups: dict[int, set[str]] = {}
    for top, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(top, name)
            state = path.lstat()
            where = str(path.relative_to(root))
            if stat.S_ISDIR(state.st_mode):
                facts[where] = ("directory", stat.S_IMODE(state.st_mode))
                continue
            groups.setdefault(state.st_ino, set()).add(where)
            if stat.S_ISLNK(state.st_mode):
                facts[where] = ("link", os.readlink(path))
            else:
                facts[where] = ("fifo", None) if stat.S_ISFIFO(state.st_mode) else ("file", path.read_bytes())
    return facts, sorted(map(sorted, groups.values()))


def often(common: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw from `rare` one time in twenty: what is refused ends a layer."""
    return st.integers(0, 19).flatmap(lambda number: rare if number == 0 else common)


PARTS = st.sampled_from(("a", "b", "c"))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
SPELLED = often(st.sampled_from(("{}", "{}", "./{}", "/{}", "{}/", "c/../{}")), st.just("../{}"))
TARGETS = st.one_of(
    PATHS, PATHS, PATHS.map("/{}".format), PATHS.map("../{}".format), st.sampled_from((".", "..", "/", "a/.", "../.."))
)
MODES = st.sampled_from((0o755, 0o700, 0o1777))
FILES = st.builds(lambda data: {"data": data}, st.sampled_from((b"", b"one", b"two")))
FOLDERS = st.builds(lambda mode: {**DIRECTORY, "mode": mode}, MODES)
FACTS = st.one_of(FILES, FOLDERS, FOLDERS, TARGETS.map(link), PATHS.map(hard), st.just(FIFO))
MARKED = often(st.sampled_from((".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq")), st.sampled_from((".wh.", ".wh..")))
MARKS = st.builds(lambda head, name: f"{head}/{name}".lstrip("/"), st.one_of(st.just(""), PATHS), MARKED)
MEMBERS: st.SearchStrategy[Given] = st.one_of(
    st.builds(lambda spelled, path, facts: (spelled.format(path), facts), SPELLED, PATHS, FACTS),
    MARKS.map(lambda name: (name, {})),
    st.builds(lambda name, mode: (name, {**DIRECTORY, "mode": mode}), st.sampled_from((".", "./", "/")), MODES),
)


def spelled_once(member: Given) -> object:
    """Return what tells two members apart, so that few layers have one name twice."""
    return tuple(part for part in member[0].removeprefix("c/../").split("/") if part not in ("", "."))


LAYERS = often(st.lists(MEMBERS, max_size=6, unique_by=spelled_once), st.lists(MEMBERS, max_size=6))
# What most chains begin with, so that there is something to hide, to merge with and to lead to.
BOTTOM: list[Given] = [
    *((path, {**DIRECTORY, "mode": 0o700}) for path in ("a", "a/a", "a/b", "b", "b/c")),
    *((path, {"data": path.encode()}) for path in ("a/a/a", "a/a/b", "a/c", "b/c/a")),
    *(("b/a", hard("a/c")), ("c", link("a")), ("b/b", link("/a/b")), ("a/b/c", link("../../b"))),
]
CHAINS = st.lists(LAYERS, min_size=1, max_size=4).flatmap(
    lambda chain: st.sampled_from(([BOTTOM, *chain], [BOTTOM + chain[0], *chain[1:]], chain))
)
