"""Charts come from a scenario's own words, have units, and are figures that plotly accepts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import pytest

from bench.reading.analysis import Analysis
from bench.report.axes import value_axis
from bench.report.counted import counter_figure
from bench.report.dots import headline_figure, metrics_figure
from bench.report.figures import Chart, law_figures
from bench.report.marks import MOST_STACKS, end_labels, foremost
from bench.report.palette import Palette
from tests.report.conftest import ARMS, SIZES

if TYPE_CHECKING:
    from bench.reading.contract import Reading
    from bench.store.reader import Run


@pytest.fixture(scope="module")
def analysis(run: Run, known: dict[str, Reading]) -> Analysis:
    return Analysis(run, known)


@pytest.fixture(scope="module")
def laws(analysis: Analysis, known: dict[str, Reading]) -> list[Chart]:
    return law_figures(analysis, known["sweep"], Palette(ARMS))


def test_laws_that_differ_by_temperature_share_a_figure(laws: list[Chart]) -> None:
    assert [figure.title for figure in laws] == ["the whole time against size"]
    assert [panel.title for panel in laws[0].panels] == ["ext4, hot", "ext4, cold", "xfs, hot", "xfs, cold"]


def test_every_arm_has_its_points_and_its_line(laws: list[Chart]) -> None:
    traces = [trace for panel in laws[0].panels[::2] for trace in panel.data]
    points = [trace for trace in traces if trace["mode"] == "markers"]
    assert [len(trace["x"]) for trace in points] == [len(SIZES)] * len(ARMS)
    assert all(len(trace["error_y"]["array"]) == len(SIZES) for trace in points)
    lines = [trace for trace in traces if trace["mode"] == "lines"]
    assert len(lines) == len(ARMS)
    assert all("per MiB" in trace["text"] and "R²" in trace["text"] for trace in lines)


def test_a_line_that_ends_early_is_explained(run: Run, known: dict[str, Reading], laws: list[Chart]) -> None:
    """The cells beyond it are shown."""
    reading = replace(known["sweep"], laws=tuple(replace(law, up_to=float(1 << 20)) for law in known["sweep"].laws))
    [chart] = law_figures(Analysis(run, {"sweep": reading}), reading, Palette(ARMS))
    note = "Lines end at size = 1 MiB; beyond that the times leave them."
    assert note in chart.notes
    assert note not in laws[0].notes
    ends = {trace["mode"]: max(x for x in trace["x"] if x is not None) for trace in chart.panels[0].data}
    assert ends == pytest.approx({"markers": SIZES[-1], "lines": 1 << 20}, rel=1e-4)


def test_a_point_says_what_it_is(laws: list[Chart]) -> None:
    trace = next(trace for trace in laws[0].panels[0].data if trace["mode"] == "markers")
    cell, value, units, calls, spread, far = trace["customdata"][1]
    assert cell == "depth 8, hot, size 4 KiB"
    assert "µs [" in value
    assert (units, calls) == ("8", "8")
    assert "…" in spread
    assert far.isdigit()
    assert "n = " in trace["hovertemplate"]
    assert trace["name"] == "native@ext4"


def test_zero_is_shown_and_explained(laws: list[Chart]) -> None:
    layout = laws[0].panels[0].layout
    assert layout["xaxis"]["type"] == "log"
    assert "0 B" in layout["xaxis"]["ticktext"]
    assert any("Zero stands apart" in note for note in laws[0].notes)


def test_sources_name_scenario_metric_and_units(laws: list[Chart]) -> None:
    units = 2 * len(SIZES) * len(ARMS) * 8
    assert laws[0].source == f"scenario = sweep, metrics.time; n = {units:,}"


def test_counters_that_follow_the_sweep_have_a_panel(analysis: Analysis, known: dict[str, Reading]) -> None:
    figure = counter_figure(analysis, known["sweep"], Palette(ARMS))
    assert figure is not None
    assert [panel.title for panel in figure.panels] == ["written bytes, ext4", "written bytes, xfs"]
    assert counter_figure(analysis, known["single"], Palette(ARMS)) is None


def test_without_a_law_there_are_dots_with_intervals(analysis: Analysis, known: dict[str, Reading]) -> None:
    figure = headline_figure(analysis, known["single"], Palette(ARMS))
    assert figure is not None
    assert [trace["name"] for panel in figure.panels for trace in panel.data] == list(ARMS)
    assert all("error_x" in trace for panel in figure.panels for trace in panel.data)


def test_every_chart_has_units_and_is_valid(analysis: Analysis, known: dict[str, Reading], laws: list[Chart]) -> None:
    palette = Palette(ARMS)
    others = [
        counter_figure(analysis, known["sweep"], palette),
        metrics_figure(analysis, known["sweep"], palette),
        headline_figure(analysis, known["single"], palette),
    ]
    for figure in [*laws, *(other for other in others if other)]:
        for panel in figure.panels:
            go.Figure({"data": panel.data, "layout": panel.layout})
            axes = [panel.layout[name] for name in ("xaxis", "yaxis")]
            titles = [axis["title"]["text"] for axis in axes if "title" in axis]
            ticks = [text for axis in axes for text in axis.get("ticktext", [])]
            assert any(unit in f" {told}" for told in [*titles, *ticks] for unit in ("ns", "µs", "ms", "KiB", "MiB"))


def test_every_mark_has_its_name_beside_it(analysis: Analysis, known: dict[str, Reading], laws: list[Chart]) -> None:
    """At the end of a line, or at the left of a row; there is no legend, and at most seven colours."""
    palette = Palette(ARMS)
    counted, dots = counter_figure(analysis, known["sweep"], palette), metrics_figure(analysis, known["sweep"], palette)
    assert counted is not None
    assert dots is not None
    for panel in [panel for chart in [*laws, counted] for panel in chart.panels]:
        stacks = {trace["meta"]["stack"] for trace in panel.data}
        assert {note["text"] for note in panel.layout["annotations"]} == stacks
        assert panel.layout["showlegend"] is False
        assert len(stacks) <= MOST_STACKS
    for panel in dots.panels:
        rows = dict(zip(panel.layout["yaxis"]["tickvals"], panel.layout["yaxis"]["ticktext"], strict=True))
        for trace in panel.data:
            assert {rows[height] for height in trace["y"]} == {trace["meta"]["stack"]}


def test_labels_at_the_ends_of_lines_do_not_cover_each_other() -> None:
    axis = value_axis("", "ns", [0.0, 100.0])
    part = end_labels(
        [("a", "red", 1, 50.0), ("b", "red", 1, 50.0), ("c", "red", 1, 49.0), ("d", "red", 1, 1.0)], axis, 260
    )
    low, high = axis.linear_range or (0.0, 0.0)
    plot = 260 - 8 - 44
    heights = sorted((note["y"] - low) / (high - low) * plot + note["yshift"] for note in part["annotations"])
    assert all(after - before >= 12.9 for before, after in pairwise(heights))


def test_of_many_drivers_a_chart_shows_native_the_subject_and_five_more() -> None:
    stacks = ["vfs", "btrfs", "zfs", "overlay", "fuse-overlayfs", "unionfs-fuse", "mergerfs", "overlay2", "native"]
    shown = foremost(stacks, "overlay2")
    assert shown[:2] == ["native", "overlay2"]
    assert len(shown) == MOST_STACKS


def test_text_in_charts_is_escaped(known: dict[str, Reading]) -> None:
    from bench.report.marks import _trace

    assert "<b>" not in _trace("<b>@ext4")["name"]
