"""The report of a user's image: its table, its sentences, its page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bench.model import Temperature
from bench.report import image, image_page
from bench.stats.compared import compared
from bench.store.image import Alike, Copied, Hidden, Inventory, LayerCount, Share, load_inventory, save_inventory
from bench.store.reader import load
from tests.builders import write_run
from tests.pairs import Pairs, rows

if TYPE_CHECKING:
    from pathlib import Path

    from bench.store.reader import Run

MIB = 1 << 20
ODD = "srv/\\xff"  # as image.json has a name that is no UTF-8


def counted() -> Inventory:
    layers = [
        LayerCount(0, "ADD base", "sha256:0", 9 * MIB, added=3, bytes=8 * MIB, inodes=5, hidden=5 * MIB),
        LayerCount(1, "/bin/sh -c chown -R app <srv>", "sha256:1", MIB, replaced=1, bytes=MIB, hides=MIB, copies=1),
        LayerCount(2, "/bin/sh -c rm /big", "sha256:2", 1024, deleted=1, hides=4 * MIB),
    ]
    return Inventory(
        "app:1",
        "docker save",
        "linux/amd64",
        layers,
        notes=["a note"],
        hidden=[Hidden("big", 4 * MIB, 0, 2, "deleted"), Hidden(ODD, MIB, 0, 1, "replaced")],
        copied=[Copied(ODD, MIB, 1, 0, ("owner",))],
        alike=[Alike(10, ((0, "a"), (1, "b")))],
        shares=[Share(0, "", 4 * MIB, 4 * MIB), Share(0, "srv/a", 4 * MIB, MIB), Share(1, "srv", MIB, 0)],
        files=3,
        directories=1,
        bytes=4 * MIB,
    )


def costing(operation: str, layering: str, factor: float, volume: str = "ext4", depth: int = 1, **facts: Any) -> Pairs:
    return Pairs(
        factors=(factor,) * (2 if abs(factor - 1) > 0.1 else 1),
        scenario="image",
        metric=operation,
        a=f"overlay2@{volume}",
        b=f"overlay2@{volume}",
        depth=3,
        depth_b=depth,
        params={"image": "one", "layering": "as built", "operation": operation},
        params_b={"layering": layering},
        **facts,
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    samples, comparisons = rows(
        costing("mount", "squashed", 0.5),
        costing("lookup", "squashed", 0.6, temperature=Temperature.COLD),
        costing("lookup", "squashed", 1.0, temperature=Temperature.NEW),
        costing("lookup", "halved", 1.0, depth=2, temperature=Temperature.NEW),
        costing("lookup", "squashed", 1.3, volume="xfs", pairs=5, temperature=Temperature.NEW),
    )
    directory = write_run(tmp_path / "results" / "image-run", samples, kind="image", comparisons=comparisons)
    save_inventory(counted(), directory)
    return load(directory)


def test_the_table_has_a_row_an_operation_and_volume(run: Run) -> None:
    found = image.costs(run, compared(run))
    against, lines = image.table(found)
    assert against == ["squashed", "halved"]
    assert [(label, volume) for label, volume, *_ in lines] == [
        ("mounting", "ext4"),
        ("a lookup, cold", "ext4"),
        ("a lookup in a new container", "ext4"),
        ("a lookup in a new container", "xfs"),
    ]
    cells = [cells for *_, cells, _ in lines]
    assert cells[0][0].startswith("faster 0.5")
    assert cells[0][1] == "–"
    assert [cell.split()[0] for cell in cells[2]] == ["same", "same"]
    assert re.match(r"not known 1\.\d+×", cells[3][0])  # of five pairs, fewer than a look has
    assert all(re.search(r"\[[\d.]+, [\d.]+\]", plain) for *_, plain in lines)


def test_the_sentences_say_what_was_counted_and_measured_and_no_more(run: Run) -> None:
    sentences = image.advice(counted(), image.costs(run, compared(run)))
    assert sentences[0].startswith(
        "Layer 2 (`rm /big`) hides 4 MiB of layer 0: merged to one, layers 0 to 2 would ship"
    )
    assert (
        "Layer 1 (`chown -R app <srv>`) hides 1 MiB of layer 0, 1 MiB of it unchanged but for metadata" in sentences[1]
    )
    assert [sentence.split(" takes ")[0] for sentence in sentences[2:4]] == [
        "Mounting on ext4",
        "A lookup, cold on ext4",
    ]
    assert sentences[4:] == [
        "The same within 3% squashed: a lookup in a new container on ext4.",
        "The same within 3% halved: a lookup in a new container on ext4.",
    ]


def test_an_image_that_hides_nothing_is_told_so() -> None:
    inventory = Inventory("app", "directory", "", [LayerCount(0, "", "", 1, bytes=1)])
    assert image.advice(inventory, []) == ["No layer hides bytes of another: squashing would ship as much."]


def test_the_inventory_is_read_back_as_it_was(run: Run) -> None:
    assert load_inventory(run.directory) == counted()


def test_the_page_has_what_the_summary_has_and_escapes_names(run: Run, tmp_path: Path) -> None:
    report = image_page.publish(run, tmp_path / "reports")
    text = report.page.read_text()
    assert "chown -R app &lt;srv&gt;" in text
    assert "srv/\\xff" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    charts = json.loads(re.findall(r'id="charts">(.*?)</script>', text, re.DOTALL)[0])
    assert set(charts) == {"icicle", "curve-0", "curve-1", "curve-2"}
    [icicle] = charts["icicle"]["data"]
    sizes = dict(zip(icicle["ids"], icicle["values"], strict=True))
    assert sizes == {"image": 9 * MIB, "0": 8 * MIB, "1": MIB, "0/srv": 4 * MIB, "0/srv/a": 4 * MIB, "1/srv": MIB}
    shares = dict(zip(icicle["ids"], icicle["marker"]["colors"], strict=True))
    assert (shares["image"], shares["0"], shares["0/srv"], shares["1"]) == (0.556, 0.625, 0.25, 0.0)
    document = report.as_json()
    assert json.loads(json.dumps(document))["image"]["hidden_bytes"] == 5 * MIB
    assert [cost["word"] for cost in document["costs"]] == ["faster", "faster", "same", "same", "inconclusive"]
