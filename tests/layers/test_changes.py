"""What changed, found in two ways, and a layer's archive: there and back, and what is refused."""

from __future__ import annotations

import io
import os
import random
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.layers.archive import apply, export
from bench.layers.changes import DELETED, OPAQUE, PRESENT, Change, naive, of_upper
from bench.oracle.operations import stream
from bench.oracle.replay import replay, tree
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
        PRESENT: {"a/one", "five", "new", "new/inside", "b", "a/link"},
        DELETED: {"a/two"},
        OPAQUE: {"a/link"},
    }


def layer(changes: list[Change], tree_: Path) -> io.BytesIO:
    archive = io.BytesIO()
    export(changes, tree_, archive)
    archive.seek(0)
    return archive


@needs_root
@pytest.mark.parametrize("seed", range(8))
def test_an_exported_layer_applied_gives_the_tree_whatever_was_done(seed: int, trees: tuple[Path, Path]) -> None:
    before, after = trees
    root = os.open(after, os.O_RDONLY)
    drawn = stream(random.Random(seed), 300, ("", "a", "a/deep", "b"), ("one", "two", "five", "x"))
    done = sum(replay(operation, root)[0] == "ok" for operation in drawn)
    os.close(root)
    assert done > 50
    changes = list(naive(before, after))
    apply(layer(changes, after), before, devices=True)
    assert tree(before, links=False) == tree(after, links=False)


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
    assert sorted(of_upper(tmp_path)) == sorted(
        [
            Change("kept", PRESENT),
            Change("kept/new", PRESENT),
            Change("kept/gone", DELETED),
            Change("kept/also", DELETED),
            Change("again", OPAQUE),
            Change("again", PRESENT),
            Change("device", PRESENT),
        ]
    )


def crafted(*members: tuple[str, dict[str, Any]]) -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as opened:
        for name, facts in members:
            info = tarfile.TarInfo(name)
            info.uid, info.gid = os.getuid(), os.getgid()
            for key, value in facts.items():
                setattr(info, key, value)
            opened.addfile(info)
    archive.seek(0)
    return archive


LINK: dict[str, Any] = {"type": tarfile.SYMTYPE, "linkname": "../outside"}


@pytest.mark.parametrize(
    "members",
    [
        [("../outside/new", {})],
        [("a/../../outside/new", {})],
        [("/outside/new", {})],
        [("out", LINK), ("out/new", {})],
        [("hard", {"type": tarfile.LNKTYPE, "linkname": "../outside/secret"})],
        [("hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
        [("../outside/.wh.secret", {})],
        [("out", LINK), ("out/.wh.secret", {})],
        [("out", LINK), ("out/.wh..wh..opq", {})],
    ],
)
def test_an_archive_that_leads_out_is_refused_and_nothing_outside_is_touched(
    members: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "inside/a").mkdir(parents=True)
    with pytest.raises(BenchError, match="leads out of its directory"):
        apply(crafted(*members), tmp_path / "inside")
    assert os.listdir(tmp_path / "outside") == ["secret"]
    assert (tmp_path / "outside/secret").stat().st_nlink == 1


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_a_device_node_is_refused_before_it_is_made(kind: bytes, tmp_path: Path) -> None:
    node = crafted(("null", {"type": kind, "devmajor": 1, "devminor": 3}))
    with pytest.raises(BenchError, match="has a device node: 'null': it would open the host's device 1:3"):
        apply(node, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kept", [700, 1300])
def test_an_archive_that_is_cut_short_is_refused(kept: int, trees: tuple[Path, Path]) -> None:
    (trees[1] / "five").write_bytes(bytes(5000))
    whole = layer([Change("five", PRESENT)], trees[1]).getvalue()
    with pytest.raises(BenchError, match=r"the layer's archive is damaged: .*; make it again"):
        apply(io.BytesIO(whole[:kept]), trees[0])
