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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.selftest import DELAY, EQUAL
from bench.selftest.rates import Rate, rate
from bench.selftest.results import Batched, Streamed, Trusted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["OURS", "PYPERF", "Peer", "Tool", "beside", "peers"]

OURS = "ours"
PYPERF = "pyperf compare_to"
NANOSECONDS = 1e9
LEAST = 30  # units a side of the shortest run that is told of another tool
FAILS = ("median:5%", "median:10%")  # of --benchmark-compare-fail
_SLOWER = re.compile(r"^Slower \((\d+)\):", re.MULTILINE)


@dataclass(frozen=True)
class Tool:
    """What a tool said of one operation, by injected share (0: equal arms), and how long a verdict took it.

    `size` is its units of a side, 0 for as many as it takes. `reason`: why it could not be asked.
    """

    label: str
    name: str
    size: int
    rates: dict[float, Rate]
    seconds: float
    reason: str = ""


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


def beside(told: Trusted) -> list[Tool]:
    """Return what ours and each other tool said, by the size of its runs; nothing where no other was asked."""
    batches = [one for one in told.batches if one.trials]
    found: list[Tool] = []
    for label in dict.fromkeys(one.label for one in batches):
        mine = [one for one in batches if one.label == label]
        found.append(_ours(label, told.streams, {one.share for one in mine}))
        for peer in peers():
            found += _theirs(label, peer, {one.share: one for one in mine if one.tool == peer.timed})
    return found


def _ours(label: str, streams: Iterable[Streamed], shares: Collection[float]) -> Tool:
    """Return our own verdicts at these shares; the time is that of the smallest delay, which takes longest."""
    mine = {
        one.share: one for one in streams if one.label == label and one.kind in {EQUAL, DELAY} and one.share in shares
    }
    rates = {one: rate(stream.told) for one, stream in mine.items()}
    slowed = [one for share, one in sorted(mine.items()) if share]
    return Tool(label, OURS, 0, rates, slowed[0].per_verdict(0.5) if slowed else math.nan)


def _theirs(label: str, peer: Peer, batches: dict[float, Batched]) -> Iterator[Tool]:
    most = max((one.size for one in batches.values()), default=0)
    for size in (most // 4, most // 2, most):
        if size < LEAST and size < most:
            continue
        runs = {share: one.shorter(size) for share, one in batches.items() if one.size >= size}
        if runs:
            rates = {
                share: Rate(peer.slower(one), len(one.trials)) for share, one in runs.items() if peer.slower is not None
            }
            yield Tool(label, peer.name, size, rates, max(one.seconds for one in runs.values()), peer.reason)
