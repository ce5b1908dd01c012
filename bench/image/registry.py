"""The images of this process, by the key that the parameter `image` of a cell has, and what is done to them."""

from __future__ import annotations

import hashlib
import random
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bench.errors import BenchError
from bench.image.layering import halved, squashed
from bench.image.model import Image
from bench.layers.archived import LINKS
from bench.layers.content import Deleted, Directory, Entry, File, HardLink, Layer, Link, Node
from bench.layers.tree import Tree

__all__ = ["AS_BUILT", "HALVED", "SQUASHED", "Step", "Subject", "register", "subject"]

AS_BUILT, HALVED, SQUASHED = "as built", "halved", "squashed"
LOOKUPS = 512  # paths that a unit looks up, drawn from all
LISTINGS = 16  # directories that a unit lists: those that the most layers have
WRITES = 24  # files that a unit writes to
WRITTEN_MAX = 16 << 20  # bytes of the largest file that a unit writes to
MOST_LISTED = 20_000  # names of the largest directory that a unit lists
WHOLE_BYTES = 256 << 20  # of images that are built with all of their data by default: in seconds
_KEY_DIGITS = 12


@dataclass(frozen=True)
class Step:
    """One step of a start: `action` is `lookup`, `read` or `write` of `path`."""

    path: str
    action: str = "lookup"


@dataclass
class Subject:
    """An image with its layerings, and what a unit does to it: the same paths whatever the layering.

    `files`: the regular files of the merged tree by all their names. `command`: what is run in a container, for at most
    `seconds`; `outputs` has the digest of what it wrote the first time. `sparse`: files that no unit reads have a hole
    for their data, so that a large image is built in time.
    """

    image: Image
    steps: Sequence[Step] = ()
    lookups: Sequence[str] = ()
    listings: Sequence[str] = ()
    writes: Sequence[str] = ()
    command: Sequence[str] = ()
    seconds: float = 60.0
    outputs: dict[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    sparse: bool = False
    rootless: bool = False
    _chains: dict[str, Sequence[Layer]] = field(default_factory=dict)

    def layers(self, layering: str) -> Sequence[Layer]:
        """Return the layers of a layering, bottom first."""
        if layering not in self._chains:
            own = [tuple(self._built(layer.entries)) for layer in self.image.layers]
            made: Mapping[str, Callable[[], Sequence[Layer]]] = {
                AS_BUILT: lambda: own,
                HALVED: lambda: halved(own),
                SQUASHED: lambda: [squashed(own)],
            }
            self._chains[layering] = made[layering]()
        return self._chains[layering]

    def _built(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield a layer's entries as they are built: for an ordinary user without devices, all of them his own."""
        left: set[str] = set()
        for entry in map(self._thinned, entries):
            if not self.rootless or isinstance(entry, Deleted):
                yield entry
            elif isinstance(entry, HardLink):
                if entry.target not in left:
                    yield entry
            elif isinstance(entry, Node) and entry.kind != stat.S_IFIFO:
                left.add(entry.path)
            else:
                metadata = entry.metadata and replace(
                    entry.metadata,
                    uid=0,
                    gid=0,
                    attributes=tuple(each for each in entry.metadata.attributes if each[0].startswith("user.")),
                )
                yield replace(entry, metadata=metadata)

    def _thinned(self, entry: Entry) -> Entry:
        """Return an entry without its data if nothing reads it."""
        if not self.sparse or not isinstance(entry, File) or (entry.origin, entry.path) in self._read:
            return entry
        return replace(entry, data=())

    @cached_property
    def _read(self) -> set[tuple[int, str]]:
        """The files that units read or write, by layer and path."""
        paths = [*self.writes, *(step.path for step in self.steps if step.action != "lookup")]
        return {(file.origin, file.named or file.path) for file in map(self.files.__getitem__, paths)}


_subjects: dict[str, Subject] = {}


def subject(key: str) -> Subject:
    """Return the image with this key."""
    return _subjects[key]


def register(
    images: Sequence[Image],
    seed: int,
    *,
    steps: Sequence[Step] = (),
    command: Sequence[str] = (),
    seconds: float = 60.0,
    whole: bool = False,
    rootless: bool = False,
) -> Sequence[str]:
    """Make images known to cells; return their keys. The paths for units are drawn from those that all of them have.

    Images of more than WHOLE_BYTES are sparse, unless they are to be `whole` or a command may read all of them.
    """
    trees = [_tree(image) for image in images]
    names = set.intersection(*(_paths(tree) for tree in trees))
    drawn = random.Random(seed)  # noqa: S311  a sample, not a secret
    ordered = sorted(names)
    lookups = sorted(drawn.sample(ordered, min(LOOKUPS, len(ordered))))
    drawn.shuffle(lookups)
    common = [_files(tree) for tree in trees]
    writable = [path for path in ordered if all(0 < _size(files, path) <= WRITTEN_MAX for files in common)]
    writes = drawn.sample(writable, min(WRITES, len(writable)))
    keys = []
    outputs: dict[str, str] = {}  # the same for all images
    files_of = (entry for each in images for layer in each.layers for entry in layer.entries if isinstance(entry, File))
    sparse = sum(file.size for file in files_of) > WHOLE_BYTES and not whole and not command
    for image, files, tree in zip(images, common, trees, strict=True):
        key = _key(image)
        resolved = [_step(step, tree, files) for step in steps]
        _subjects[key] = Subject(
            image,
            resolved,
            lookups,
            _merged(images[0], names),
            writes,
            command,
            seconds,
            outputs,
            files,
            sparse,
            rootless,
        )
        keys.append(key)
    return keys


def _step(step: Step, tree: Tree, files: Mapping[str, File]) -> Step:
    """Return a step with its path resolved as in a chroot, so that no link of the image leads out of it.

    Raises BenchError for a path that is to be read or written but is no file.
    """
    path = _resolved(step.path, tree)
    if step.action != "lookup" and path not in files:
        raise BenchError(f"the image has no file {step.path!r}", why=f"it is to be {step.action}", fix="leave it out")
    return Step(path, step.action)


def _resolved(path: str, tree: Tree) -> str:
    current: list[str] = []
    remaining = list(reversed(path.split("/")))
    links = 0
    while remaining:
        part = remaining.pop()
        if part == "..":
            current = current[:-1]
        elif part not in {"", "."}:
            entry = tree.get("/".join([*current, part]))
            if not isinstance(entry, Link):
                current.append(part)
                continue
            links += 1
            if links > LINKS:
                raise BenchError(f"{path!r} cannot be looked up", why="its symbolic links lead to each other")
            current = [] if entry.target.startswith("/") else current
            remaining.extend(reversed(entry.target.split("/")))
    return "/".join(current)


def _key(image: Image) -> str:
    """Return a short digest of the layers' digests and names."""
    text = "\n".join(layer.digest or f"{image.name} {len(layer.entries)}" for layer in image.layers)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def _tree(image: Image) -> Tree:
    tree = Tree()
    for layer in image.layers:
        tree.add(layer.entries)
    return tree


def _paths(tree: Tree) -> set[str]:
    """Return the paths of directories and regular files: a lookup would follow links, and not all can make devices."""
    return {entry.path for entry in tree.entries if entry.path and isinstance(entry, Directory)} | _files(tree).keys()


def _files(tree: Tree) -> dict[str, File]:
    """Return the regular files by all of their names."""
    files = {entry.path: entry for entry in tree.entries if isinstance(entry, File)}
    links = [entry for entry in tree.entries if isinstance(entry, HardLink)]
    return files | {link.path: files[link.target] for link in links if link.target in files}


def _size(files: Mapping[str, File], path: str) -> int:
    """Return the bytes of a file; 0 if the path is another kind."""
    return files[path].size if path in files else 0


def _merged(image: Image, names: set[str]) -> list[str]:
    """Return the directories that the most layers have, of those in `names`, most first."""
    layers: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for layer in image.layers:
        layers.update(entry.path for entry in layer.entries if isinstance(entry, Directory) and entry.path in names)
        sizes.update(_parent(entry) for entry in layer.entries)
    ranked = sorted((path for path in layers if sizes[path] <= MOST_LISTED), key=lambda path: (-layers[path], path))
    return ranked[:LISTINGS]


def _parent(entry: Entry) -> str:
    return entry.path.rpartition("/")[0]
