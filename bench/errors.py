"""The errors a user can meet, each of which says what, why and how to fix it.

Anything else that reaches the top is a bug of this suite.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "EXIT_INCONCLUSIVE",
    "EXIT_REGRESSION",
    "EXIT_USAGE",
    "BenchError",
    "Interrupted",
    "LostVolumeError",
    "RefusedVolumeError",
    "as_called",
    "nearest",
    "no_run",
    "program",
]

MODULE, INSTALLED = "python -m bench", "layer-bench"

# The exit codes of all commands (docs/architecture.md); beside them 128 + N, where signal N stopped one.
EXIT_REGRESSION = 1  # gate
EXIT_USAGE = 2  # usage or infrastructure
EXIT_INCONCLUSIVE = 3  # ab, gate


class BenchError(Exception):
    """Something the user can fix; printed as one line, exit status 2."""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(what, why, fix)

    def __str__(self) -> str:
        text = self.what
        if self.why:
            text += f": {self.why}"
        if self.fix:
            text += f"; {self.fix}"
        return as_called(" ".join(text.split()))


class RefusedVolumeError(BenchError):
    """The kernel does not mount a file system that mkfs made."""


class LostVolumeError(BenchError):
    """A volume that was there is not mounted any more, so that nothing can be measured on it."""


class Interrupted(BaseException):
    """A signal asked the run to stop; samples written so far are kept.

    A BaseException, so that no handler of ordinary errors takes it for a failed unit.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signum)


def program() -> str:
    """Return what the user called: the installed command, or the module."""
    return INSTALLED if Path(sys.argv[0]).name == INSTALLED else MODULE


def as_called(text: str) -> str:
    """Return a text whose commands begin as the one that the user called."""
    return text.replace(MODULE, program())


def no_run(directory: Path) -> BenchError:
    """Return the error for a run that is not there."""
    return BenchError(f"no run at {directory}", fix="`ls results` shows the runs; give one's directory or name")


def nearest(kind: str, word: str, known: Iterable[str]) -> BenchError:
    """Return the error for an unknown `word` of a `kind`, naming the nearest known one."""
    import difflib  # here, so that --help does without it

    names = sorted(known)
    match = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {match[0]!r}?" if match else f"known: {', '.join(names) or 'none'}"
    return BenchError(f"unknown {kind} {word!r}", fix=hint)
