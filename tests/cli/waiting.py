"""Wait until a command that was started is where it is wanted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

    from tests.cli.command import Bench

__all__ = ["BOUND", "rows", "wait_for_rows"]

BOUND = 60.0  # seconds that a command may take to come to where it is wanted


def rows(bench: Bench) -> int:
    return sum(
        (run / "samples.jsonl").read_bytes().count(b"\n") for run in bench.runs() if (run / "samples.jsonl").exists()
    )


def wait_for_rows(bench: Bench, process: subprocess.Popen[str], number: int) -> None:
    end = time.monotonic() + BOUND
    while rows(bench) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
