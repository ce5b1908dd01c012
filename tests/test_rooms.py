"""Every room has its place in the list of rooms that lint-imports checks (pyproject.toml); tests stand alone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 350


def test_every_room_is_in_the_list() -> None:
    """A room that the list lacks might import anything."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [layers] = [contract["layers"] for contract in settings["contracts"] if contract["id"] == "rooms"]
    listed = {name.strip() for layer in layers for name in layer.split("|")}
    inside = [path for path in (ROOT / "bench").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    rooms = {f"bench.{path.stem}" for path in inside if path.stem != "__init__"}
    assert listed == {*rooms, "scenarios"}


def test_no_two_classes_share_a_name() -> None:
    """One name, one meaning; names of one module's own begin with an underscore."""
    places: dict[str, list[str]] = {}
    for path in (*(ROOT / "bench").rglob("*.py"), *(ROOT / "scenarios").rglob("*.py")):
        for name in re.findall(r"^class ([A-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not {name: found for name, found in places.items() if len(found) > 1}


@pytest.mark.parametrize("room", ["bench", "scenarios"])
def test_no_file_is_long(room: str) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / room).rglob("*.py")}
    assert not {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > MOST_LINES}


def test_no_module_of_tests_imports_another() -> None:
    """What two of them use is a module that has no tests."""
    imported = re.compile(r"^\s*(?:from|import) tests\S*\.test_|^\s*from tests\S* import .*\btest_", re.MULTILINE)
    assert not [path.name for path in (ROOT / "tests").rglob("*.py") if imported.search(path.read_text("utf-8"))]
