"""A layer's archive over the layers below: what is hidden, made, put elsewhere and refused.

The engines' part of it was seen with dockerd 20.10.24 (overlay2), podman 4.3.1 and containerd 1.6.
"""

from __future__ import annotations

import io
import os
import random
import re
import stat
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.layers.archive import export
from bench.layers.archived import Region, read_layer
from bench.layers.changes import PRESENT, Change, naive
from bench.layers.content import Deleted
from bench.layers.unpack import apply
from bench.oracle.replay import replay, tree
from bench.oracle.streams import stream
from tests.host.isolated import needs_root
from tests.layers.archives import DIRECTORY, FIFO, Given, crafted, hard, link

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def below(tmp_path: Path) -> Path:
    """What the layers below hold."""
    root = tmp_path / "inside"
    for directory in ("a/deep", "etc", "private"):
        (root / directory).mkdir(parents=True)
    (root / "private").chmod(0o700)
    for name in ("a/old", "a/deep/er", "etc/passwd", "file"):
        (root / name).write_text("below")
    (root / "absolute").symlink_to("/etc")
    (root / "relative").symlink_to("etc")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (root / "out").symlink_to("../outside")
    return root


def names(root: Path) -> set[str]:
    """Return every path below `root`; no link is followed."""
    found = set()
    for top, directories, files in os.walk(root):
        found |= {os.path.relpath(os.path.join(top, name), root) for name in (*directories, *files)}
    return found


def changed(root: Path, *members: Given) -> tuple[set[str], set[str]]:
    """Apply a layer; return the names that are new and those that are gone."""
    before = names(root)
    apply(crafted(*members), root)
    return names(root) - before, before - names(root)


OPAQUE = ".wh..wh..opq"
NEW: Given = ("a/new", {"data": b"new"})


@pytest.mark.parametrize(
    "members",
    [
        [("a", DIRECTORY), NEW, (f"a/{OPAQUE}", {})],
        [("a", DIRECTORY), (f"a/{OPAQUE}", {}), NEW],
        [(f"a/{OPAQUE}", {}), NEW],
        [NEW, (f"a/{OPAQUE}", {})],
        [NEW, (f"./a//{OPAQUE}", DIRECTORY)],
    ],
)
def test_an_opaque_mark_hides_what_is_below_and_nothing_of_its_own_layer(members: list[Given], below: Path) -> None:
    assert changed(below, *members) == ({"a/new"}, {"a/old", "a/deep", "a/deep/er"})


def test_an_opaque_root_hides_everything_below(below: Path) -> None:
    before = names(below)
    assert changed(below, ("new", {}), (OPAQUE, {})) == ({"new"}, before)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("members", "new", "gone"),
    [
        ([("a/.wh.old", {}), ("a/old", {"data": b"new"})], set(), set()),
        ([("a/.wh.x", {}), ("a/x", {})], {"a/x"}, set()),
        ([(".wh.a", {}), NEW], {"a/new"}, {"a/old", "a/deep", "a/deep/er"}),
        ([(".wh.a", {}), ("a/.wh.old", {})], set(), {"a", "a/old", "a/deep", "a/deep/er"}),
        ([(".wh.relative", {}), ("relative/.wh.passwd", {})], set(), {"relative"}),
        ([(".wh.nothere", {}), ("no/.wh.x", {}), ("file/.wh.x", {}), (f"file/{OPAQUE}", {})], set(), set()),
        ([("out/.wh.secret", {}), (f"absolute/{OPAQUE}", {}), ("relative/.wh.passwd", {})], set(), set()),
    ],
)
def test_a_whiteout_hides_what_is_below_in_whatever_order(
    members: list[Given], new: set[str], gone: set[str], order: int, below: Path
) -> None:
    assert changed(below, *members[::order]) == (new, gone)
    if ("a/old", {"data": b"new"}) in members:
        assert (below / "a/old").read_text() == "new"
    assert (below.parent / "outside/secret").exists()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("inner", [f"a/{OPAQUE}", "a/.wh.old", f"a/deep/{OPAQUE}", "a/deep/.wh.er"])
def test_what_a_deleted_directory_held_is_not_deleted_again(inner: str, order: int, tmp_path: Path) -> None:
    """Else the layer has a directory beside its whiteout, and dockerd refuses what is made of it."""
    archive = tmp_path / "layer.tar"
    archive.write_bytes(crafted(*[(".wh.a", {}), (inner, {})][::order]).getvalue())
    with archive.open("rb") as file:
        assert read_layer(Region(file.fileno(), 0, archive.stat().st_size)) == [Deleted("a")]


ODD = [".wh.", "a/.wh.", ".wh..", "a/.wh..", ".wh...", "a/.wh...", ".wh.a/b", f"a/{OPAQUE}/x", ".wh..wh.plnk/1.2"]


@pytest.mark.parametrize("name", ODD)
def test_a_mark_of_no_file_is_refused_and_nothing_is_removed(name: str, below: Path) -> None:
    before = tree(below)
    why = "is a mark, and nothing lies in it" if name.count("/") > name.startswith("a/") else "marks no file as deleted"
    with pytest.raises(BenchError, match=re.escape(f"the layer's archive has {name!r}: ") + f".*{why}"):
        apply(crafted(("a/.wh.old", {}), (name, {})), below)
    assert tree(below) == before


@pytest.mark.parametrize("name", [".wh..wh.aufs", ".wh..wh.plnk", "a/.wh..wh.foo", ".wh..wh."])
def test_what_aufs_keeps_for_itself_is_left_out(name: str, below: Path) -> None:
    assert changed(below, (name, {}), ("new", {})) == ({"new"}, set())


@needs_root
def test_parents_that_no_member_names_are_made(below: Path) -> None:
    old = os.umask(0o077)
    try:
        apply(crafted(("etc/ssl/certs/one", {"uid": 7}), ("private/new", {})), below)
    finally:
        os.umask(old)
    for made in ("etc/ssl", "etc/ssl/certs"):
        state = (below / made).stat()
        assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o755, 0, 0)
    assert stat.S_IMODE((below / "private").stat().st_mode) == 0o700  # it was there


@pytest.mark.parametrize("members", [[], [("a/old", {"data": b"new"})]])
def test_a_hard_link_leads_to_the_layer_or_to_one_below(members: list[Given], below: Path) -> None:
    apply(crafted(*members, ("new/link", hard("a/old"))), below)
    assert (below / "new/link").read_text() == ("new" if members else "below")
    assert (below / "new/link").samefile(below / "a/old")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *[("/etc/x", "etc/x"), ("//etc/x", "etc/x"), ("a/../b/z", "b/z"), ("nope/../b/z", "b/z")],
        *[("./a/./q", "a/q"), ("a//r", "a/r"), ("..x", "..x"), ("x..", "x..")],
    ],
)
def test_a_name_is_read_from_the_root_of_the_image(name: str, place: str, below: Path) -> None:
    new, gone = changed(below, (name, {}))
    assert (place in new, gone) == (True, set())


@pytest.mark.parametrize("target", ["/a/t", "a/../a/t", "./a//t"])
def test_a_hard_link_is_read_from_the_root_of_the_image(target: str, below: Path) -> None:
    apply(crafted(("a/t", {}), ("b", hard(target))), below)
    assert (below / "b").samefile(below / "a/t")


@pytest.mark.parametrize("name", ["absolute", "relative", "out"])
def test_a_link_of_a_layer_below_gives_way_to_a_directory(name: str, below: Path) -> None:
    assert changed(below, (f"{name}/new", {})) == ({f"{name}/new"}, set())
    assert not (below / name).is_symlink()
    assert not (below / "etc/new").exists()


@pytest.mark.parametrize("target", ["/etc", "etc", "./etc/.", "etc/../etc"])
def test_a_link_of_the_layer_itself_is_followed_within_it(target: str, below: Path) -> None:
    apply(crafted(("etc", DIRECTORY), ("s", link(target)), ("s/new", {}), ("s/more/deep", {})), below)
    assert (below / "s").is_symlink()
    assert {"etc/new", "etc/more/deep", "etc/passwd"} <= names(below)


NOT_THERE = "the layer's archive has 's/new': it lies below a symbolic link to what is not in the layer"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("s", link("/etc")), ("s/new", {})], NOT_THERE),
        ([("s", link("/tmp/outside")), ("s/new", {})], NOT_THERE),
        ([("etc", DIRECTORY), ("s", link("etc/no")), ("s/new", {})], NOT_THERE),
        ([("s", link("s")), ("s/new", {})], "has 's/new': it lies below too many symbolic links"),
        ([("f", {}), ("f/new", {})], "has 'f/new': 'f' is no directory there"),
        ([("hl", hard("missing"))], "has 'hl': it is a hard link to 'missing', which is not there"),
        ([("hl", hard("hl"))], "has 'hl': it is a hard link to 'hl', which is not there"),
        ([("a/old", hard("a/old"))], "has 'a/old': it is a hard link to 'a/old', which it would replace"),
        ([("a", hard("a/old"))], "has 'a': it is a hard link to 'a/old', which it would replace"),
        ([("hl", hard(""))], "has 'hl': it is a hard link to '', which is not there"),
        ([("hl", hard("late")), ("late", {})], "has 'hl': it is a hard link to 'late', which is not there"),
        ([("hl", hard("out/secret"))], "has 'hl': it is a hard link to 'out/secret', which is not there"),
        ([("hl", hard("/etc/shadow"))], "has 'hl': it is a hard link to '/etc/shadow', which is not there"),
        ([("hl", hard("a"))], "has 'hl': it is a hard link to 'a', which is a directory"),
        ([("a/.wh.old", {}), ("hl", hard("a/old"))], "a hard link to 'a/old', which the layer itself deletes"),
        ([("hl", hard("a/old")), (".wh.a", {})], "a hard link to 'a/old', which the layer itself deletes"),
        ([("hl", hard("a/old")), (OPAQUE, {})], "a hard link to 'a/old', which the layer itself deletes"),
        ([("hl", hard("a/old")), (f"a/{OPAQUE}", {})], "a hard link to 'a/old', which the layer itself deletes"),
        ([("x", {}), ("./x", DIRECTORY)], "the layer's archive has './x': it is there twice"),
        ([("/", {})], "the layer's archive has '/': the root of an image is a directory"),
        ([(".", link("etc"))], "the layer's archive has '.': the root of an image is a directory"),
        ([("n", {"uid": 2**33})], f"the layer's archive has 'n': its owner is {2**33}, and there are none from"),
        ([("n", {"uid": 2**32 - 1})], "has 'n': its owner is 4294967295, and there are none from 4294967295 on"),
        ([("n", {"gid": -1})], "the layer's archive has 'n': its group is -1"),
        ([("n", {"mtime": 2.0**63})], "the layer's archive has 'n': its time is 9.22337e+18 seconds"),
        ([("n", {"pax_headers": {"mtime": "nan"}})], "the layer's archive has 'n': its time is nan seconds"),
        ([("n", {"type": b"Z"})], "the layer's archive has 'n': its type is b'Z', which no engine takes"),
        ([("n", {"type": tarfile.GNUTYPE_SPARSE})], "has 'n': its type is b'S', which no engine takes"),
        ([("n", {"pax_headers": {"path": "a\0b"}})], "has 'a\\x00b': a name cannot have a NUL"),
        ([("n", {**link("x"), "pax_headers": {"linkpath": "a\0b"}})], "nothing can be called 'a\\x00b'"),
        ([("n", link(""))], "the layer's archive has 'n': nothing can be called ''"),
        ([("n" * 256, {})], "a name has at most 255 bytes"),
        ([("/".join(["n" * 250] * 17), {})], "a path has at most 4,095 bytes"),
        (
            [("a", {**DIRECTORY, "pax_headers": {"SCHILY.xattr.trusted.overlay.opaque": "y"}})],
            "has 'a': trusted.overlay.opaque is a mark of a storage driver, not of a file",
        ),
    ],
)
def test_what_cannot_be_a_layer_is_refused_in_a_line_and_changes_nothing(
    members: list[Given], said: str, below: Path
) -> None:
    before = tree(below)
    with pytest.raises(BenchError, match=re.escape(said)):
        apply(crafted((".wh.file", {}), ("a/new", {}), *members), below)
    assert tree(below) == before


@pytest.mark.parametrize(
    "members",
    [
        [("../outside/new", {})],
        [("a/../../outside/new", {})],
        [("..", DIRECTORY)],
        [("s", link("../outside")), ("s/new", {})],
        [("a/s", link("../../outside")), ("a/s/new", {})],
        [("hard", hard("../outside/secret"))],
        [("s", link("../outside")), ("hard", hard("s/secret"))],
        [("../outside/.wh.secret", {})],
        [("s", link("../outside")), ("s/.wh.secret", {})],
        [("s", link("../outside")), (f"s/{OPAQUE}", {})],
    ],
)
def test_an_archive_that_leads_out_is_refused_and_nothing_outside_is_touched(members: list[Given], below: Path) -> None:
    outside, before = below.parent / "outside", tree(below)
    with pytest.raises(BenchError, match="leads out of its directory"):
        apply(crafted(*members), below)
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").stat().st_nlink == 1
    assert tree(below) == before


@pytest.mark.parametrize(
    ("member", "kind"),
    [(("a", link("etc")), "link"), (("file", DIRECTORY), "directory"), (("a", FIFO), "fifo"), (("out", {}), "file")],
)
def test_what_is_of_another_kind_is_replaced(member: Given, kind: str, below: Path) -> None:
    apply(crafted(member), below)
    mode = (below / member[0]).lstat().st_mode
    kinds = {"link": stat.S_ISLNK, "directory": stat.S_ISDIR, "fifo": stat.S_ISFIFO, "file": stat.S_ISREG}
    assert kinds[kind](mode)


@pytest.mark.parametrize("name", [".", "./", "/", ""])
def test_the_root_may_be_named(name: str, below: Path) -> None:
    apply(crafted((name, {**DIRECTORY, "mode": 0o700})), below)
    assert stat.S_IMODE(below.stat().st_mode) == 0o700


@needs_root
def test_the_attributes_of_a_directory_are_replaced(below: Path) -> None:
    """layer.md: the existing path's attributes are replaced by those of the entry."""
    os.setxattr(below / "a", "user.old", b"1")
    headers = {"SCHILY.xattr.user.new": "2"}
    apply(crafted(("a", {**DIRECTORY, "mode": 0o1700, "uid": 5, "mtime": 1e9, "pax_headers": headers})), below)
    state = (below / "a").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_mtime) == (0o1700, 5, 1e9)
    assert os.listxattr(below / "a") == ["user.new"]
    assert (below / "a/old").exists()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_a_device_node_is_refused_before_it_is_made(kind: bytes, tmp_path: Path) -> None:
    node = crafted(("null", {"type": kind, "devmajor": 1, "devminor": 3}))
    with pytest.raises(BenchError, match="has a device node: 'null': it would open the host's device 1:3"):
        apply(node, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_number_that_no_device_has_is_refused(tmp_path: Path) -> None:
    node: dict[str, Any] = {"type": tarfile.CHRTYPE, "devmajor": 2**12, "devminor": 3}
    with pytest.raises(BenchError, match="has 'null': there is no device 4096:3"):
        apply(crafted(("null", node)), tmp_path, devices=True)


@pytest.mark.parametrize("kept", [700, 1300])
def test_an_archive_that_is_cut_short_is_refused(kept: int, below: Path) -> None:
    (below / "file").write_bytes(bytes(5000))
    whole = io.BytesIO()
    export([Change("file", PRESENT)], below, whole)
    with pytest.raises(BenchError, match=r"the layer's archive is damaged: .*; make it again"):
        apply(io.BytesIO(whole.getvalue()[:kept]), below)


def test_an_archive_with_damage_behind_its_first_member_is_refused(below: Path) -> None:
    """tarfile alone would take what it cannot read for the archive's end."""
    content = bytearray(crafted(("new", {}), ("newer", {})).getvalue())
    for damage in (b"garbage", b"\xff"):
        content[512 : 512 + len(damage)] = damage
        with pytest.raises(BenchError, match=r"the layer's archive is damaged: bad checksum; make it again"):
            apply(io.BytesIO(bytes(content)), below)
    with pytest.raises(BenchError, match=r"the layer's archive is damaged: truncated header"):
        apply(io.BytesIO(bytes(content[:700])), below)
    assert not (below / "new").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\xff" * 600])
def test_what_is_no_archive_is_refused(content: bytes, below: Path) -> None:
    with pytest.raises(BenchError, match=r"the layer's archive is damaged: .*; make it again"):
        apply(io.BytesIO(content), below)


@pytest.mark.parametrize("end", [0, 512, 1024])
def test_an_archive_may_end_without_its_zeros(end: int, below: Path) -> None:
    assert changed_by(crafted(("new", {})).getvalue()[: 512 + end], below) == {"new"}


def changed_by(content: bytes, root: Path) -> set[str]:
    before = names(root)
    apply(io.BytesIO(content), root)
    return names(root) - before


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_archive_is_refused_in_a_line_or_read(seed: int, below: Path) -> None:
    """Bytes of headers at random; whatever comes of it, nothing but BenchError, and nothing outside."""
    headers = {"SCHILY.xattr.user.x": "1", "mtime": "1.5"}
    whole = crafted(("d", DIRECTORY), ("d/f", {"data": b"x" * 600}), ("s", link("d")), ("h", {"pax_headers": headers}))
    content = bytearray(whole.getvalue().rstrip(b"\0"))
    drawn = random.Random(seed)
    for _ in range(drawn.randrange(1, 4)):
        content[drawn.randrange(len(content) // 512) * 512 + drawn.randrange(0, 345)] = drawn.randrange(256)
    for start in range(0, len(content), 512):  # sums that fit, or the reader looks no further
        block = content[start : start + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            content[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    with suppress(BenchError):
        apply(io.BytesIO(bytes(content)), below)
    assert os.listdir(below.parent / "outside") == ["secret"]
    assert not any(name.startswith(".unpack-") for name in os.listdir(below))


@needs_root
@pytest.mark.parametrize("seed", range(8))
def test_an_exported_layer_applied_gives_the_tree_whatever_was_done(seed: int, tmp_path: Path) -> None:
    trees = [tmp_path / name for name in ("before", "after")]
    for root in trees:
        (root / "a/deep").mkdir(parents=True)
        (root / "b").mkdir()
        for name in ("a/one", "a/two", "a/deep/three", "b/four", "five"):
            (root / name).write_text(name)
        (root / "a/link").symlink_to("one")
    before, after = trees
    opened = os.open(after, os.O_RDONLY)
    drawn = stream(random.Random(seed), 300, ("", "a", "a/deep", "b"), ("one", "two", "five", "x"))
    done = sum(replay(operation, opened)[0] == "ok" for operation in drawn)
    os.close(opened)
    assert done > 50
    archive = io.BytesIO()
    export(list(naive(before, after)), after, archive)
    archive.seek(0)
    apply(archive, before, devices=True)
    assert tree(before, links=False) == tree(after, links=False)
