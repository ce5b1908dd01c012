"""The page that puts runs on several kernels side by side: each headline figure against the kernel."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import __version__
from bench.errors import BenchError
from bench.model import Arm
from bench.reading.analysis import Analysis
from bench.reading.claims import Outcome
from bench.reading.headlines import Headline, HeadlineFigure, figures
from bench.reading.verdicts import ClaimVerdict, verdicts
from bench.report import marks, page
from bench.report.axes import Axis, value_axis
from bench.report.palette import OKABE_ITO
from bench.report.product import place, readings_of
from bench.report.summary import foremost
from bench.store.reader import Run
from bench.store.records import Place

__all__ = ["Curve", "KernelChange", "KernelComparison", "compared", "publish"]

WORTH_NAMING = 0.01  # a smaller change between two kernels is in the table only
PLOT_HEIGHT = 190
FOREMOST = 8  # changes that are shown at once


@dataclass(frozen=True)
class KernelChange:
    """A change of a figure from one kernel to the next: `share` is of the earlier value."""

    curve: Curve
    before: HeadlineFigure
    after: HeadlineFigure
    kernels: tuple[str, str]

    @property
    def share(self) -> float:
        """The change as a share: 0.1 is a tenth more."""
        return self.after.estimate.value / self.before.estimate.value - 1

    @property
    def certain(self) -> bool:
        """Whether the intervals, which are the spread between boots, have no value in common."""
        a, b = self.before.estimate, self.after.estimate
        return a.high < b.low or b.high < a.low

    @property
    def text(self) -> str:
        """The change in words."""
        return (
            f"{self.curve.headline.label} on {self.curve.arm.volume}, {self.kernels[0]} to {self.kernels[1]}: "
            f"**{100 * self.share:+.1f} %** ({self.before.text} to {self.after.text})"
        )


@dataclass(frozen=True)
class Curve:
    """A headline figure on one arm, on each kernel in order; None where a kernel has none."""

    headline: Headline
    scenario: str
    arm: Arm
    figures: tuple[HeadlineFigure | None, ...]


@dataclass(frozen=True)
class KernelComparison:
    """Runs on several kernels, oldest first, with the figures that they have in common."""

    runs: tuple[Run, ...]
    kernels: tuple[str, ...]
    curves: tuple[Curve, ...]
    verdicts: tuple[tuple[ClaimVerdict, ...], ...]  # of each claim that was tested on a kernel, by kernel

    def changes(self) -> list[KernelChange]:
        """Return the changes worth naming, largest first."""
        found = [
            KernelChange(curve, before, after, (self.kernels[index], self.kernels[index + 1]))
            for curve in self.curves
            for index, (before, after) in enumerate(zip(curve.figures, curve.figures[1:], strict=False))
            if before is not None and after is not None and before.estimate.value
        ]
        named = [change for change in found if abs(change.share) >= WORTH_NAMING and change.certain]
        return sorted(named, key=lambda change: -abs(change.share))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values: kernels, and for each figure its values on them."""
        return {
            "kernels": [
                {"kernel": place_of(run).kernel, "run": run.id, "origin": place_of(run).origin} for run in self.runs
            ],
            "figures": [
                {
                    "key": curve.headline.key,
                    "label": curve.headline.label,
                    "unit": curve.headline.unit,
                    "arm": str(curve.arm),
                    "values": [
                        {"value": figure.estimate.value, "low": figure.estimate.low, "high": figure.estimate.high}
                        if figure is not None
                        else None
                        for figure in curve.figures
                    ],
                }
                for curve in self.curves
            ],
            "claims": [
                {
                    "claim": row[0].claim.id,
                    "text": row[0].claim.text,
                    "outcomes": [verdict.outcome.value for verdict in row],
                    "findings": [[asdict(finding) for finding in verdict.findings] for verdict in row],
                }
                for row in self.verdicts
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield the table of figures, and the changes worth naming, for a terminal."""
        widths = [max((len(f"{curve.headline.label}, {curve.arm.volume}") for curve in self.curves), default=0)]
        cells = [["–" if figure is None else figure.short for figure in curve.figures] for curve in self.curves]
        widths += [max([len(kernel), *(len(row[index]) for row in cells)]) for index, kernel in enumerate(self.kernels)]
        head = ["", *self.kernels]
        body = [
            [f"{curve.headline.label}, {curve.arm.volume}", *row] for curve, row in zip(self.curves, cells, strict=True)
        ]
        for row in (head, *body):
            yield "   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        changes = self.changes()
        for change in changes[:FOREMOST]:
            yield change.text.replace("**", "")
        if changes[FOREMOST:]:
            yield f"and {len(changes) - FOREMOST} smaller changes, which the page has"
        for judged in self.verdicts:
            words = [f"{kernel} {verdict.outcome.value}" for kernel, verdict in zip(self.kernels, judged, strict=True)]
            yield f"{judged[0].claim.id}: {', '.join(words)}"

    def markdown(self) -> Iterator[str]:
        """Yield the same in Markdown."""
        yield f"| | | {' | '.join(self.kernels)} |"
        yield "|---|---|" + "---|" * len(self.kernels)
        previous = None
        for curve in self.curves:
            label = "" if curve.headline == previous else curve.headline.label
            previous = curve.headline
            cells = [_with_change(*cell) if cell else "–" for cell in _cells(curve)]
            yield f"| {label} | {curve.arm.volume} | {' | '.join(cells)} |"
        yield ""
        for change in self.changes():
            yield f"- {change.text}"
        if self.verdicts:
            yield ""
            yield f"| claim | | {' | '.join(self.kernels)} |"
            yield "|---|---|" + "---|" * len(self.kernels)
        for row in self.verdicts:
            claim = row[0].claim
            yield f"| {claim.id} | {claim.text} | {' | '.join(verdict.outcome.value for verdict in row)} |"


def place_of(run: Run) -> Place:
    """Return the guest of a run; raises BenchError if it was measured on the host itself."""
    if run.provenance.place is None:
        raise BenchError(f"run {run.id} was made on no guest", fix="give runs of `run --kernel` or `kernels`")
    return run.provenance.place


def compared(runs: Iterable[Run]) -> KernelComparison:
    """Put runs side by side; raises BenchError for runs whose figures cannot be compared."""
    ordered = sorted(runs, key=lambda run: _version(place_of(run).kernel))
    for key in ("machine", "clock"):
        if len(kinds := {getattr(place_of(run), key) for run in ordered}) > 1:
            raise BenchError("these runs cannot be compared", why=f"their {key} differs: {'; '.join(sorted(kinds))}")
    by_run: list[dict[tuple[str, Arm], HeadlineFigure]] = []
    for run in ordered:
        readings = readings_of(run)
        made = foremost(figures(Analysis(run.surveyed, readings), readings))
        by_run.append({(figure.headline.key, figure.arm): figure for figure in made})
    keys = dict.fromkeys(key for made in by_run for key in made)
    curves = []
    for name in keys:
        values = tuple(made.get(name) for made in by_run)
        known = next(figure for figure in values if figure is not None)
        curves.append(Curve(known.headline, known.scenario, known.arm, values))
    names = tuple(_kernel(run) for run in ordered)
    return KernelComparison(tuple(ordered), names, tuple(curves), tuple(_verdicts(ordered)))


def _verdicts(runs: Sequence[Run]) -> Iterator[tuple[ClaimVerdict, ...]]:
    """Yield, for each claim that some run tested, its verdict in each run."""
    by_run = [verdicts(Analysis(run.surveyed, readings := readings_of(run)), readings) for run in runs]
    for row in zip(*by_run, strict=True):
        if any(verdict.outcome is not Outcome.UNTESTED for verdict in row):
            yield row


def publish(comparison: KernelComparison, reports: Path) -> Path:
    """Write the page below `reports`; return its path."""
    target = reports / f"{comparison.runs[-1].id.partition('-')[0]}-kernels.html"
    with place(reports):
        return page.write(page.rendered("kernels.html.j2", _context(comparison, target)), target)


def _context(comparison: KernelComparison, target: Path) -> Mapping[str, Any]:
    labels = dict.fromkeys((curve.headline, curve.scenario) for curve in comparison.curves)
    grouped = [
        (headline, scenario, [curve for curve in comparison.curves if curve.headline == headline])
        for headline, scenario in labels
    ]
    charts = {f"curve-{headline.key}": _chart(comparison, curves) for headline, _, curves in grouped}
    return {
        "run": {"id": f"on {', '.join(comparison.kernels)}"},
        "version": __version__,
        "kernels": comparison.kernels,
        "groups": [
            (headline, scenario, [(curve, _cells(curve)) for curve in curves]) for headline, scenario, curves in grouped
        ],
        "claims": [(row[0].claim, list(zip(comparison.kernels, row, strict=True))) for row in comparison.verdicts],
        "signs": {outcome.value: sign for outcome, sign in page.SIGNS.items()},
        "changes": [change.text for change in comparison.changes()],
        "foremost": FOREMOST,
        "worth": WORTH_NAMING,
        "places": [(run, place_of(run), _link(run, target)) for run in comparison.runs],
        "charts": charts,
        "height": PLOT_HEIGHT,
        "folds": {},
        "incomplete": [run.id for run in comparison.runs if not run.provenance.complete],
        "errors": sum(int((run.units["error"] != "").sum()) for run in comparison.runs),
    }


def _cells(curve: Curve) -> list[tuple[str, str, float] | None]:
    """Return per kernel the value, its interval in words, and its change against the kernel before (0: none)."""
    cells: list[tuple[str, str, float] | None] = []
    before: HeadlineFigure | None = None
    for figure in curve.figures:
        if figure is None:
            cells.append(None)
            continue
        share = 0.0
        if before is not None and before.estimate.value:
            change = KernelChange(curve, before, figure, ("", ""))
            share = change.share if change.certain and abs(change.share) >= WORTH_NAMING else 0.0
        cells.append((figure.short, figure.text, share))
        before = figure
    return cells


def _with_change(text: str, _: str, share: float) -> str:
    return f"{text} (**{100 * share:+.1f} %**)" if share else text


def _chart(comparison: KernelComparison, curves: Sequence[Curve]) -> dict[str, Any]:
    """Return one chart of a figure: a line a volume, labelled at its end."""
    values = [figure.estimate.value for curve in curves for figure in curve.figures if figure is not None]
    unit = curves[0].headline.unit
    y = value_axis("", unit, [0.0, *values], values)
    count = len(comparison.kernels)
    x = Axis("", "", 1.0, linear_range=(-0.2, count - 0.8))
    data, ends = [], []
    for curve, colour in zip(curves, OKABE_ITO, strict=False):
        points = [(index, figure) for index, figure in enumerate(curve.figures) if figure is not None]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": html.escape(curve.arm.volume, quote=False),
                "x": [index for index, _ in points],
                "y": [figure.estimate.value / y.factor for _, figure in points],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [(figure.estimate.high - figure.estimate.value) / y.factor for _, figure in points],
                    "arrayminus": [(figure.estimate.value - figure.estimate.low) / y.factor for _, figure in points],
                    "thickness": 1,
                },
                "text": [figure.text for _, figure in points],
                "hovertemplate": "%{fullData.name}: %{text}<extra></extra>",
                "line": {"color": colour},
                "marker": {"color": colour, "size": marks.MARKER_PIXELS},
            }
        )
        ends.append((curve.arm.volume, colour, float(points[-1][0]), points[-1][1].estimate.value / y.factor))
    layout = marks.layout(x, y, PLOT_HEIGHT) | marks.end_labels(ends, y, PLOT_HEIGHT)
    layout["xaxis"] |= {"tickvals": list(range(count)), "ticktext": list(comparison.kernels)}
    return {"data": data, "layout": layout}


def _kernel(run: Run) -> str:
    """Return the short name of a run's kernel: its version without the distribution's additions."""
    return ".".join(str(number) for number in _version(place_of(run).kernel)[:3])


def _version(release: str) -> tuple[int, ...]:
    version = release.partition("-")[0].partition("+")[0]
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _link(run: Run, target: Path) -> str:
    return Path(os.path.relpath(run.directory, target.parent), run.samples.name).as_posix()
