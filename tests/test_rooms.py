"""Every room has its place in the list of rooms that lint-imports checks (pyproject.toml)."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_room_is_in_the_list() -> None:
    """A room that the list lacks might import anything."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [layers] = [contract["layers"] for contract in settings["contracts"] if contract["id"] == "rooms"]
    listed = {name.strip() for layer in layers for name in layer.split("|")}
    inside = [path for path in (ROOT / "bench").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    rooms = {f"bench.{path.stem}" for path in inside if path.stem != "__init__"}
    assert listed == {*rooms, "scenarios"}
