"""Charts of the self-test: the rate of detection against the effect, and that of all tools against the time taken."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from bench.report import marks
from bench.report.axes import Axis
from bench.report.figures import Chart, Panel
from bench.report.palette import GREY, OKABE_ITO, ArmStyle
from bench.selftest import WORK
from bench.selftest.peers import Tool
from bench.selftest.rates import CONFIDENCE, POWER, interval, rate
from bench.selftest.results import Streamed, Trusted

__all__ = ["power_figure", "tools_figure"]

# Of the operations of one chart, by their place.
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "cross", "star", "hexagon", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
HEIGHT = 340
LEGEND = {"orientation": "h", "y": -0.22, "x": 0, "yanchor": "top"}
LEGEND_PIXELS = 90
SHARES = Axis("called slower", "% of trials", 0.01, linear_range=(-4.0, 104.0))
SOURCE = "the streams of run.json, cut into comparisons in the order measured"


def power_figure(results: Trusted) -> Chart | None:
    """Return a chart of how often B was called slower against its slowdown in the long run, one panel per volume."""
    panels = []
    operations = list(dict.fromkeys(_split(stream.label)[0] for stream in results.streams))
    for volume in dict.fromkeys(_split(stream.label)[1] for stream in results.streams):
        on_volume = [stream for stream in results.streams if _split(stream.label)[1] == volume and stream.trials]
        x = Axis("B slower by, in the long run", "%", 0.01)
        data = []
        for position, operation in enumerate(operations):
            style = _style(position)
            timed = [stream for stream in on_volume if _split(stream.label)[0] == operation]
            for real in (False, True):
                streams = [stream for stream in timed if (stream.kind == WORK) == real]
                if streams:
                    data.append(_power_trace(operation, streams, style, x, real=real))
        if data:
            panels.append(Panel(volume, data, _layout(x, SHARES, POWER), HEIGHT + LEGEND_PIXELS))
    notes = (
        f"The dotted line is {POWER:.0%}. Whiskers are exact {CONFIDENCE:.0%} intervals of the share. Open marks: B "
        "does more work; others: a delay, and at 0 equal arms, whose comparisons are cut by the longest procedure.",
    )
    return Chart("Found, against how much slower", tuple(panels), SOURCE, notes, id="power") if panels else None


def tools_figure(tools: Sequence[Tool]) -> Chart | None:
    """Return a chart of how often each tool called B slower against the time of a verdict, one panel per operation."""
    panels = []
    names = list(dict.fromkeys(tool.name for tool in tools))
    shares = sorted({share for tool in tools for share in tool.rates if share})
    for label in dict.fromkeys(tool.label for tool in tools):
        label_tools = [tool for tool in tools if tool.label == label]
        x = _seconds_axis([tool.seconds for tool in label_tools])
        data = []
        for position, name in enumerate(names):
            for share in (0.0, *shares[:1]):
                named = [tool for tool in label_tools if tool.name == name and share in tool.rates]
                if named:
                    data.append(_tool_trace(name, named, share, _style(position), x))
        panels.append(Panel(label, data, _layout(x, SHARES, POWER), HEIGHT + LEGEND_PIXELS))
    if not panels or not shares:
        return None
    notes = (
        f"Filled marks: B is {shares[0]:.0%} slower, and the higher the better. Open marks: equal arms, and the lower "
        f"the better. Left is sooner. Whiskers are exact {CONFIDENCE:.0%} intervals of the share.",
    )
    return Chart("What each tool says, against how long it takes", tuple(panels), SOURCE, notes, id="tools")


def _power_trace(name: str, streams: Sequence[Streamed], style: ArmStyle, x: Axis, *, real: bool) -> dict[str, Any]:
    points = []
    for stream in sorted(streams, key=lambda stream: stream.long_run.value):
        slower = rate(stream.comparable)
        words = f"{stream.share:.0%} {stream.kind}, {stream.long_run.text('×')} in the long run"
        points.append((x.place(stream.long_run.value - 1), slower.count, slower.trials, words))
    return _trace(f"{name}, more work" if real else name, points, style, hollow=real, line=not real)


def _tool_trace(name: str, tools: Sequence[Tool], share: float, style: ArmStyle, x: Axis) -> dict[str, Any]:
    points = [
        (
            x.place(tool.seconds),
            tool.rates[share].count,
            tool.rates[share].trials,
            f"{f'{share:.0%} slower' if share else 'equal arms'}, {tool.size or 'as many as it takes'} units a side",
        )
        for tool in tools
    ]
    return _trace(name, points, style, hollow=not share, line=True)


def _trace(
    name: str, points: Iterable[tuple[float | None, int, int, str]], style: ArmStyle, *, hollow: bool, line: bool
) -> dict[str, Any]:
    drawn = [(place, count, trials, words) for place, count, trials, words in points if trials and place is not None]
    rates = [100 * count / trials for _, count, trials, _ in drawn]
    ranges = [interval(count, trials) for _, count, trials, _ in drawn]
    marker = marks.marker(style)
    return {
        "type": "scatter",
        "mode": "lines+markers" if line else "markers",
        "name": html.escape(name),
        "legendgroup": name,
        "showlegend": not hollow,
        "meta": {"driver": "", "stack": name, "volume": ""},
        "x": [place for place, *_ in drawn],
        "y": rates,
        "customdata": [[html.escape(words), f"{count} of {trials}"] for _, count, trials, words in drawn],
        "hovertemplate": "<b>%{fullData.name}</b><br>%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
        "marker": marker | {"symbol": f"{style.symbol}-open" if hollow else style.symbol},
        "line": {"color": style.colour, "width": 1.2, "dash": style.dash},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * high - rate for (_, high), rate in zip(ranges, rates, strict=True)],
            "arrayminus": [rate - 100 * low for (low, _), rate in zip(ranges, rates, strict=True)],
            "thickness": 1.2,
            "width": 3,
            "color": marks.faint(style.colour),
        },
    }


def _layout(x: Axis, y: Axis, line: float) -> dict[str, Any]:
    layout = marks.layout(x, y, HEIGHT + LEGEND_PIXELS)
    bound: dict[str, Any] = {"type": "line", "line": {"width": 1, "dash": "dot", "color": GREY}}
    layout["shapes"] = [bound | {"x0": 0, "x1": 1, "xref": "paper", "y0": 100 * line, "y1": 100 * line}]
    return layout | {"showlegend": True, "legend": LEGEND}


def _seconds_axis(values: Sequence[float]) -> Axis:
    positive = [value for value in values if math.isfinite(value) and value > 0]
    reach = (math.log10(min(positive) / 1.5), math.log10(max(positive) * 1.5)) if positive else None
    return Axis("time of a verdict", "s", log=True, log_range=reach)


def _style(position: int) -> ArmStyle:
    colour = position % len(OKABE_ITO)
    return ArmStyle(OKABE_ITO[colour], SYMBOLS[position % len(SYMBOLS)], DASHES[position % len(DASHES)])


def _split(label: str) -> tuple[str, str]:
    operation, _, volume = label.rpartition(", ")
    return operation, volume
