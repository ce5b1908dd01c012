"""Wait until a command that was started is where it is wanted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.cli.command import Bench

__all__ = ["BOUND", "rows", "rows_of", "wait_for_rows"]

BOUND = 60.0  # seconds that a command may take to come to where it is wanted, or to end


def rows_of(run: Path) -> int:
    """Return how many rows a run has, which makes its directory first and the file of its rows after it."""
    path = run / "samples.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def rows(bench: Bench) -> int:
    return sum(map(rows_of, bench.runs()))


def wait_for_rows(bench: Bench, process: subprocess.Popen[str], number: int) -> None:
    end = time.monotonic() + BOUND
    while rows(bench) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
