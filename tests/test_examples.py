"""The examples in the docs pass the project's lint, and do what they say (those of docs/pytest.md: tests/interop)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.model import Temperature
from bench.store.reader import load
from tests.distributions import write_distribution
from tests.integration.places import require

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Where each example would lie, whose rules it must keep; a user's tests have no annotations.
PLACES: dict[str, list[tuple[str, list[str]]]] = {
    "adding.md": [("scenarios/stat/reading.py", []), ("scenarios/stat/measure.py", [])],
    "pytest.md": 3 * [("tests/test_my_tool.py", ["--extend-ignore=ANN"])],
}
DISTRIBUTION = "layer_bench_example"


def examples() -> dict[str, list[str]]:
    """Return the Python of each page that has some."""
    pages = sorted((*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"))
    found = {page.name: BLOCK.findall(page.read_text(encoding="utf-8")) for page in pages}
    return {name: blocks for name, blocks in found.items() if blocks}


def test_every_example_has_a_place() -> None:
    assert {page: len(blocks) for page, blocks in examples().items()} == {
        page: len(places) for page, places in PLACES.items()
    }


@pytest.mark.parametrize(
    ("place", "ignored", "code"),
    [(*place, code) for page, blocks in examples().items() for place, code in zip(PLACES[page], blocks, strict=True)],
)
def test_an_example_passes_the_projects_lint(place: str, ignored: list[str], code: str) -> None:
    for arguments in (["check", "--quiet", *ignored], ["format", "--check", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *arguments, f"--stdin-filename={place}", "-"]
        done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.root
def test_the_scenario_of_the_guide_is_measured_from_another_project(place: Path, tmp_path: Path) -> None:
    """By an entry point, as somebody else's project brings it; the page knows it as well."""
    require(volume="ext4", driver="overlay2")
    package = tmp_path / "stat_example"
    package.mkdir()
    package.joinpath("__init__.py").touch()
    for (name, _), code in zip(PLACES["adding.md"], examples()["adding.md"], strict=True):
        text = code.replace("from scenarios.stat.", "from stat_example.")
        package.joinpath(Path(name).name).write_text(text, encoding="utf-8")
    write_distribution(tmp_path, DISTRIBUTION, {"layer_bench.scenarios": {"stat": "stat_example"}})
    asked = ("run", "--scenario", "stat", "--volume", "ext4", "--driver", "overlay2", "--depth", "1,3")
    where = ("--workdir", str(place), "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"))
    command = [sys.executable, "-m", "bench", *asked, "--budget", "4s", *where]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [run] = [load(path) for path in (tmp_path / "results").iterdir()]
    assert set(run.units["scenario"]) == {"stat"}
    assert set(run.units["error"]) == {""}
    assert {*zip(run.units["depth"], run.units["temperature"], strict=True)} == {
        (depth, temperature.value) for depth in (1, 3) for temperature in Temperature
    }
    [page] = (tmp_path / "reports").iterdir()
    assert "What does stat of a file of the image cost?" in page.read_text(encoding="utf-8")
