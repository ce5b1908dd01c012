"""Content follows from seed, path, origin and offset, and is told from any other."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.layers import content
from bench.layers.content import (
    BLOCK,
    CHUNK,
    Copy,
    Deleted,
    Directory,
    File,
    HardLink,
    Link,
    data_ranges,
    pieces,
    read_equals,
)
from bench.layers.materialise import materialise
from bench.layers.tree import Tree, flatten
from tests.layers.trees import expected, layers, whole, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.layers.content import Entry

STAMP = 16
# Sizes on both sides of every boundary that the code knows.
SIZES = st.one_of(
    st.sampled_from([0, 1, STAMP - 1, STAMP, STAMP + 1, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5]),
    st.integers(0, 5000),
)
HEADS = st.sampled_from([0, 1, STAMP - 1, STAMP, STAMP + 1, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7])


@contextmanager
def opened(data: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        yield file.fileno()


@given(size=SIZES, seed=st.integers(0, 3))
def test_pieces_have_the_size_and_are_the_same_each_time(size: int, seed: int) -> None:
    file = File("data/some", size)
    parts = list(pieces(file, seed))
    assert all(0 < len(part) <= CHUNK for part in parts)
    assert sum(map(len, parts)) == size
    content._noise.cache_clear()
    assert b"".join(parts) == whole(file, seed)


@pytest.mark.parametrize("size", [STAMP, 4096, CHUNK + STAMP])
@pytest.mark.parametrize("other", [File("b", 0), File("a", 0, origin=1), File("a", 0)])
def test_another_path_origin_or_seed_is_other_content(size: int, other: File) -> None:
    seed = 2 if other == File("a", 0) else 1
    assert whole(File("a", size)) != whole(File(other.path, size, other.origin), seed)


def test_each_chunk_of_a_file_differs() -> None:
    first, second = pieces(File("a", 2 * CHUNK), 1)
    assert first != second


@given(size=SIZES, head=HEADS)
def test_a_file_equals_its_own_content_with_its_head_replaced(size: int, head: int) -> None:
    file, new = File("data/some", size), b"\xaa" * head
    want = new + whole(file)[head:]
    with opened(want) as descriptor:
        assert read_equals(descriptor, file, 1, head=new)


@given(size=SIZES, head=HEADS, data=st.data())
def test_one_changed_byte_is_seen_wherever_it_is(size: int, head: int, data: st.DataObject) -> None:
    file, new = File("data/some", size), b"\xaa" * head
    broken = bytearray(new + whole(file)[head:])
    if not broken:
        return
    edges = [place for place in (0, head - 1, head, CHUNK - 1, CHUNK, len(broken) - 1) if 0 <= place < len(broken)]
    place = data.draw(st.one_of(st.sampled_from(edges), st.integers(0, len(broken) - 1)))
    broken[place] ^= 0x01
    with opened(bytes(broken)) as descriptor:
        assert not read_equals(descriptor, file, 1, head=new)


@given(size=SIZES, head=HEADS, change=st.sampled_from([-1, 1, CHUNK]))
def test_another_length_is_seen(size: int, head: int, change: int) -> None:
    file, new = File("data/some", size), b"\xaa" * head
    want = new + whole(file)[head:]
    if len(want) + change < 0:
        return
    with opened((want + bytes(CHUNK))[: len(want) + change]) as descriptor:
        assert not read_equals(descriptor, file, 1, head=new)


@given(chain=st.lists(layers(), min_size=1, max_size=4), seed=st.integers(0, 2))
def test_writing_layers_one_over_the_other_is_writing_them_flattened(chain: list[tuple[Entry, ...]], seed: int) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        for layer in chain:
            materialise(layer, Path(one), seed)
        materialise(flatten(chain), Path(other), seed)
        assert written(Path(one)) == written(Path(other)) == expected(flatten(chain), seed)


@given(chain=st.lists(layers(), max_size=4))
def test_flatten_keeps_the_topmost_entry_of_each_path_and_parents_first(chain: list[tuple[Entry, ...]]) -> None:
    merged = flatten(chain)
    paths = [entry.path for entry in merged]
    assert len(set(paths)) == len(paths)
    assert set(paths) == {entry.path for layer in chain for entry in layer}
    for number, entry in enumerate(merged):
        top = [candidate for layer in chain for candidate in layer if candidate.path == entry.path][-1]
        assert entry == top or isinstance(top, HardLink)
        parent = entry.path.rpartition("/")[0]
        assert not parent or parent in paths[:number]
    assert flatten([merged]) == merged


def test_a_file_goes_on_under_its_other_names(tmp_path: Path) -> None:
    first: list[Entry] = [File("a", 10), HardLink("b", "a"), HardLink("c", "a")]
    for second in (Deleted("a"), File("a", 3, origin=1), Link("a", "b")):
        merged = [entry for entry in flatten([first, [second]]) if entry.path != "a"]
        assert merged == [File("b", 10, named="a"), HardLink("c", "b")]
    tree = Tree()
    tree.add([*first, Directory("d"), Link("l", "a")])
    assert (tree.inodes, tree.directories, tree.links, tree.data_bytes) == (3, 1, 1, 4096)
    tree.add([File("b", 5000)])
    assert (tree.inodes, tree.data_bytes) == (4, 3 * 4096)
    tree.add([Deleted("a")])
    assert (tree.inodes, tree.data_bytes) == (4, 3 * 4096)
    tree.add([Deleted("c")])
    assert (tree.inodes, tree.data_bytes) == (3, 2 * 4096)


def test_holes_are_not_written_and_are_zeros(tmp_path: Path) -> None:
    size = 3 * CHUNK + 5
    file = File("a", size, data=((CHUNK - 100, 200), (2 * CHUNK + 7, 1)))
    materialise([file], tmp_path, 1)
    content = (tmp_path / "a").read_bytes()
    full = whole(File("a", size))
    want = bytearray(size)
    for offset, length in file.data or ():
        want[offset : offset + length] = full[offset : offset + length]
    assert content == want == whole(file)
    with (tmp_path / "a").open("rb") as opened_file:
        assert read_equals(opened_file.fileno(), file, 1)
        found = data_ranges(opened_file.fileno(), size)
    if (tmp_path / "a").stat().st_blocks * 512 < size:  # a file system with holes
        assert found is not None
        blocks = {offset // BLOCK for begin, length in found for offset in range(begin, begin + length, BLOCK)}
        assert blocks == {(CHUNK - 100) // BLOCK, CHUNK // BLOCK, 2 * CHUNK // BLOCK}


def test_a_later_shorter_file_leaves_nothing_of_the_earlier(tmp_path: Path) -> None:
    materialise([File("a", CHUNK + 1), File("a", 3, origin=1)], tmp_path, 1)
    assert (tmp_path / "a").read_bytes() == whole(File("a", 3, origin=1))


def test_a_copy_has_the_bytes_of_its_source(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(whole(File("any", CHUNK + 5)))
    (tmp_path / "target").mkdir()
    file = Copy("a", CHUNK + 5, source=source)
    materialise([file], tmp_path / "target", 1)
    with (tmp_path / "target/a").open("rb") as copied:
        assert read_equals(copied.fileno(), file, 1)
        assert read_equals(copied.fileno(), File("any", CHUNK + 5), 1)


@pytest.mark.parametrize(
    "over", [[File("a", 3)], [Directory("a"), File("a/kept", 3)], [Link("a", "elsewhere"), File("b", 3)]]
)
def test_no_layer_writes_through_a_link_of_another(over: list[Entry], tmp_path: Path) -> None:
    outside, target = tmp_path / "outside", tmp_path / "target"
    for directory in (outside, target):
        directory.mkdir(mode=0o700)
    (outside / "kept").write_text("kept")
    link = str(outside / "kept") if isinstance(over[0], File) else str(outside)
    materialise([Link("a", link)], target, 1)
    materialise(over, target, 1)
    assert (outside / "kept").read_text() == "kept"
    assert outside.stat().st_mode & 0o7777 == 0o700
    assert [path.name for path in outside.iterdir()] == ["kept"]
    top = over[0]
    assert (target / "a").is_symlink() == isinstance(top, Link)
    if isinstance(top, Link):
        assert os.readlink(target / "a") == top.target


def test_a_link_in_the_way_of_a_file_is_not_followed(tmp_path: Path) -> None:
    outside, target = tmp_path / "outside", tmp_path / "target"
    for directory in (outside, target):
        directory.mkdir()
    materialise([Link("a", str(outside))], target, 1)
    with pytest.raises(NotADirectoryError):
        materialise([File("a/through", 3)], target, 1)
    assert list(outside.iterdir()) == []


def test_materialise_closes_what_it_opens(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    materialise([Directory("a"), Directory("a/b"), File("a/b/c", 10)], tmp_path, 1)
    with pytest.raises(FileNotFoundError):
        materialise([File("missing/c", 10)], tmp_path, 1)
    assert os.listdir("/proc/self/fd") == before


BELOW = (Directory("d"), File("d/one", 3), File("d/two", 3), Directory("e"), File("e/old", 3))
ABOVE = (Deleted("d/one"), Directory("e", opaque=True), File("e/new", 3))


def test_what_a_layer_deletes_is_gone_from_the_whole_tree(tmp_path: Path) -> None:
    materialise(BELOW, tmp_path, 1)
    opaque = (tmp_path / "e").stat().st_ino
    materialise(ABOVE, tmp_path, 1)
    assert (tmp_path / "e").stat().st_ino == opaque  # emptied, as where an archive is unpacked
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert names == {"d", "d/two", "e", "e/new"}
    assert {entry.path for entry in flatten((BELOW, ABOVE))} == names
    materialise((Deleted("d"),), tmp_path, 1)
    assert not (tmp_path / "d").exists()
    assert {entry.path for entry in flatten((BELOW, (Deleted("d"),)))} == {"e", "e/old"}


@pytest.mark.root
def test_what_a_layer_of_an_overlay_deletes_is_marked(tmp_path: Path) -> None:
    materialise((Directory("d"), *ABOVE), tmp_path, 1, "trusted.overlay.opaque")
    state = (tmp_path / "d" / "one").lstat()
    assert (state.st_mode, state.st_rdev) == (stat.S_IFCHR, 0)
    assert os.getxattr(tmp_path / "e", "trusted.overlay.opaque") == b"y"
