"""Times of cells that share a spread: centres, ratios and laws on logarithms, with intervals from all their units.

A cell of a short run has three units, and Student's factor for three is 4.3. Cells of one scenario, metric, arm and
temperature differ in depth or size, which changes how long a call takes, but hardly by what share its time varies. So
their units tell that share together. Of logarithms, because what disturbs a call stretches it: an interval of a time
or a ratio then never reaches zero.

Centres are Huber's M-estimates (Huber and Ronchetti, Robust Statistics, 2009, sections 4.5 and 7.6): as good as a mean
where nothing disturbs, and moved little by the slow units of a shared machine. No unit is left out. Units whose CPU was
found disturbed before or after the operation count for as much as they tell: their usual deviation from the other units
of their cell is estimated from all of them, and each is weighted by the inverse of its square. A disturbance makes a
time longer, but moves a ratio either way: where so few units were undisturbed that they hardly tell their spread,
ratios count alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from bench.stats.estimate import CONFIDENCE, Estimate, t_quantile

__all__ = ["HUBER", "OWN_FROM", "Combination", "Pool"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HUBER = 2.0
"""Residuals beyond this times the scale count as this. The usual value is 1.345; simulated intervals of skewed times
cover as often with it (tests/stats/coverage.py). With 2 the estimate is nearer to the mean."""
NARROWER = 0.7  # times an interval with weights: then ratios count alike; with 1 simulated intervals covered 94 %
FEWEST_DISTURBED = 2  # of a pool, beside undisturbed ones, before they are weighted
LEAST_FREEDOM = 2  # of the spread of undisturbed units, before others weigh less: with 1 Student's factor is 12.7
NORMAL = math.sqrt(2) * 0.6744897501960817  # the median difference of two normal values, over their deviation
OWN_FROM = 6  # units from which a cell's own spread is estimated, where cells do not share one
UNEQUAL = 0.01  # the p-value of Fligner and Killeen's test below which cells do not share a spread
STRETCHES = 6  # of a run, to see whether it drifts over minutes
DRIFTS = 0.05  # the p-value of the F test below which the blocks of a pool drift
NOTHING = 1e-9  # a share that is only a rounding error
ROUNDING = 1e-12  # a difference of two logarithms that is only one
STEPS = 60  # of the M-estimate, which changes little after ten
METHOD = "Huber's estimate of logarithms"
BARE = "one unit a cell, no interval"
WEIGHTED = ", disturbed units weighted"
BETWEEN = ", and between runs"


@dataclass(frozen=True)
class Combination:
    """A linear combination of log centres, with its variance and the degrees of freedom of that (Satterthwaite)."""

    value: float
    variance: float
    freedom: float

    def plus(self, known: float) -> Combination:
        """Add a variance that is known, not estimated."""
        if not known or math.isnan(self.variance):
            return self
        variance = self.variance + known
        freedom = self.freedom * (variance / self.variance) ** 2 if self.variance else math.inf
        return Combination(self.value, variance, freedom)

    def half(self, confidence: float = CONFIDENCE) -> float:
        """Return half the width of the interval of `confidence`; NaN where the variance is not known."""
        return t_quantile(self.freedom, confidence) * math.sqrt(self.variance) if self.freedom > 0 else math.nan


@dataclass(frozen=True)
class _Part:
    """Cells that share a spread: their centres, and what each unit moves its own cell's centre by, times its units."""

    cells: Ints
    centres: Floats
    influences: Floats  # of the units of these cells, in their order
    widths: Floats  # of each unit: its usual deviation, in those of an undisturbed unit
    variance: float  # of one undisturbed unit
    freedom: int

    @property
    def half(self) -> float:
        """Half the width of an interval of the mean of all units; infinite where it is not known."""
        if self.freedom < 1:
            return math.inf
        return t_quantile(self.freedom) * math.sqrt(self.variance / float((1 / self.widths**2).sum()))


class Pool:
    """Units of several cells: `values` (positive), and the indices 0, 1, … of the `cells` and `blocks` they are of.

    A unit's logarithm is its cell's centre, plus what its block shares (the drift of the machine), plus a rest. Whether
    cells share a spread is tested, where two of them have OWN_FROM units or more; if not, each such cell has its own,
    and the others share theirs. All units of a run share what makes it another run's time; no unit shows its variance,
    so `between_runs` gives it (0: that of this run alone is wanted). It is no part of ratios and differences.
    `disturbed` tells of each unit whether it is known to have run on a disturbed CPU (None: of none). `ratios`: the
    values are ratios of two units, either of which may be the disturbed one.
    Raises ValueError for values that are not positive, or arrays of different lengths.
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        cells: npt.ArrayLike,
        blocks: npt.ArrayLike,
        between_runs: float = 0.0,
        disturbed: npt.ArrayLike | None = None,
        *,
        ratios: bool = False,
    ) -> None:
        """Estimate the centres, and the variances within and between blocks."""
        self.between_runs = between_runs
        self.values = np.asarray(values, dtype=np.float64)
        self.cells, self.blocks = np.asarray(cells, dtype=np.int64), np.asarray(blocks, dtype=np.int64)
        self.disturbed = (
            np.zeros(len(self.values), bool) if disturbed is None else np.asarray(disturbed, dtype=np.bool_)
        )
        if not len(self.values) == len(self.cells) == len(self.blocks) == len(self.disturbed):
            raise ValueError("each unit has a value, a cell and a block")
        if len(self.values) == 0 or not self.values.min() > 0 or not np.isfinite(self.values).all():
            raise ValueError("logarithms need positive values")
        self.logs = np.log(self.values)
        self.counts = np.bincount(self.cells)
        number = len(self.counts)
        self.centres = np.zeros(number)
        self.influences = np.zeros_like(self.logs)  # of each unit on its cell's centre, by its weight in it
        self.widths = np.ones_like(self.logs)
        self.parts = [self._part(cells, ratios=ratios) for cells in self._shares()]
        for part in self.parts:
            self.centres[part.cells] = part.centres
            chosen = np.isin(self.cells, part.cells)
            self.influences[chosen], self.widths[chosen] = part.influences, part.widths
        self.weights = 1 / self.widths**2
        self.weights /= np.bincount(self.cells, self.weights)[self.cells]
        self.between = self._between()

    @property
    def shared(self) -> bool:
        """Whether all cells share a spread."""
        return len(self.parts) == 1

    def centre(self, cell: int, confidence: float = CONFIDENCE) -> Estimate:
        """Return the centre of a cell's times, in their unit."""
        weights = np.where(self.cells == cell, self.weights, 0.0)
        combined = self.combination(weights, float(self.centres[cell]))
        return self.factor(combined, int(self.counts[cell]), confidence)

    def factor(self, combined: Combination, units: int, confidence: float = CONFIDENCE) -> Estimate:
        """Return what a combination of logarithms is as a time or a factor."""
        half, value = combined.half(confidence), math.exp(combined.value)
        return Estimate(value, value * math.exp(-half), value * math.exp(half), units, self.method(half))

    def method(self, half: float) -> str:
        """Return in words where an interval comes from; `half` is NaN where there is none."""
        if math.isnan(half):
            return BARE
        cells, runs = len(self.counts), BETWEEN if self.between_runs else ""
        weighted = WEIGHTED if bool((self.widths > 1).any()) else ""
        shared = "" if cells == 1 else f", spread of {cells} cells" if self.shared else ", spread by cell"
        return METHOD + weighted + shared + runs

    def combination(self, weights: Floats, value: float) -> Combination:
        """Return what units with these `weights` tell: their influences' weighted sum varies as the result does."""
        pieces: list[tuple[float, float]] = []
        squares = np.bincount(self.cells, (weights * self.widths) ** 2, minlength=len(self.counts))
        for part in self.parts:
            share = float(squares[part.cells].sum())
            if share > 0:
                if part.freedom < 1:
                    return Combination(value, math.nan, 0)
                pieces.append((share * max(part.variance - self.between, 0.0), part.freedom))
        blocks = float((np.bincount(self.blocks, weights) ** 2).sum())
        pieces.append((blocks * self.between, max(len(np.unique(self.blocks)) - 1, 1)))
        variance = sum(piece for piece, _ in pieces)
        if variance > 0:
            freedom = variance**2 / sum(piece**2 / own for piece, own in pieces)
            own = self._with_slow_drift(weights, Combination(value, variance, freedom))
        else:
            own = Combination(value, 0.0, pieces[0][1])
        return own.plus(float(weights.sum()) ** 2 * self.between_runs)

    def _with_slow_drift(self, weights: Floats, combined: Combination) -> Combination:
        """Return the variance between stretches of successive blocks instead, where it is larger (F test).

        Blocks that differ by chance make stretches differ as little as their mean does. A machine whose speed changes
        within minutes makes them differ more, and the result is no better known than by as many values as there are.
        """
        blocks, places = np.unique(self.blocks[weights != 0], return_inverse=True)
        if len(blocks) < 2 * STRETCHES:
            return combined
        stretch = places * STRETCHES // len(blocks)
        sums = np.bincount(stretch, (weights * self.influences)[weights != 0])
        variance, freedom = float((sums**2).sum()) * STRETCHES / (STRETCHES - 1), STRETCHES - 1
        if stats.f.sf(variance / combined.variance, freedom, combined.freedom) >= DRIFTS:
            return combined
        return Combination(combined.value, variance, freedom)

    def ends(self, x: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Fit a straight line through the units, whose cells lie at `x`: one per cell.

        Return the logarithms of the line's values at the smallest and the largest x, and the weight of every unit in
        each (2 by units): with these `combination` gives the variance of what is made of both. The line is fitted to
        logarithms by Huber's loss, which minimises residuals relative to the time; it is positive between its ends.
        """
        positions = np.asarray(x, dtype=np.float64)[self.cells]
        share = (positions - positions.min()) / np.ptp(positions)
        # One scale for all cells: no straight line is quite true, and how cells happen to scatter must not decide which
        # of them it follows.
        variance = np.average([part.variance for part in self.parts], weights=[len(part.cells) for part in self.parts])
        scale: Floats = math.sqrt(max(float(variance), 1e-12)) * self.widths

        def jacobian(ends: Floats) -> Floats:
            low, high = np.exp(ends)
            line = low + (high - low) * share
            return np.stack([low * (1 - share) / line, high * share / line], axis=1) / scale[:, None]

        def residuals(ends: Floats) -> Floats:
            low, high = np.exp(ends)
            return np.asarray((np.log(low + (high - low) * share) - self.logs) / scale)

        first = np.polyfit(share, np.exp(self.centres)[self.cells], 1, w=np.exp(-self.centres)[self.cells])
        least = float(np.exp(self.centres.min())) / 2  # a line that falls below zero is no start
        start = np.log(np.maximum([first[1], first[0] + first[1]], least))
        fitted = optimize.least_squares(
            residuals, start, jacobian, loss="huber", f_scale=HUBER, xtol=1e-12, ftol=1e-12, gtol=1e-12
        )
        slopes = jacobian(fitted.x)
        weights = np.linalg.solve(slopes.T @ slopes, slopes.T) / scale
        return np.asarray(fitted.x), weights

    def _shares(self) -> Sequence[Ints]:
        """Return the cells that share a spread, as lists of their indices."""
        every, quiet = np.arange(len(self.counts)), ~self.disturbed
        counts = np.bincount(self.cells[quiet], minlength=len(every))
        many = every[counts >= OWN_FROM]
        if len(many) < 2:
            return [every]
        samples = [self.logs[quiet & (self.cells == cell)] for cell in many]
        if any(np.ptp(sample) == 0 for sample in samples) or float(stats.fligner(*samples).pvalue) >= UNEQUAL:
            return [every]
        few = every[counts < OWN_FROM]
        return [*([few] if len(few) else []), *(many[index : index + 1] for index in range(len(many)))]

    def _part(self, cells: Ints, *, ratios: bool) -> _Part:
        disturbed = self.disturbed[np.isin(self.cells, cells)]
        weighted = self._estimated(cells, disturbed)
        if ratios and bool((weighted.widths > 1).any()):
            alike = self._estimated(cells, np.zeros_like(disturbed))
            if alike.half < NARROWER * weighted.half:
                return alike
        return weighted

    def _estimated(self, cells: Ints, disturbed: npt.NDArray[np.bool_]) -> _Part:
        chosen = np.isin(self.cells, cells)
        logs, places = self.logs[chosen], np.searchsorted(cells, self.cells[chosen])
        units, number = len(logs), len(cells)
        scale, widths = _scales(logs, places, disturbed)
        centres = np.array([_middle(logs[places == place], widths[places == place]) for place in range(number)])
        if scale == 0:
            return _Part(cells, centres, logs - centres[places], widths, 0.0, units - number)
        scales = scale * widths
        for _ in range(STEPS):
            weights = np.minimum(1.0, HUBER * scales / np.maximum(np.abs(logs - centres[places]), 1e-300)) / widths**2
            centres = np.bincount(places, weights * logs) / np.bincount(places, weights)
        residuals = logs - centres[places]
        # How much undisturbed units vary tell these alone. If nothing weighs less, all are.
        counted = widths == 1
        number, units = len(np.unique(places[counted])), int(counted.sum())
        inside = float(np.mean(np.abs(residuals[counted]) <= HUBER * scale))
        # Huber and Ronchetti, (7.83): the correction for the centres that were estimated from the same units.
        correction = 1 + number / units * (1 - inside) / inside
        influences = np.clip(residuals, -HUBER * scales, HUBER * scales) / inside * correction
        freedom = units - number
        variance = float((influences[counted] ** 2).sum()) / max(freedom, 1)
        return _Part(cells, centres, influences, widths, variance, freedom)

    def _between(self) -> float:
        """Return the variance of what the units of a block share: the mean product of two of them in one block.

        It is 0 unless it is there (F test): taken for drift, noise would narrow the intervals of differences.
        """
        counted = self.widths == 1
        influences, blocks = self.influences[counted], self.blocks[counted]
        members = np.bincount(blocks)
        sums, members = np.bincount(blocks, influences)[members > 0], members[members > 0]
        number, total = len(members), float((influences**2).sum())
        freedom, rest = number - 1, len(influences) - len(np.unique(self.cells[counted])) - number + 1
        products = float((members * (members - 1)).sum())
        if products == 0 or freedom < 1 or rest < 1:
            return 0.0
        explained = float((sums**2 / members).sum())
        residual = total - explained
        if residual <= NOTHING * total:
            return 0.0
        if stats.f.sf(explained / freedom / residual * rest, freedom, rest) >= DRIFTS:
            return 0.0
        # The centres have taken a share of it: 1 of as many as there are blocks.
        shared = float((sums**2).sum() - total) / products * number / freedom
        return min(max(shared, 0.0), max(part.variance for part in self.parts))


def _middle(logs: Floats, widths: Floats) -> float:
    """Return the median of the units of one cell that deviate least."""
    return float(np.median(logs[widths == widths.min()]))


def _scales(logs: Floats, places: Ints, disturbed: npt.NDArray[np.bool_]) -> tuple[float, Floats]:
    """Return the deviation of undisturbed units from their cell, and of each unit how many times that it deviates.

    Disturbed units of a cell deviate by what all of them are usually slower (`shift`), and each by its own part. With
    these widths their mean gets the weight of one value that deviates by both.
    """
    widths = np.ones_like(logs)
    quiet = ~disturbed
    known = np.isin(places, places[quiet])  # units of cells that have undisturbed ones
    compared = disturbed & known
    scale = _scale(logs[quiet], places[quiet]) if quiet.any() else 0.0
    freedom = int(quiet.sum()) - len(np.unique(places[quiet]))
    if compared.sum() < FEWEST_DISTURBED or freedom < LEAST_FREEDOM or scale == 0:
        return _scale(logs, places), widths
    middles = {place: float(np.median(logs[quiet & (places == place)])) for place in np.unique(places[compared])}
    deviations = logs[compared] - np.array([middles[place] for place in places[compared]])
    own = max(float(deviations.var(ddof=1)), scale**2)
    shift = max(float(deviations.mean()) ** 2 - own / len(deviations), 0.0)
    together = np.bincount(places[disturbed], minlength=int(places.max()) + 1)
    widths[disturbed] = np.sqrt(shift * together[places[disturbed]] + own) / scale
    return scale, widths


def _scale(logs: Floats, places: Ints) -> float:
    """Return the deviation of units from their cell, from the median difference of two units of one cell."""
    differences = []
    for place in range(int(places.max()) + 1):
        own = logs[places == place]
        first, second = np.triu_indices(len(own), 1)
        differences.append(np.abs(own[first] - own[second]))
    every = np.concatenate(differences)
    every[every < ROUNDING] = 0.0
    if len(every) == 0:
        return 0.0
    return float(np.median(every)) / NORMAL or float(np.sqrt(np.mean(every**2) / 2))
