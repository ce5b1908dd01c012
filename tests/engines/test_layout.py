"""Two homes held against each other: what is the same, and what is told of what is not."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.engines.layout import compare, describe, without_init
from bench.layers.content import Directory, File
from tests.host.isolated import isolated

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = [(Directory("d"), File(f"d/{index}", 100)) for index in range(3)]


def home(place: Path) -> tuple[Path, dict[str, str]]:
    stack = discovery.driver("overlay2")().build(place, LAYERS, (3,), 1)
    return stack.home, {identity: f"layer {number}" for number, identity in enumerate(stack.ids)}


def test_two_homes_of_the_same_layers_are_the_same(tmp_path: Path) -> None:
    one, other = (describe(*home(tmp_path / name)) for name in ("one", "other"))
    assert one["layer 2/lower"].endswith("'l/(layer 1):l/(layer 0)'")
    assert one["l/(layer 0)"].endswith("../layer 0/diff")
    assert compare(one, other) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda layer: (layer / "diff" / "d" / "1").write_bytes(b"other"), "layer 1/diff/d/1"),
        (lambda layer: (layer / "diff").chmod(0o700), "layer 1/diff"),
        (lambda layer: (layer / "diff" / "d" / "new").touch(), "layer 1/diff/d/new"),
        (lambda layer: (layer / "work").rmdir(), "layer 1/work"),
        (lambda layer: (layer / "lower").write_text("l/" + "A" * 26), "layer 1/lower"),
        (lambda layer: os.setxattr(layer / "diff", "user.x", b"1"), "layer 1/diff"),
    ],
)
def test_each_difference_is_told(change: object, path: str, place: Path) -> None:
    one = describe(*home(place / "one"))
    other, names = home(place / "other")
    changed = next(name for name, told in names.items() if told == "layer 1")
    change(other / changed)  # type: ignore[operator]
    found = compare(one, describe(other, names))
    assert [line.partition(":")[0] for line in found] == [path]


@pytest.mark.root
def test_a_whiteout_and_its_device_number_are_told(place: Path) -> None:
    def work() -> None:
        path, names = home(place / "home")
        before = describe(path, names)
        top = next(name for name, told in names.items() if told == "layer 2")
        os.mknod(path / top / "diff" / "gone", 0o020000, os.makedev(0, 0))
        [line] = compare(before, describe(path, names))
        assert line == "layer 2/diff/gone: theirs has none, ours c--------- 0:0 0:0"

    isolated(work)


def test_dockers_init_layer_is_left_out_and_nothing_else(tmp_path: Path) -> None:
    path, names = home(tmp_path / "home")
    container = secrets.token_hex(32)
    for name in (container, f"{container}-init"):
        (path / name / "diff").mkdir(parents=True)
        (path / name / "link").write_text(secrets.token_hex(13).upper().translate(str.maketrans("0189", "ABCD")))
    (path / f"{container}-init" / "diff" / "etc").mkdir()
    (path / container / "diff" / "etc-of-ours").mkdir()
    told = without_init(describe(path, {**names, container: "container", f"{container}-init": "init"}))
    assert not any("init" in line for line in told)
    assert "container/diff/etc-of-ours" in told
    assert set(describe(path, names)) - set(told) - {f"{container}-init"}
