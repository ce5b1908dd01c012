"""What other tools say of the same operation, measured side after side as they do it: by their own code.

pyperf: `python -m pyperf compare_to`, each unit one value. pytest-benchmark: the check behind its
`--benchmark-compare-fail`, where it is installed. hyperfine has no verdict, only the ratio of the means and its
standard deviation in the summary; the one computed here is that of its src/benchmark/relative_speed.rs.
"""

from __future__ import annotations

import importlib.util
import math
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from bench.stats.trusted import Batched

__all__ = ["PYPERF", "Peer", "peers"]

PYPERF = "pyperf compare_to"
NANOSECONDS = 1e9
FAILS = ("median:5%", "median:10%")  # of --benchmark-compare-fail
_SLOWER = re.compile(r"^Slower \((\d+)\):", re.MULTILINE)


@dataclass(frozen=True)
class Peer:
    """A tool: how many of the trials it calls slower; None, and why, where it cannot be asked here.

    `timed` is the tool that times for it, if that is not the suite.
    """

    name: str
    slower: Callable[[Batched], int] | None
    reason: str = ""
    timed: str = ""


def peers() -> list[Peer]:
    """Return the tools that compare two runs."""
    told = [Peer(PYPERF, _pyperf)]
    for text in FAILS:
        name = f"pytest-benchmark {text}"
        if importlib.util.find_spec("pytest_benchmark") is None:
            told.append(Peer(name, None, "pytest-benchmark is not installed beside the suite"))
        else:
            told.append(Peer(name, _check(text)))
    return [*told, Peer("hyperfine, ratio - σ above 1", _hyperfine, timed="hyperfine")]


def _hyperfine(told: Batched) -> int:
    """Count the trials in whose summary A ran faster by more than the deviation that it gives."""
    slower = 0
    for a, b in told.trials:
        ratio = float(b.mean() / a.mean())
        deviation = ratio * math.hypot(b.std(ddof=1) / b.mean(), a.std(ddof=1) / a.mean())
        slower += ratio - deviation > 1
    return slower


def _pyperf(told: Batched) -> int:
    """Write both sides as pyperf suites, one benchmark per trial, and count those that it lists as slower."""
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for side in range(2):
            files.append(Path(directory, f"{'ab'[side]}.json"))
            _suite([trial[side] for trial in told.trials], files[-1])
        command = [sys.executable, "-m", "pyperf", "compare_to", "--group-by-speed", *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError("pyperf compare_to failed", why=done.stderr.strip().splitlines()[-1] if done.stderr else "")
    found = _SLOWER.search(done.stdout)
    if found:
        return int(found[1])
    if len(told.trials) == 1:  # with one benchmark there are no groups
        return int("slower" in done.stdout and "Not significant" not in done.stdout)
    return 0


def _suite(trials: Sequence[npt.NDArray[np.float64]], path: Path) -> None:
    import pyperf

    suite = [
        pyperf.Benchmark(
            [
                pyperf.Run([float(value) / NANOSECONDS], metadata={"name": f"trial {number}"}, collect_metadata=False)
                for value in values
            ]
        )
        for number, values in enumerate(trials)
    ]
    pyperf.BenchmarkSuite(suite).dump(str(path))


def _check(text: str) -> Callable[[Batched], int]:
    import pytest_benchmark.utils as tool

    parse: Any = tool.parse_compare_fail  # it has no types
    check = parse(text)

    def slower(told: Batched) -> int:
        medians = [tuple(statistics.median(side) for side in trial) for trial in told.trials]
        return sum(bool(check.fails({"median": b}, {"median": a})) for a, b in medians)

    return slower
