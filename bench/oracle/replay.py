"""Do operations in two directories, one that a driver shows and a plain one, and compare all that can be seen."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.drivers.base import Difference
from bench.oracle.access import ABSENT, Seen
from bench.oracle.operations import Look, Operation, Result

__all__ = ["Disagreement", "Replay", "compared", "replay", "tree"]

TREE_EVERY = 250  # operations, after which the whole trees are compared, and at the end


@dataclass(frozen=True)
class Disagreement:
    """Where the two first differed without a declaration: the number of the operation, and what each said."""

    number: int
    operation: str
    driver: object
    plain: object

    def __str__(self) -> str:
        return f"operation {self.number}, {self.operation}: {self.driver} here, {self.plain} in a plain directory"


@dataclass
class Replay:
    """What came of a stream: how many operations were done, what differed as declared, and what did not."""

    operations: int = 0
    declared: Counter[str] = field(default_factory=Counter)
    mismatch: Disagreement | None = None


def compared(
    operations: Iterable[Operation], shown: Path, plain: Path, differences: Sequence[Difference] = ()
) -> Replay:
    """Do each operation below `shown` and below `plain` until they differ without a declaration.

    Where the driver refuses what is declared, the plain directory is not asked, so that both stay the same.
    """
    told = Replay()
    with _opened(shown) as one, _opened(plain) as other:
        image = {path: told[0].kind for path, (_, told) in _tree(other).items() if isinstance(told, tuple)}
        for operation in operations:
            known = [each for each in differences if each.concerns(operation.name)]
            avoided = next((each for each in known if each.avoids and each.avoids(operation, image, one)), None)
            if avoided is not None:
                told.declared[avoided.name] += 1
                continue
            here = replay(operation, one)
            refusal = next((each for each in known if each.refused == here[0]), None)
            if refusal is not None:
                told.declared[refusal.name] += 1
            else:
                there = replay(operation, other)
                if not _agree(told, known, here, there):
                    told.mismatch = Disagreement(told.operations, str(operation), here, there)
                    return told
            told.operations += 1
            if told.operations % TREE_EVERY == 0 and not _same_trees(told, differences, one, other):
                return told
        _same_trees(told, differences, one, other)
    return told


def _agree(told: Replay, known: Sequence[Difference], here: Result, there: Result) -> bool:
    """Tell whether both are the same, but for what is declared, which is counted."""
    if here == there:
        return True
    for each in known:
        if each.hides:
            same = _without(here, each.hides) == _without(there, each.hides)
        else:
            same = not (each.refused or each.avoids) and here[0] == there[0] == "ok"
        if same:
            told.declared[each.name] += 1
            return True
    return False


def _without(told: object, fact: str) -> object:
    """Return an outcome in which a fact of every name is left out."""
    if isinstance(told, Seen):
        facts = told._asdict()
        del facts[fact]
        return tuple(facts.values())
    if isinstance(told, tuple):
        return tuple(_without(each, fact) for each in told)
    return told


def tree(path: Path, *, links: bool = True) -> dict[str, object]:
    """Return all that is below a directory: by path, metadata and content, entries, target or attributes.

    Without `links`, how many names a file has is left out.
    """
    with _opened(path) as root:
        return {name: told if links else _without(told, "links") for name, told in _tree(root).items()}


def replay(operation: Operation, root: int) -> Result:
    """Do one operation; an error of the kernel is what it did, not an exception."""
    try:
        return "ok", operation.do(root)
    except OSError as error:
        said = errno.errorcode.get(error.errno or 0, str(error.errno))
        # POSIX leaves it open which of the two says that a directory is not empty (rename, rmdir).
        return "ENOTEMPTY" if said == "EEXIST" and operation.name in {"rename", "rmdir"} else said, None


def _same_trees(told: Replay, differences: Sequence[Difference], one: int, other: int) -> bool:
    """Compare everything below both."""
    here, there = _tree(one), _tree(other)
    known = [each for each in differences if each.hides]
    absent: Result = ("ok", Seen(ABSENT))
    for path in sorted(here.keys() | there.keys()):
        pair = here.get(path, absent), there.get(path, absent)
        if not _agree(told, known, *pair):
            told.mismatch = Disagreement(told.operations, f"the trees afterwards, {path}", *pair)
            return False
    return True


def _tree(root: int) -> dict[str, Result]:
    found: dict[str, Result] = {}
    for top, directories, files in os.walk(f"/proc/self/fd/{root}/."):
        relative = os.path.relpath(top, f"/proc/self/fd/{root}/.")
        for name in [*directories, *files]:
            path = os.path.normpath(os.path.join(relative, name))
            found[path] = replay(Look(path), root)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
