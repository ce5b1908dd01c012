"""The examples in the docs pass the project's lint, and do what they say (those of docs/pytest.md: tests/interop)."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.measure.plan import Request, make
from bench.model import Temperature
from tests.host.isolated import isolated
from tests.integration.places import require
from tests.scenarios.test_scenarios import one_block

if TYPE_CHECKING:
    from bench.measure.scenario import Scenario

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Where the example would lie, whose rules it must keep; a user's tests have no annotations.
PLACES = {"adding.md": ("scenarios/stat.py", []), "pytest.md": ("tests/test_my_tool.py", ["--extend-ignore=ANN"])}


def examples() -> list[tuple[str, str]]:
    """Return the Python of each page: (page, code)."""
    pages = sorted((*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"))
    return [(page.name, code) for page in pages for code in BLOCK.findall(page.read_text(encoding="utf-8"))]


def test_every_page_with_python_is_known() -> None:
    assert {page for page, _ in examples()} == PLACES.keys()


@pytest.mark.parametrize(("page", "code"), examples(), ids=[page for page, _ in examples()])
def test_an_example_passes_the_projects_lint(page: str, code: str) -> None:
    place, ignored = PLACES[page]
    for arguments in (["check", "--quiet", *ignored], ["format", "--check", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *arguments, f"--stdin-filename={place}", "-"]
        done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def example_of_a_scenario(directory: Path) -> Scenario:
    """Return the scenario that docs/adding.md adds."""
    [code] = [code for page, code in examples() if page == "adding.md"]
    path = directory / "stat_example.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("stat_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scenario: Scenario = module.SCENARIO
    return scenario


@pytest.mark.root
def test_the_scenario_of_the_guide_is_measured(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(volume="ext4", driver="overlay2")
    scenario = example_of_a_scenario(tmp_path)
    known = {**discovery.scenarios(), scenario.name: scenario}
    monkeypatch.setattr(discovery, "scenarios", lambda: known)
    request = Request(scenarios=(scenario.name,), volumes=("ext4",), drivers=("overlay2",), depths=(1, 3))

    def work() -> None:
        block = one_block(make(request), place)
        block.check()
        assert {(sample.depth, sample.temperature) for sample in block.samples} == {
            (depth, temperature) for depth in (1, 3) for temperature in Temperature
        }
        assert all(sample.metrics["stat"] > 0 for sample in block.samples)

    isolated(work)
