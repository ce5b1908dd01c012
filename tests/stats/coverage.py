"""How often intervals of 95 % hold what they should: simulated, and on pieces of real runs against the whole.

`python -m tests.stats.coverage [RUN]` prints the tables of docs/method.md; RUN is a long survey, or results/survey.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench import discovery
from bench.reading.analysis import Analysis
from bench.reading.headlines import figures
from bench.selftest.pairs import records
from bench.stats.pooled import Pool
from bench.store.reader import Run, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bench.reading.contract import Reading
    from bench.reading.headlines import HeadlineFigure
    from bench.stats.estimate import Estimate

__all__ = ["BLOCKS", "SURVEY", "of_ratios", "of_survey", "simulated"]

Floats = npt.NDArray[np.float64]

RESULTS = Path(__file__).parents[2] / "results"
TRUST, SURVEY = RESULTS / "trust", RESULTS / "survey"
BLOCKS = (3, 6, 12, 30)
CELLS = 5
DEPTHS = np.array([1.0, 4.0, 16.0, 64.0, 128.0])
TIMES = 1000 + 30 * DEPTHS


Flags = npt.NDArray[np.bool_]
Noise = tuple[Floats, Flags]  # of units, and whether they are known to be disturbed


def disturbed(random: np.random.Generator, number: int) -> Noise:
    """Normal, but one unit in ten is slowed by something, by a third in the median."""
    slowed = np.abs(random.normal(0.3, 0.4, number))
    return np.where(random.random(number) < 0.1, slowed, random.normal(0, 0.1, number)), np.zeros(number, bool)


def skewed(random: np.random.Generator, number: int) -> Noise:
    """Exponential: no unit is much faster than the others."""
    return random.exponential(0.12, number), np.zeros(number, bool)


def known(random: np.random.Generator, number: int) -> Noise:
    """Normal, but one unit in four is slowed by a third, and that is known of nine in ten of these."""
    slowed = random.random(number) < 0.25
    logs = random.normal(0, 0.05, number) + slowed * random.normal(0.3, 0.1, number)
    return logs, slowed & (random.random(number) < 0.9)


KINDS = (disturbed, skewed, known)


@cache
def expected_centre(kind: Callable[[np.random.Generator, int], Noise]) -> float:
    """Return the centre of a kind of noise, from many units of it."""
    random = np.random.default_rng(0)
    many = [kind(random, 2000) for _ in range(20)]
    return float(np.mean([np.log(_estimate(np.exp(logs), flags).value) for logs, flags in many]))


def simulated(blocks: int, rounds: int) -> Floats:
    """Return the coverage of a cell's time, of the ratio of two and of a slope, over tails and drifts of both kinds."""
    random = np.random.default_rng(blocks)
    cells, of_block = np.tile(np.arange(CELLS), blocks), np.repeat(np.arange(blocks), CELLS)
    hits = np.zeros(3)
    for kind, drift in product(KINDS, (0.0, 0.1)):
        centre = expected_centre(kind)
        for _ in range(rounds):
            noise, flags = kind(random, len(cells))
            logs = np.log(TIMES)[cells] + noise + random.normal(0, drift, blocks)[of_block]
            pool = Pool(np.exp(logs), cells, of_block, disturbed=flags)
            cell = pool.centre(0)
            weights = pool.weights * ((cells == 0) * 1.0 - (cells == 1))
            ratio = pool.factor(pool.combination(weights, float(pool.centres[0] - pool.centres[1])), blocks)
            ends, of_ends = pool.ends(DEPTHS)
            (low, high), span = np.exp(ends), np.ptp(DEPTHS)
            slope = (high - low) / span
            half = pool.combination(np.array([-low, high]) / span @ of_ends, slope).half()
            hits += (
                cell.low <= TIMES[0] * np.exp(centre) <= cell.high,
                ratio.low <= TIMES[0] / TIMES[1] <= ratio.high,
                abs(slope - 30 * np.exp(centre)) <= half,
            )
    return hits / (2 * len(KINDS) * rounds)


def of_ratios(lengths: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return (held, all) of the ratios of pieces of so many values of results/trust, by their length.

    Of streams of pairs, not of those where other tools are asked, which measure one side after the other. A value is of
    two successive pairs, each side first in one of them: the order shifts their ratios in opposite directions. Of
    streams of eight pieces or more: the whole of a shorter one is not much better known than a piece.
    """
    counts = dict.fromkeys(lengths, (0, 0))
    run = load(TRUST)
    recorded = records(run).streams
    for asked in run.provenance.streams or ():
        for a, b in recorded[asked.number].parts if not asked.batch else ():
            both = len(a) // 2 * 2
            ratios = np.sqrt((a / b)[:both:2] * (a / b)[1:both:2])
            fitting = [length for length in lengths if len(ratios) >= 8 * length]
            whole = _estimate(ratios).value if fitting else 0.0
            for length in fitting:
                starts = range(0, len(ratios) - length + 1, length)
                own = [_estimate(ratios[start : start + length]) for start in starts]
                held, pieces = counts[length]
                held += sum(piece.low <= whole <= piece.high for piece in own)
                counts[length] = held, pieces + len(own)
    return counts


def of_survey(run: Run, length: int, *, spread: bool, every: int = 1) -> Iterator[bool]:
    """Yield whether a headline figure of a piece of so many blocks of its scenario holds the whole's.

    Of `every` so many pieces one is taken.

    `spread`: the piece's blocks are spread over the whole time, as those of a run are; else they succeed each other.
    """
    readings = discovery.readings()
    for name in run.times["scenario"].unique():
        named = {headline.source.name for headline in readings[name].headlines}
        part = run.only(str(name), set(run.arms.values()), named)
        if part.times.empty:
            continue
        whole = {(figure.headline.key, figure.arm): figure for figure in _figures(part, readings)}
        blocks = int(part.times["block"].max()) + 1
        pieces = blocks // length
        for piece in range(0, pieces, every):
            chosen = range(piece, pieces * length, pieces) if spread else range(piece * length, (piece + 1) * length)
            for figure in _figures(part, readings, chosen):
                value = whole[figure.headline.key, figure.arm].estimate.value
                if figure.estimate.has_interval and not figure.exact:
                    yield figure.estimate.low <= value <= figure.estimate.high


def _figures(run: Run, readings: Mapping[str, Reading], blocks: Iterable[int] = ()) -> list[HeadlineFigure]:
    if blocks:
        times, units, counters = (
            frame[frame["block"].isin(list(blocks))] for frame in (run.times, run.units, run.counters)
        )
        run = replace(run, times=times, units=units, counters=counters)
    return figures(Analysis(run, readings), readings)


def _estimate(values: Floats, flags: Flags | None = None) -> Estimate:
    return Pool(values, np.zeros(len(values), int), np.arange(len(values)), disturbed=flags).centre(0)


def main() -> None:
    """Print the tables."""
    for blocks in BLOCKS:
        print(f"| {blocks} | " + " | ".join(f"{share:.1%}" for share in simulated(blocks, 1000)) + " |")
    run = load(Path(sys.argv[1]) if len(sys.argv) > 1 else SURVEY)
    for length, (held, pieces) in of_ratios(BLOCKS).items():
        cells = [f"{held / pieces:.1%} of {pieces:,}"]
        for spread in (True, False):
            own = list(of_survey(run, length, spread=spread))
            cells.append(f"{np.mean(own):.1%} of {len(own):,}" if own else "–")
        print(f"| {length} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
