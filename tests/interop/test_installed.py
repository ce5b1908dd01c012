"""The command of the installed package: all that it needs is in the wheel, and it works anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel of this checkout installs."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"  # a build leaves files beside what it builds
    for name in ("bench", "scenarios"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*build, "--wheel-dir", place, source], capture_output=True, text=True, check=False)
    if "setuptools" in done.stderr:
        pytest.skip("no setuptools here to build a wheel with")
    assert done.returncode == 0, done.stderr
    [wheel] = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def run(site: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what its script `layer-bench` runs, in `directory`."""
    [metadata] = site.glob("*.dist-info/entry_points.txt")
    entries = ConfigParser()
    entries.read(metadata)
    module, _, function = entries["console_scripts"]["layer-bench"].partition(":")
    script = directory / "layer-bench"
    script.write_text(f"from {module} import {function}\n{function}()\n")
    command = [sys.executable, "-P", str(script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_it_says_what_it_is_called(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path, "report", "--help")
    assert done.stdout.startswith("Usage: layer-bench report ")
    assert "\n    layer-bench report\n" in done.stdout
    assert "python -m bench" not in done.stdout
    lost = run(site, tmp_path, "report")
    assert lost.stderr == "bench: no run in results; `layer-bench run` makes one\n"
    assert run(site, tmp_path, "--version").stdout.startswith("bench, version ")


def test_pages_land_in_the_current_directory(site: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / "example").symlink_to(ROOT / "results/example")
    done = run(site, tmp_path, "report", "example")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "page: reports/example.html"
    assert (tmp_path / "reports/example.html").stat().st_size > 1 << 20


def test_the_c_reference_is_in_it(site: Path) -> None:
    assert list(site.glob("bench/scenario/*.c"))
    assert (site / "bench/py.typed").exists()
