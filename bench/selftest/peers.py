"""Verdicts of other tools on the same operation, by their own code; the sides are measured one after the other.

pyperf: `python -m pyperf compare_to`, with one value per unit. pytest-benchmark, if installed: the check behind its
option `--benchmark-compare-fail`. hyperfine has no verdict; its summary has the ratio of the means and the standard
deviation of that ratio, which is computed here as in its src/benchmark/relative_speed.rs.
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
LEAST = 30  # units a side of the shortest run that is reported for another tool
FAILS = ("median:5%", "median:10%")  # of --benchmark-compare-fail
_SLOWER = re.compile(r"^Slower \((\d+)\):", re.MULTILINE)


@dataclass(frozen=True)
class Tool:
    """The rates of a tool on one operation, by injected share (0: equal arms), and the time of a verdict.

    `size` is the number of units a side, 0 for as many as it takes. `reason` tells why it could not be run.
    """

    label: str
    name: str
    size: int
    rates: dict[float, Rate]
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Peer:
    """A tool that compares two runs.

    `slower` counts the trials that it calls slower; None if it cannot be run here, for a `reason`. `timed` is the tool
    that times for it, if not the suite.
    """

    name: str
    slower: Callable[[Batched], int] | None
    reason: str = ""
    timed: str = ""


def peers() -> list[Peer]:
    """Return the tools that compare two runs."""
    tools = [Peer(PYPERF, _pyperf)]
    for text in FAILS:
        name = f"pytest-benchmark {text}"
        if importlib.util.find_spec("pytest_benchmark") is None:
            tools.append(Peer(name, None, "pytest-benchmark is not installed beside the suite"))
        else:
            tools.append(Peer(name, _check(text)))
    return [*tools, Peer("hyperfine, ratio - σ above 1", _hyperfine, timed="hyperfine")]


def _hyperfine(batch: Batched) -> int:
    """Count the trials in which hyperfine's summary has A faster by more than the standard deviation."""
    slower = 0
    for a, b in batch.trials:
        ratio = float(b.mean() / a.mean())
        deviation = ratio * math.hypot(b.std(ddof=1) / b.mean(), a.std(ddof=1) / a.mean())
        slower += ratio - deviation > 1
    return slower


def _pyperf(batch: Batched) -> int:
    """Write both sides as pyperf suites, one benchmark per trial, and count the trials that it lists as slower."""
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for side in range(2):
            files.append(Path(directory, f"{'ab'[side]}.json"))
            _suite([trial[side] for trial in batch.trials], files[-1])
        command = [sys.executable, "-m", "pyperf", "compare_to", "--group-by-speed", *map(str, files)]
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        raise BenchError("pyperf compare_to failed", why=(completed.stderr.strip().splitlines() or [""])[-1])
    if match := _SLOWER.search(completed.stdout):
        return int(match[1])
    if len(batch.trials) == 1:  # with one benchmark there are no groups
        return int("slower" in completed.stdout and "Not significant" not in completed.stdout)
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

    def slower(batch: Batched) -> int:
        medians = [tuple(statistics.median(side) for side in trial) for trial in batch.trials]
        return sum(bool(check.fails({"median": b}, {"median": a})) for a, b in medians)

    return slower


def beside(results: Trusted) -> list[Tool]:
    """Return the rates of the suite and of each other tool, by the size of its runs; empty if no other tool ran."""
    batches = [batch for batch in results.batches if batch.trials]
    tools: list[Tool] = []
    for label in dict.fromkeys(batch.label for batch in batches):
        label_batches = [batch for batch in batches if batch.label == label]
        tools.append(_ours(label, results.streams, {batch.share for batch in label_batches}))
        for peer in peers():
            tools += _theirs(label, peer, {batch.share: batch for batch in label_batches if batch.tool == peer.timed})
    return tools


def _ours(label: str, streams: Iterable[Streamed], shares: Collection[float]) -> Tool:
    """Return the suite's own rates at these shares, with the time of the smallest delay, which takes longest."""
    own = [stream for stream in streams if stream.label == label and stream.kind in {EQUAL, DELAY}]
    by_share = {stream.share: stream for stream in own if stream.share in shares}
    rates = {share: rate(stream.comparable) for share, stream in by_share.items()}
    slowed = [stream for share, stream in sorted(by_share.items()) if share]
    return Tool(label, OURS, 0, rates, slowed[0].per_verdict(0.5) if slowed else math.nan)


def _theirs(label: str, peer: Peer, batches: dict[float, Batched]) -> Iterator[Tool]:
    most = max((batch.size for batch in batches.values()), default=0)
    for size in (most // 4, most // 2, most):
        if size < LEAST and size < most:
            continue
        runs = {share: batch.shorter(size) for share, batch in batches.items() if batch.size >= size}
        if runs:
            rates = {
                share: Rate(peer.slower(run), len(run.trials)) for share, run in runs.items() if peer.slower is not None
            }
            yield Tool(label, peer.name, size, rates, max(run.seconds for run in runs.values()), peer.reason)
