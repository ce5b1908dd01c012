"""The request of a self-test: the operations, and the streams that are measured for each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count
from typing import Any

from bench import discovery
from bench.errors import BenchError
from bench.measure import compare
from bench.measure.plan import Plan
from bench.model import Skip
from bench.selftest import DELAY, DIFFERENT, EQUAL, WORK
from bench.selftest.stream import Stream

__all__ = ["FULL", "QUICK", "Asked"]


@dataclass(frozen=True)
class Tested:
    """An operation whose verdicts are tested: a scenario, and the parameters of both sides.

    `work` gives, for a slowdown by a share, the parameters with which B does that much more work (from the laws of
    lookup and copy_up as fitted here: 0.4 µs a layer of 14 µs, 0.6 ms a MiB of 0.6 ms). `others` are arms that A is
    compared with both in turns and one after the other; so are A itself, the work of 10 % and A on the other volumes.
    """

    scenario: str
    where: Mapping[str, str] = field(default_factory=dict)
    work: Mapping[float, str] = field(default_factory=dict)
    others: Sequence[str] = ("overlay2,volatile=on@{volume}", "fuse-overlayfs@{volume}", "native@{volume}")


# Every scenario that gates, at its point; first writes at two sizes.
TESTED = {
    "lookup": Tested(
        "lookup",
        work={0.05: "depth=34", 0.10: "depth=36", 0.20: "depth=40"},
        others=("overlay2@{volume},depth=64", "fuse-overlayfs@{volume}", "native@{volume}"),
    ),
    "first write, 4 KiB": Tested("copy_up", {"size": "4KiB"}),
    "first write, 1 MiB": Tested("copy_up", {"size": "1MiB"}, {0.10: "size=1200KiB", 0.20: "size=1400KiB"}),
    "unlink": Tested("whiteouts"),
}
# Operations that other tools are tested on, and units a side: they take at least as long as our verdict on a delay of
# PROMISED[0]. Larger delays, and tools that time whole programs, get half as many trials, of SHORT units.
PEERS = {"lookup": 180, "first write, 4 KiB": 180, "first write, 1 MiB": 240}
SHORT = 60
SHARES = (0.03, 0.05, 0.10, 0.20)
PROMISED = (0.05, 0.10)  # delays that get all trials; other shares, and real work, get a quarter of them
QUICK = {"gates": 20, "trials": 5, "shares": (0.10,), "different": 12, "batch": 60, "budget": "8m"}
FULL = {"gates": 200, "trials": 40, "shares": SHARES, "different": 48, "batch": None, "budget": "6h"}


@dataclass(frozen=True)
class Asked:
    """The request.

    `gates` over equal arms, of at most `gate_pairs` pairs; `trials` for each of the injected `shares`, and
    `peer_trials` for other tools, with `batch` units a side (None: those of PEERS); `different` pairs of arms that
    differ; empty `scenarios`: all. It is stored in run.json, so that the run can be resumed.
    """

    gates: int
    trials: int
    shares: tuple[float, ...]
    different: int
    batch: int | None
    peers: bool
    peer_trials: int | None  # None: half of `trials`
    work: bool
    pairs: int | None  # of a comparison, at most
    gate_pairs: int
    scenarios: tuple[str, ...]
    volumes: tuple[str, ...]
    alpha: float
    delta: float
    seed: int
    seconds: float

    @property
    def streams(self) -> list[Stream]:
        """The streams to measure; raises BenchError if there are none."""
        streams = [stream for stream in self._streams_and_skips if isinstance(stream, Stream)]
        if not streams:
            raise BenchError(
                "nothing to test", why="no gates, no trials and no pairs of arms that differ", fix="ask for some"
            )
        return streams

    @property
    def facts(self) -> dict[str, Any]:
        """The entries of run.json on the streams."""
        return {"streams": [stream.described() for stream in self.streams], "alpha": self.alpha, "asked": self}

    def plan(self, seconds: float) -> Plan:
        """Return the plan of the streams, for a run of at most `seconds`."""
        comparisons = [stream.comparison for stream in self.streams]
        plan = compare.plan_of(comparisons, seed=self.seed, budget=seconds, rootless=os.geteuid() != 0)
        plan.skips += [skip for skip in self._streams_and_skips if isinstance(skip, Skip)]
        return plan

    @cached_property
    def _streams_and_skips(self) -> list[Stream | Skip]:
        return list(_streams(self))


def _streams(asked: Asked) -> Iterator[Stream | Skip]:
    """Yield one stream of equal arms per point and volume, one per known slowdown, two per arm that differs.

    For an arm that cannot run here, a Skip with the reason is yielded.
    """
    for name in asked.scenarios:
        discovery.scenario(name)
    places = [
        (label, tested, volume)
        for label, tested in TESTED.items()
        for volume in asked.volumes
        if not asked.scenarios or tested.scenario in asked.scenarios
    ]
    alpha = asked.alpha / max(len(places), 1)
    procedure = compare.procedure_of(alpha, asked.delta, asked.pairs)
    small = compare.procedure_of(alpha, asked.delta, min(asked.gate_pairs, procedure.cap))
    number = count()
    for label, tested, volume in places:
        arm = f"overlay2@{volume}"
        make = partial(compare.make, arm, scenarios=(tested.scenario,), where=dict(tested.where))
        cloned = tested.scenario == "copy_up" and discovery.volume(volume).clones  # then more bytes are no more work
        kinds = list(_kinds(asked, tested.work if asked.work and not cloned else {}))
        if asked.peers and label in PEERS:
            kinds += _peers(asked, PEERS[label], programs=volume == asked.volumes[0])
        for kind, share, parameters, trials, options in kinds:
            if trials:
                chosen = small if kind == EQUAL else procedure
                (comparison,) = make(arm + parameters, procedure=chosen, first=next(number))
                yield Stream(comparison, f"{label}, {volume}", kind, trials, share, **options)
        for other in _others(tested, volume, asked.volumes) if asked.different else ():
            try:
                comparisons = [make(other, procedure=small, first=next(number), apart=apart) for apart in (False, True)]
            except BenchError as error:
                yield Skip(f"{label}, {volume}: {other}", f"{error.what}: {error.why}", error.fix)
                continue
            for (comparison,) in comparisons:
                yield Stream(comparison, f"{label}, {volume}", DIFFERENT, pairs=asked.different)


Kind = tuple[str, float, str, int, dict[str, Any]]  # kind, share, parameters of B, trials, options of Stream


def _others(tested: Tested, volume: str, volumes: Sequence[str]) -> Iterator[str]:
    """Yield the arms that A is compared with in turns and one after the other; each pair of volumes occurs once."""
    yield f"overlay2@{volume}"
    if PROMISED[1] in tested.work:
        yield f"overlay2@{volume},{tested.work[PROMISED[1]]}"
    yield from (text.format(volume=volume) for text in tested.others)
    yield from (f"overlay2@{other}" for other in volumes[volumes.index(volume) + 1 :])


def _kinds(asked: Asked, work: Mapping[float, str]) -> Iterator[Kind]:
    """Yield the streams of pairs at one point."""
    fewer = -(-asked.trials // 4)
    yield EQUAL, 0.0, "", asked.gates, {}
    for share in asked.shares:
        yield DELAY, share, "", asked.trials if share in PROMISED else fewer, {}
        if share in work:
            yield WORK, share, f",{work[share]}", fewer, {}


def _peers(asked: Asked, default_size: int, *, programs: bool) -> Iterator[Kind]:
    """Yield the streams for other tools at one point, of `default_size` units a side unless another was requested."""
    trials = -(-asked.trials // 2) if asked.peer_trials is None else asked.peer_trials
    fewer = -(-trials // 2)
    size = asked.batch or default_size
    short = min(size, SHORT)
    shares = [share for share in asked.shares if share in PROMISED] or [0.0]
    for share in dict.fromkeys((0.0, *shares)):
        kind = DELAY if share else EQUAL
        if share <= shares[0]:
            yield kind, share, "", trials, {"batch": size}
        else:
            yield kind, share, "", fewer, {"batch": short}
        if programs:
            yield kind, share, "", fewer, {"batch": short, "program": True}
