"""Run the same operations in a driver's container and in a plain directory, and compare everything visible."""

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

__all__ = ["Disagreement", "Replay", "compare", "replay", "tree"]

TREE_EVERY = 250  # operations between comparisons of the whole trees; they are also compared at the end


@dataclass(frozen=True)
class Disagreement:
    """The first undeclared difference: the number of the operation, and the result on each side."""

    number: int
    operation: str
    driver: object
    plain: object

    def __str__(self) -> str:
        return f"operation {self.number}, {self.operation}: {self.driver} here, {self.plain} in a plain directory"


@dataclass
class Replay:
    """Outcome of a stream: number of operations, counts of declared differences, and the first undeclared one."""

    operations: int = 0
    declared: Counter[str] = field(default_factory=Counter)
    mismatch: Disagreement | None = None


def compare(
    operations: Iterable[Operation], shown: Path, plain: Path, differences: Sequence[Difference] = ()
) -> Replay:
    """Run each operation below `shown` and below `plain`, until an undeclared difference.

    If the driver refuses an operation as declared, it is not run in the plain directory, so that both stay equal.
    """
    outcome = Replay()
    with _open_directory(shown) as driver_fd, _open_directory(plain) as plain_fd:
        image = {path: seen[0].kind for path, (_, seen) in _tree(plain_fd).items() if isinstance(seen, tuple)}
        for operation in operations:
            known = [entry for entry in differences if entry.concerns(operation.name)]
            avoiding = [entry for entry in known if entry.avoids and entry.avoids(operation, image, driver_fd)]
            if avoiding:
                outcome.declared[avoiding[0].name] += 1
                continue
            driver_result = replay(operation, driver_fd)
            refusal = next((entry for entry in known if entry.refused == driver_result[0]), None)
            if refusal is not None:
                outcome.declared[refusal.name] += 1
            else:
                plain_result = replay(operation, plain_fd)
                if not _agree(outcome, known, driver_result, plain_result):
                    outcome.mismatch = Disagreement(outcome.operations, str(operation), driver_result, plain_result)
                    return outcome
            outcome.operations += 1
            if outcome.operations % TREE_EVERY == 0 and not _same_trees(outcome, differences, driver_fd, plain_fd):
                return outcome
        _same_trees(outcome, differences, driver_fd, plain_fd)
    return outcome


def _agree(outcome: Replay, differences: Sequence[Difference], driver_result: Result, plain_result: Result) -> bool:
    """Tell whether two results are equal except for declared differences, which are counted."""
    if driver_result == plain_result:
        return True
    for difference in differences:
        if difference.hides:
            equal = _without(driver_result, difference.hides) == _without(plain_result, difference.hides)
        else:
            equal = not (difference.refused or difference.avoids) and driver_result[0] == plain_result[0] == "ok"
        if equal:
            outcome.declared[difference.name] += 1
            return True
    return False


def _without(result: object, fact: str) -> object:
    """Return a result without one fact of every name."""
    if isinstance(result, Seen):
        place = Seen._fields.index(fact)
        return result[:place] + result[place + 1 :]
    if isinstance(result, tuple):
        return tuple([_without(part, fact) if isinstance(part, tuple) else part for part in result])
    return result


def tree(path: Path, *, links: bool = True) -> dict[str, object]:
    """Return, for each path below a directory, its metadata and content, entries, target or attributes.

    Without `links`, the link count is left out.
    """
    with _open_directory(path) as root:
        return {name: result if links else _without(result, "links") for name, result in _tree(root).items()}


def replay(operation: Operation, root: int) -> Result:
    """Run one operation; return an error of the kernel as its result."""
    try:
        return "ok", operation.do(root)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, str(error.errno))
        # POSIX allows either error for a directory that is not empty (rename, rmdir).
        return "ENOTEMPTY" if code == "EEXIST" and operation.name in {"rename", "rmdir"} else code, None


def _same_trees(outcome: Replay, differences: Sequence[Difference], driver_fd: int, plain_fd: int) -> bool:
    """Compare both trees."""
    driver_tree, plain_tree = _tree(driver_fd), _tree(plain_fd)
    hiding = [difference for difference in differences if difference.hides]
    absent: Result = ("ok", Seen(ABSENT))
    for path in sorted(driver_tree.keys() | plain_tree.keys()):
        pair = driver_tree.get(path, absent), plain_tree.get(path, absent)
        if not _agree(outcome, hiding, *pair):
            outcome.mismatch = Disagreement(outcome.operations, f"the trees afterwards, {path}", *pair)
            return False
    return True


def _tree(root: int) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for directory, subdirectories, files in os.walk(f"/proc/self/fd/{root}/."):
        relative = os.path.relpath(directory, f"/proc/self/fd/{root}/.")
        prefix = "" if relative == "." else f"{relative}/"
        for name in (*subdirectories, *files):
            results[f"{prefix}{name}"] = replay(Look(f"{prefix}{name}"), root)
    return results


@contextmanager
def _open_directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
