"""What is a difference and what is a declared one, on two plain directories of which one is tampered with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.drivers.base import Difference
from bench.oracle.contents import Append, Create
from bench.oracle.entries import MakeDirectory, Rename, Unlink
from bench.oracle.operations import Look
from bench.oracle.replay import TREE_EVERY, compare
from tests.oracle.shrink import shrunk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    pair = tmp_path / "shown", tmp_path / "plain"
    for path in pair:
        path.mkdir()
        (path / "file").write_bytes(b"same")
    return pair


def test_the_same_is_no_difference(places: tuple[Path, Path]) -> None:
    told = compare([Create("a", 0o600), Unlink("nothing"), Append("file", b"x"), Look("file")], *places)
    assert (told.operations, told.mismatch, dict(told.declared)) == (4, None, {})


def test_another_error_is_one_and_nothing_is_done_after_it(places: tuple[Path, Path]) -> None:
    (places[0] / "a").touch()
    told = compare([Look("file"), Create("a", 0o600), Create("b", 0o600)], *places)
    assert told.mismatch is not None
    assert (told.operations, told.mismatch.number, told.mismatch.operation) == (1, 1, "create('a', 384)")
    assert str(told.mismatch).startswith("operation 1, create('a', 384): ('EEXIST', None) here, ('ok', ")
    assert not (places[1] / "b").exists()


@pytest.mark.parametrize("count", [1, TREE_EVERY, TREE_EVERY + 1])
def test_what_no_operation_looked_at_is_found_in_the_trees(count: int, places: tuple[Path, Path]) -> None:
    (places[0] / "hidden").write_bytes(b"here")
    told = compare([Look("file")] * count, *places)
    assert told.mismatch is not None
    assert told.mismatch.operation == "the trees afterwards, hidden"
    assert told.mismatch.number == min(count, TREE_EVERY)


def test_what_is_refused_as_declared_is_not_done_in_the_plain_directory(places: tuple[Path, Path]) -> None:
    (places[0] / "a").touch()
    declared = Difference("it refuses", "a test", ("create",), "EEXIST")
    told = compare([Create("a", 0o600)], *places, [declared])
    assert dict(told.declared) == {"it refuses": 1}
    assert not (places[1] / "a").exists()
    assert told.mismatch is not None, "the trees do differ"
    (places[0] / "a").unlink()
    assert compare([Create("a", 0o600)], *places, [declared]).mismatch is None
    other = Difference("it refuses something else", "a test", ("unlink",), "EEXIST")
    (places[0] / "b").touch()
    assert compare([Create("b", 0o600)], *places, [other]).mismatch is not None


def test_a_fact_that_is_declared_is_left_out_everywhere_and_no_other(places: tuple[Path, Path]) -> None:
    os.link(places[0] / "file", places[0].parent / "outside")
    declared = Difference("links", "a test", hides="links")
    told = compare([Look("file")], *places, [declared])
    assert told.mismatch is None
    assert told.declared["links"] == 2, "the look, and the trees"
    (places[0] / "file").chmod(0o600)
    (places[1] / "file").chmod(0o644)
    assert compare([Look("file")], *places, [declared]).mismatch is not None


def test_an_operation_that_may_show_something_else_may(places: tuple[Path, Path]) -> None:
    os.link(places[0] / "file", places[0].parent / "outside")
    declared = Difference("looks", "a test", ("look",))
    told = compare([Look("file")], *places, [declared])
    assert told.declared["looks"] == 1
    assert told.mismatch is not None
    assert told.mismatch.operation.startswith("the trees"), "which are compared as they are"


def test_what_is_avoided_is_done_in_neither(places: tuple[Path, Path]) -> None:
    declared = Difference(
        "no renames onto the image", "a test", ("rename",), avoids=lambda operation, image, root: operation.to in image
    )
    told = compare([Create("a", 0o600), Rename("a", "file"), Rename("a", "b")], *places, [declared])
    assert (told.operations, dict(told.declared), told.mismatch) == (2, {"no renames onto the image": 1}, None)
    for path in places:
        assert (path / "file").read_bytes() == b"same"
        assert (path / "b").exists()


def test_the_image_is_what_was_there_before_the_first_operation(places: tuple[Path, Path]) -> None:
    seen: list[dict[str, str]] = []

    def avoids(operation: object, image: dict[str, str], root: int) -> bool:
        seen.append(dict(image))
        return False

    compare([MakeDirectory("d", 0o700), Create("a", 0o600)], *places, [Difference("x", "y", avoids=avoids)])  # type: ignore[arg-type]
    assert seen == [{"file": "file"}] * 2


@given(st.lists(st.integers(0, 50), max_size=60), st.sets(st.integers(0, 50), min_size=1, max_size=3))
def test_the_shortest_stream_has_only_what_it_needs(items: list[int], needed: set[int]) -> None:
    whole = [*items, *sorted(needed)]

    def fails(some: Sequence[int]) -> bool:
        return needed <= set(some)

    assert sorted(shrunk(whole, fails)) == sorted(needed)
