"""The page of a user's image: what its layers hold, hide and cost."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import __version__
from bench.model import format_size
from bench.report import image, marks, origin, page
from bench.report.axes import Axis, value_axis
from bench.report.image_json import as_document
from bench.report.palette import OKABE_ITO
from bench.report.product import place
from bench.stats.compared import compared
from bench.store.image import Inventory, load_inventory

if TYPE_CHECKING:
    from bench.report.image import Cost
    from bench.stats.estimate import Estimate
    from bench.store.reader import Run

__all__ = ["ImageReport", "publish"]

PLOT_HEIGHT = 200
ICICLE_HEIGHT = 460
LISTED = 60  # files of a list on the page; image.json has all
COMMAND = 400  # characters of a command
HIDDEN_COLOURS = ((0.0, "#a9bcc9"), (1.0, "#d55e00"))  # by the share that is hidden; readable below dark text


@dataclass(frozen=True)
class ImageReport:
    """The report of a run on an image: its page and its summary."""

    run: Run
    page: Path
    inventory: Inventory
    costs: Sequence[Cost]

    @property
    def lines(self) -> list[str]:
        """The summary for the terminal."""
        return image.lines(self.inventory, self.costs)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {"run": self.run.id, "page": str(self.page), **as_document(self.inventory, self.costs)}


def publish(run: Run, reports: Path) -> ImageReport:
    """Write the page of a run on an image below `reports`; raises BenchError if the run has none."""
    inventory = load_inventory(run.directory)
    found = image.costs(run, compared(run)) if not run.units.empty else []
    target = reports / f"{run.id}.html"
    with place(reports):
        page.write(page.rendered("image.html.j2", _context(run, inventory, found, target)), target)
    return ImageReport(run, target, inventory, found)


def _context(run: Run, inventory: Inventory, found: Sequence[Cost], target: Path) -> Mapping[str, Any]:
    against, rows = image.table(found)
    curves = list(_curves(found))
    charts = {"icicle": _icicle(inventory)} if inventory.shipped else {}
    charts |= {f"curve-{number}": _chart(curve) for number, curve in enumerate(curves)}
    return {
        "run": run,
        "version": __version__,
        "inventory": inventory,
        "size": format_size,
        "machine": origin.machine(run),
        "command": origin.command(run),
        "complete": run.provenance.complete,
        "warnings": [*run.provenance.warnings, *run.warnings],
        "failures": list(image.failures(found)),
        "against": against,
        "operations": [(label, list(own)) for label, own in groupby(rows, key=itemgetter(0))],
        "counted": list(image.counted(inventory)),
        "measured": list(image.measured(found)),
        "facts": list(image.byte_facts(inventory)),
        "curves": [(f"curve-{number}", curve.label) for number, curve in enumerate(curves)],
        "charts": charts,
        "height": PLOT_HEIGHT,
        "icicle_height": ICICLE_HEIGHT,
        "largest": max((layer.bytes for layer in inventory.layers), default=0) or 1,
        "hidden": inventory.hidden[:LISTED],
        "copied": inventory.copied[:LISTED],
        "alike": inventory.alike[:LISTED],
        "short": lambda layer: image.command_of(layer, COMMAND),
        "origin": origin.sheets(run),
        "samples": page.samples(run, target),
        "folds": {},
    }


def _icicle(inventory: Inventory) -> dict[str, Any]:
    """Return the chart of bytes by layer and directory, coloured by the share that layers above hide."""
    own: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # bytes and hidden bytes of a node itself
    labels, parents = {"": html.escape(inventory.name, quote=False)}, {"": ""}
    for share in inventory.shares:
        node = f"{share.layer}"
        labels[node], parents[node] = f"layer {share.layer}", ""
        for part in filter(None, share.path.split("/")):
            parents[f"{node}/{part}"], node = node, f"{node}/{part}"
            labels[node] = html.escape(part, quote=False)
        own[node][0] += share.bytes
        own[node][1] += share.hidden
    total = {node: list(own[node]) for node in labels}
    for node in sorted(labels, key=lambda name: -name.count("/") - (name != "")):
        if node:
            above = total[parents[node]]
            above[0], above[1] = above[0] + total[node][0], above[1] + total[node][1]
    nodes = sorted(labels, key=lambda name: (name.count("/"), name != "", _number(name)))
    shares = [total[node][1] / total[node][0] if total[node][0] else 0.0 for node in nodes]
    sizes = [f"{format_size(total[node][0])}, {format_size(total[node][1])} hidden" for node in nodes]
    return {
        "data": [
            {
                "type": "icicle",
                "ids": [node or "image" for node in nodes],
                "labels": [labels[node] for node in nodes],
                "parents": ["" if not node else parents[node] or "image" for node in nodes],
                "values": [total[node][0] for node in nodes],
                "branchvalues": "total",
                "sort": False,
                "text": sizes,
                "textinfo": "label+text",
                "textfont": {"color": "#111111"},
                "hovertemplate": "%{label}: %{text}<extra></extra>",
                "tiling": {"orientation": "v", "pad": 1},
                "marker": {
                    "colors": [round(share, 3) for share in shares],
                    "colorscale": [list(stop) for stop in HIDDEN_COLOURS],
                    "cmin": 0,
                    "cmax": 1,
                },
                "pathbar": {"visible": False},
            }
        ],
        "layout": {
            "height": ICICLE_HEIGHT,
            "margin": {"t": 4, "l": 0, "r": 0, "b": 4},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "uniformtext": {"minsize": 10, "mode": "hide"},
        },
    }


def _number(node: str) -> tuple[int, str]:
    layer, _, rest = node.partition("/")
    return (int(layer) if layer else -1, rest)


@dataclass(frozen=True)
class _Curve:
    """One operation: for each volume, its time by the number of layers."""

    label: str
    volumes: Mapping[str, Mapping[int, Estimate]]


def _curves(found: Sequence[Cost]) -> Iterator[_Curve]:
    """Yield the operations that were measured with several numbers of layers."""
    for label in dict.fromkeys(cost.label for cost in found):
        volumes: dict[str, dict[int, Estimate]] = defaultdict(dict)
        for cost in found:
            if cost.label == label and cost.answer.times and cost.layering:
                volumes[cost.volume].setdefault(cost.layers[0], cost.answer.times[0])
                volumes[cost.volume][cost.layers[1]] = cost.answer.times[1]
        if any(len(points) > 1 for points in volumes.values()):
            yield _Curve(label, volumes)


def _chart(curve: _Curve) -> dict[str, Any]:
    estimates = [estimate for points in curve.volumes.values() for estimate in points.values()]
    values = [estimate.value for estimate in estimates]
    y = value_axis("", "ns", [0.0, *values], values)
    most = max(layers for points in curve.volumes.values() for layers in points)
    x = Axis("layers", "", 1.0, linear_range=(0, most * 1.06))
    data, ends = [], []
    for (volume, points), colour in zip(sorted(curve.volumes.items()), OKABE_ITO, strict=False):
        ordered = sorted(points.items())
        places = [estimate.value / y.factor for _, estimate in ordered]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": volume,
                "x": [layers for layers, _ in ordered],
                "y": places,
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [_gap(estimate.high, estimate.value) / y.factor for _, estimate in ordered],
                    "arrayminus": [_gap(estimate.value, estimate.low) / y.factor for _, estimate in ordered],
                    "thickness": 1,
                },
                "text": [estimate.text("ns") for _, estimate in ordered],
                "hovertemplate": "%{fullData.name}, %{x} layers: %{text}<extra></extra>",
                "line": {"color": colour},
                "marker": {"color": colour, "size": marks.MARKER_PIXELS},
            }
        )
        ends.append((volume, colour, float(ordered[-1][0]), places[-1]))
    return {"data": data, "layout": marks.layout(x, y, PLOT_HEIGHT) | marks.end_labels(ends, y, PLOT_HEIGHT)}


def _gap(high: float, low: float) -> float:
    """Return the length of a whisker; 0 without an interval."""
    return max(high - low, 0.0) if high == high and low == low else 0.0
