"""What changed, found in two ways, and a layer's archive: there and back, and what cannot be in one."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError
from bench.layers.archive import export
from bench.layers.changes import DELETED, OPAQUE, PRESENT, Change, naive, of_upper
from bench.layers.unpack import apply
from tests.host.isolated import needs_root

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """A tree and its copy, with files, directories and links."""
    before = tmp_path / "before"
    (before / "a/deep").mkdir(parents=True)
    (before / "b").mkdir()
    for name in ("a/one", "a/two", "a/deep/three", "b/four", "five"):
        (before / name).write_text(name)
    (before / "a/link").symlink_to("one")
    after = tmp_path / "after"
    shutil.copytree(before, after, symlinks=True)
    return before, after


def told(before: Path, after: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for change in naive(before, after):
        found.setdefault(change.kind, set()).add(change.path)
    return found


def test_an_untouched_copy_has_no_change(trees: tuple[Path, Path]) -> None:
    assert list(naive(*trees)) == []


def test_each_kind_of_change_is_found(trees: tuple[Path, Path]) -> None:
    before, after = trees
    (after / "a/one").write_text("other, and longer")
    (after / "a/two").unlink()
    (after / "five").chmod(0o600)
    (after / "new").mkdir()
    (after / "new/inside").touch()
    shutil.rmtree(after / "b")
    (after / "b").touch()
    (after / "a/link").unlink()
    (after / "a/link").mkdir()
    assert told(before, after) == {
        PRESENT: {"a", "a/one", "five", "new", "new/inside", "b", "a/link"},
        DELETED: {"a/two"},
        OPAQUE: {"a/link"},
    }


def test_a_directory_in_which_something_changed_is_in_the_layer_with_its_own_metadata(
    trees: tuple[Path, Path], tmp_path: Path
) -> None:
    before, after = trees
    for path in (before / "a", after / "a"):
        path.chmod(0o700)
    (after / "a/deep/three").write_text("other, and longer")
    (after / "b/four").unlink()
    changes = list(naive(before, after))
    assert changes == [
        Change("a", PRESENT),
        Change("a/deep", PRESENT),
        Change("a/deep/three", PRESENT),
        Change("b", PRESENT),
        Change("b/four", DELETED),
    ]
    alone = tmp_path / "alone"
    alone.mkdir()
    apply(layer(changes, after), alone)
    assert (alone / "a").stat().st_mode & 0o7777 == 0o700


CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # VFS_CAP_REVISION_2, CAP_NET_RAW


@needs_root
@pytest.mark.parametrize(("key", "value"), [("security.capability", CAPABILITY), ("user.one", b"1")])
def test_an_attribute_alone_is_a_change(key: str, value: bytes, trees: tuple[Path, Path]) -> None:
    before, after = trees
    os.setxattr(after / "five", key, value)
    assert list(naive(before, after)) == [Change("five", PRESENT)]
    apply(layer([Change("five", PRESENT)], after), before)
    assert os.getxattr(before / "five", key) == value
    os.removexattr(after / "five", key)
    assert list(naive(before, after)) == [Change("five", PRESENT)]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (5_000_000_001, 5_000_000_001, False),
        (5_000_000_001, 5_000_000_000, False),
        (5_000_000_000, 5_999_999_999, False),
        (5_000_000_001, 5_000_000_002, True),
        (5_000_000_000, 6_000_000_000, True),
        (5_999_999_999, 6_000_000_000, True),
    ],
)
def test_times_of_one_second_are_the_same_if_one_has_no_nanoseconds(
    old: int, new: int, changed: bool, trees: tuple[Path, Path]
) -> None:
    before, after = trees
    os.utime(before / "five", ns=(old, old))
    os.utime(after / "five", ns=(new, new))
    assert list(naive(before, after)) == [Change("five", PRESENT)] * changed


@pytest.mark.parametrize("name", [".wh.x", ".wh.", ".wh..wh..opq", "a/.wh.one"])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_name_that_looks_like_a_mark_is_not_lost_in_an_archive(
    name: str, kind: str, trees: tuple[Path, Path]
) -> None:
    before, after = trees
    (after / "x").touch()
    if kind == "file":
        (after / name).touch()
    else:
        (after / name).mkdir()
    named = [change for change in naive(before, after) if change.path == name]
    assert named == [Change(name, PRESENT)]
    assert named[0] in of_upper(after)
    with pytest.raises(BenchError, match=r"cannot be in a layer's archive: there, a name that begins with \.wh\. says"):
        layer(list(naive(before, after)), after)


def test_zeros_that_an_archive_has_for_holes_are_counted(tmp_path: Path) -> None:
    size = 8 << 20
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"data")
        file.truncate(size)
    allocated = (tmp_path / "sparse").stat().st_blocks * 512
    if allocated == size:
        pytest.skip("this file system has no holes")
    archive = io.BytesIO()
    assert size - (1 << 20) < export([Change("sparse", PRESENT)], tmp_path, archive) <= size - 4
    assert archive.tell() > size
    assert export([], tmp_path, io.BytesIO()) == 0


def layer(changes: list[Change], tree_: Path) -> io.BytesIO:
    archive = io.BytesIO()
    export(changes, tree_, archive)
    archive.seek(0)
    return archive


def test_names_of_whiteouts_are_those_of_images(trees: tuple[Path, Path]) -> None:
    after = trees[1]
    archive = layer(
        [Change("a/two", DELETED), Change("b", OPAQUE), Change("b", PRESENT), Change("top", DELETED)], after
    )
    with tarfile.open(fileobj=archive) as opened:
        assert opened.getnames() == ["a/.wh.two", "b/.wh..wh..opq", "b", ".wh.top"]


@needs_root
def test_the_layer_of_an_overlay_is_read_as_it_marks(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/new").touch()
    os.mknod(tmp_path / "kept/gone", 0o020000, os.makedev(0, 0))
    (tmp_path / "kept/.wh.also").touch()
    (tmp_path / "again").mkdir()
    (tmp_path / "again/.wh..wh..opq").touch()
    os.mknod(tmp_path / "again/.wh..opq", 0o020000, os.makedev(0, 0))
    os.mknod(tmp_path / "device", 0o020000, os.makedev(1, 3))
    known = {
        Change("kept", PRESENT),
        Change("kept/new", PRESENT),
        Change("kept/gone", DELETED),
        Change("again", PRESENT),
        Change("device", PRESENT),
    }
    assert set(of_upper(tmp_path, wh_files=True)) == {*known, Change("kept/also", DELETED), Change("again", OPAQUE)}
    files = {Change("again/.wh..wh..opq", PRESENT), Change("kept/.wh.also", PRESENT)}
    assert set(of_upper(tmp_path)) == {
        *known,
        *files,
        Change("again/.wh..opq", DELETED),
    }
