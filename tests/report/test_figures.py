"""Charts come from a scenario's own words, have units, and are figures that plotly accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
import pytest

from bench.reading.analysis import Analysis
from bench.report.counted import counter_figure
from bench.report.dots import headline_figure, metrics_figure
from bench.report.figures import Chart, law_figures
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
    assert [panel.title for panel in laws[0].panels] == ["hot", "cold"]
    assert laws[0].arms == ("native@ext4", "overlay2,metacopy=on@ext4", "overlay2@ext4", "overlay2@xfs")


def test_every_arm_has_its_points_and_its_line(laws: list[Chart]) -> None:
    traces = laws[0].panels[0].data
    points = [trace for trace in traces if trace["mode"] == "markers"]
    assert [len(trace["x"]) for trace in points] == [len(SIZES)] * len(ARMS)
    assert all(len(trace["error_y"]["array"]) == len(SIZES) for trace in points)
    lines = [trace for trace in traces if trace["mode"] == "lines"]
    assert len(lines) == len(ARMS)
    assert all("per MiB" in trace["text"] and "R²" in trace["text"] for trace in lines)


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
    assert [panel.title for panel in figure.panels] == ["written bytes"]
    assert counter_figure(analysis, known["single"], Palette(ARMS)) is None


def test_without_a_law_there_are_dots_with_intervals(analysis: Analysis, known: dict[str, Reading]) -> None:
    figure = headline_figure(analysis, known["single"], Palette(ARMS))
    assert figure is not None
    assert [trace["name"] for trace in figure.panels[0].data] == list(figure.arms)
    assert all("error_x" in trace for trace in figure.panels[0].data)


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


def test_text_in_charts_is_escaped(known: dict[str, Reading]) -> None:
    from bench.report.marks import _trace

    assert "<b>" not in _trace("<b>@ext4")["name"]
