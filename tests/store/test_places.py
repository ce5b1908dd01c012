"""Which runs measured a driver, as the runs of a directory tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.store.places import measured
from tests.builders import PLACE, make_sample, write_run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_driver_was_measured_where_a_unit_of_it_has_no_error(tmp_path: Path) -> None:
    write_run(tmp_path / "here", [make_sample(0), make_sample(1, "vfs@ext4", error="OSError: no", metrics={})])
    guest = [make_sample(0, "devicemapper@thin-ext4"), make_sample(1, "overlay2,metacopy=on@ext4")]
    write_run(tmp_path / "there", guest, place=PLACE)
    found = measured(tmp_path)
    assert {name: [(run.run, run.guest) for run in runs] for name, runs in found.items()} == {
        "overlay2": [("here", False), ("there", True)],
        "devicemapper": [("there", True)],
    }


def test_a_run_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "good", [make_sample(0)])
    for name, content in (("cut", "{"), ("other", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    assert set(measured(tmp_path)) == {"overlay2"}
    assert measured(tmp_path / "nothing") == {}
