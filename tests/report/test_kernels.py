"""Runs on several kernels, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.model import WITHOUT_TYPES, Temperature
from bench.report import kernels
from tests.builders import PLACE, make_sample, make_samples, read_back

if TYPE_CHECKING:
    from pathlib import Path

    from bench.store.reader import Run


def run(path: Path, release: str, cost: float, **place: Any) -> Run:
    """A run whose first write of 4 KiB takes so many instructions."""
    cells = [
        {
            "arm": f"overlay2@{volume}",
            "scenario": "copy_up",
            "depth": 8,
            "temperature": Temperature.HOT,
            "params": {"size": 4096, "position": "bottom"},
            "metrics": {"first_write": cost * factor},
        }
        for volume, factor in (("ext4", 2.0), ("xfs", 1.0))
    ]
    return read_back(path, make_samples(cells, blocks=3, noise=0.0005), place={**PLACE, "kernel": release, **place})


def test_each_figure_has_a_value_on_each_kernel_oldest_first(tmp_path: Path) -> None:
    made = kernels.compared(
        [run(tmp_path / "new", "6.12.118+deb13-cloud-amd64", 60_000), run(tmp_path / "old", "5.10.0-46-amd64", 90_000)]
    )
    assert made.kernels == ("5.10.0", "6.12.118")
    assert [(curve.headline.key, str(curve.arm)) for curve in made.curves] == [
        ("first_write_4k", "overlay2@ext4"),
        ("first_write_4k", "overlay2@xfs"),
    ]
    on_xfs = made.as_json()["figures"][1]["values"]
    assert [value["value"] for value in on_xfs] == pytest.approx([90_000, 60_000], rel=0.01)
    assert {figure["unit"] for figure in made.as_json()["figures"]} == {"instructions"}


def test_a_change_is_named_with_the_kernel_in_which_it_came(tmp_path: Path) -> None:
    costs = {"6.1.0": 90_000, "6.12.1": 90_100, "7.2.0": 60_000}
    made = kernels.compared(run(tmp_path / release, release, cost) for release, cost in costs.items())
    texts = [change.text for change in made.changes()]
    assert len(texts) == 2
    assert all("6.12.1 to 7.2.0" in text and "**-33.4 %**" in text for text in texts)
    page = kernels.publish(made, tmp_path / "reports").read_text()
    assert "-33.4 %" in page
    assert page.count('id="curve-first_write_4k"') == 1
    assert all(f'<th scope="col" class="figure">{release}</th>' in page for release in costs)
    lines = list(made.lines())
    assert lines[0].split() == list(costs)
    assert "first write, 4 KiB file, xfs" in lines[2]


def test_runs_of_other_machines_are_refused(tmp_path: Path) -> None:
    runs = [run(tmp_path / "a", "6.1.0", 1000.0), run(tmp_path / "b", "7.2.0", 1000.0, machine="qemu 9")]
    with pytest.raises(BenchError, match="these runs cannot be compared: their machine differs"):
        kernels.compared(runs)


def test_a_run_of_the_host_is_refused(tmp_path: Path) -> None:
    samples = make_samples([{"scenario": "copy_up"}])
    with pytest.raises(BenchError, match="run host was made on no guest"):
        kernels.compared([read_back(tmp_path / "host", samples)])


def judged(path: Path, release: str, **counters: int) -> Run:
    """A run that tried a file system without types in listings."""
    unit = make_sample(
        scenario="types",
        temperature=Temperature.NEW,
        params={"types": WITHOUT_TYPES},
        metrics={"make": 1.0},
        counters={"volume_mounts": 1, "overlay_mounts": 1, "told": 0, **counters},
        expected={},
    )
    return read_back(path, [unit], place={**PLACE, "kernel": release})


def test_verdicts_on_claims_stand_side_by_side(tmp_path: Path) -> None:
    made = kernels.compared(
        [
            judged(tmp_path / "old", "6.1.0", left_in_listings=1, rmdir_fails=1),
            judged(tmp_path / "new", "7.2.0", volume_mounts=0, overlay_mounts=0),
        ]
    )
    [claim] = made.as_json()["claims"]  # the others were tested on neither
    assert (claim["claim"], claim["outcomes"]) == ("C2", ["confirmed", "qualified"])
    assert "does not mount" in claim["findings"][1][0]["evidence"]
    assert "C2: 6.1.0 confirmed, 7.2.0 qualified" in list(made.lines())
    assert any(line.startswith("| C2 | ") and line.endswith("| confirmed | qualified |") for line in made.markdown())
    page = kernels.publish(made, tmp_path / "reports").read_text()
    assert "What the description says, on each kernel" in page
    assert "a deleted name stays in listings" in page
