"""Headline figures: made of cells, laws, ratios and counters, said in words, and valid against their schema."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from bench import discovery
from bench.model import Arm, Cell, Temperature, volume_order
from bench.reading.analysis import Analysis
from bench.reading.headlines import HeadlineFigure, figures
from bench.report.product import publish
from bench.report.summary import disturbed
from bench.store.reader import load
from tests.builders import PLACE, make_sample, read_back
from tests.report.conftest import SMALL

if TYPE_CHECKING:
    from bench.reading.contract import Reading
    from bench.store.reader import Run

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/headlines.schema.json").read_text(encoding="utf-8"))
OVERLAY2 = Arm.parse("overlay2@ext4")


@pytest.fixture(scope="module")
def made(run: Run, known: dict[str, Reading]) -> dict[tuple[str, str], HeadlineFigure]:
    analysis = Analysis(run, known)
    return {(figure.headline.key, str(figure.arm)): figure for figure in figures(analysis, known)}


def test_each_is_made_of_what_it_says(run: Run, known: dict[str, Reading], made: dict[Any, HeadlineFigure]) -> None:
    analysis = Analysis(run, known)
    arms = {str(arm) for arm in analysis.arms("sweep")} - {"native@ext4"}
    assert set(made) == {(key, arm) for key in ("mib", "small", "ratio", "written") for arm in arms if arm or key} - {
        ("ratio", "overlay2@xfs")  # there is no native on xfs
    }
    law = analysis.law("sweep", "time", "size", OVERLAY2, temperature="hot")
    assert law is not None
    assert made["mib", "overlay2@ext4"].estimate == law.line.slope.scaled(law.law.per)
    assert made["small", "overlay2@ext4"].estimate == analysis.cell("sweep", OVERLAY2, "time", **SMALL)
    assert made["ratio", "overlay2@ext4"].estimate == analysis.ratio("sweep", OVERLAY2, "time", **SMALL)
    assert made["written", "overlay2@ext4"].estimate.value == 1 << 20


def test_how_precise_it_is(made: dict[Any, HeadlineFigure]) -> None:
    small = made["small", "overlay2@ext4"]
    assert small.precision == small.estimate.relative_half_width
    assert (made["written", "overlay2@ext4"].precision, made["written", "overlay2@ext4"].exact) == (0, True)
    # On xfs the size changes nothing: a share of the slope would say nothing, a share of the time does.
    flat = made["mib", "overlay2@xfs"]
    assert flat.estimate.relative_half_width > 0.5
    assert flat.precision < 0.1


def test_in_words(made: dict[Any, HeadlineFigure]) -> None:
    mib = made["mib", "overlay2@xfs"]
    for low, high, words in ((-1.0, 3.0, "below 3.00 ns"), (-3.0, 1.0, "below 1.00 ns"), (-2.0, 0.0, "none")):
        wide = replace(mib.estimate, value=(low + high) / 2, low=low, high=high)
        assert replace(mib, estimate=wide).short == words
    assert made["written", "overlay2@ext4"].short == "1.00 MiB"
    small = made["small", "overlay2@ext4"]
    assert small.short == f"{small.text.partition(' [')[0]} ±{100 * small.precision:.2g} %"
    lone = replace(small, estimate=replace(small.estimate, low=math.nan, high=math.nan))
    assert lone.short.endswith(" (one unit)")


def test_the_summary_says_how_many_units_were_on_a_disturbed_cpu(tmp_path: Path) -> None:
    before, after, undisturbed = ((1.2, 1.0), (1.0, 1.06), (1.04, 1.05))
    paces = [{"slowness": one, "slowness_after": other} for one, other in (before, after, undisturbed)]
    samples = [make_sample(number, pace=pace) for number, pace in enumerate(paces)]
    assert "2 of 3 units" in disturbed(read_back(tmp_path / "looked", [*samples, make_sample(3)]))
    assert disturbed(read_back(tmp_path / "counted", samples, place=PLACE)) == ""
    assert disturbed(read_back(tmp_path / "before-it-was-recorded", [make_sample()])) == ""


def test_which_cells_it_needs(known: dict[str, Reading]) -> None:
    reading = known["sweep"]
    mib, small, ratio, _ = reading.headlines

    def cell(arm: str, size: int, temperature: Temperature = Temperature.HOT) -> Cell:
        return Cell("sweep", Arm.parse(arm), 8, temperature, (("size", size),))

    assert mib.source.uses(reading, OVERLAY2, cell("overlay2@ext4", 1 << 20))
    assert not mib.source.uses(reading, OVERLAY2, cell("overlay2@ext4", 1 << 20, Temperature.COLD))
    assert not mib.source.uses(reading, OVERLAY2, cell("native@ext4", 1 << 20))
    assert [small.source.uses(reading, OVERLAY2, cell("overlay2@ext4", size)) for size in (0, 4096)] == [False, True]
    assert ratio.source.uses(reading, OVERLAY2, cell("native@ext4", 4096))
    assert not ratio.source.uses(reading, OVERLAY2, cell("native@xfs", 4096))


def test_they_are_valid_against_their_schema(tmp_path: Path) -> None:
    """Those of the example, in headlines.json and in what --json prints."""
    directory = tmp_path / "example"
    directory.mkdir()
    for name in ("run.json", "samples.jsonl"):
        (directory / name).write_bytes((ROOT / "results/example" / name).read_bytes())
    product = publish(load(directory), tmp_path, suites=True)
    document = json.loads((directory / "headlines.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, SCHEMA)
    assert document["headlines"] == json.loads(json.dumps(product.as_json()["headlines"]))
    assert len(document["headlines"]) > 10
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "schema": 2}, SCHEMA)


def test_keys_are_unique_and_laws_are_there() -> None:
    readings = discovery.readings()
    keys = [headline.key for reading in readings.values() for headline in reading.headlines]
    assert len(keys) == len(set(keys)) > 10
    for reading in readings.values():
        for headline in (*reading.headlines, *reading.costs):
            assert 2 <= len(headline.label.split()) <= 7 or headline in reading.costs
            source: Any = headline.source
            assert source.name in {metric.name for metric in reading.metrics} or "Count" in type(source).__name__
            if "Slope" in type(source).__name__:
                assert source.law(reading).metric == source.name


def test_ext4_and_xfs_come_first() -> None:
    assert sorted(["btrfs", "dir", "ext4", "xfs", "ext4,mkfs=-I 512", "xfs-noreflink"], key=volume_order) == [
        *("ext4", "ext4,mkfs=-I 512", "xfs", "xfs-noreflink", "btrfs", "dir"),
    ]


def test_a_reading_of_another_clock_has_its_unit() -> None:
    """Times become instructions; ratios, counts and throughput stay what they are."""
    for reading in discovery.readings().values():
        counted = reading.timed_in("instructions")
        pairs: list[tuple[Any, Any]] = [*zip(reading.metrics, counted.metrics, strict=True)]
        pairs += zip(reading.headlines, counted.headlines, strict=True)
        for own, other in pairs:
            assert other.unit == ("instructions" if own.unit == "ns" else own.unit)
        assert (counted.laws, counted.name) == (reading.laws, reading.name)
