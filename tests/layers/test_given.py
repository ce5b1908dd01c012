"""What a user gives as layers becomes layers, or is named as what cannot be one."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import BenchError
from bench.layers.content import Copy, Directory, File, HardLink, Link
from bench.layers.given import FILE_BYTES, FILES, chain, standard
from bench.layers.materialise import materialise

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    (root / "empty").mkdir(mode=0o700)
    (root / "sh").symlink_to("bin/tool")
    (root / "usr").symlink_to("/usr")
    return root


def test_standard_layers_have_names_of_their_own() -> None:
    layers = chain(None, 3)
    assert layers == (standard(0), standard(1), standard(2))
    paths = [entry.path for layer in layers for entry in layer if isinstance(entry, File)]
    assert paths == [f"data/{index}-{number}" for index in range(3) for number in range(FILES)]
    assert {entry.size for layer in layers for entry in layer if isinstance(entry, File)} == {FILE_BYTES}


def test_parents_are_added_before_their_children() -> None:
    [layer] = chain(lambda index: [File("a/b/c", 1), Directory("d/e", 0o700), File("a/b/f", 2), Link("l", "a")], 1)
    assert layer == (
        *(Directory("a"), Directory("a/b"), File("a/b/c", 1), Directory("d"), Directory("d/e", 0o700)),
        *(File("a/b/f", 2), Link("l", "a")),
    )


def test_a_directory_is_the_bottom_layer(tree: Path) -> None:
    layers = chain(tree, 2)
    assert layers[1] == standard(1)
    assert layers[0] == (
        Directory("bin", 0o755),
        Copy("bin/tool", 10, mode=0o755, source=tree / "bin/tool"),
        Directory("empty", 0o700),
        Link("sh", "bin/tool"),
        Link("usr", "/usr"),
    )
    assert chain(str(tree), 2) == layers
    assert chain(lambda index: tree if index == 0 else standard(index), 2) == layers


def test_names_of_one_file_and_holes_of_a_directory_are_kept(tree: Path, tmp_path: Path) -> None:
    os.link(tree / "bin/tool", tree / "zz")
    with (tree / "sparse").open("wb") as file:
        file.truncate(8 << 20)
    layer = chain(tree, 1)[0]
    assert layer[-1] == HardLink("zz", "bin/tool")
    (tmp_path / "target").mkdir()
    materialise(layer, tmp_path / "target", 1)
    assert (tmp_path / "target/zz").samefile(tmp_path / "target/bin/tool")
    copy, original = ((root / "sparse").stat() for root in (tmp_path / "target", tree))
    assert (copy.st_size, copy.st_blocks) == (original.st_size, original.st_blocks)


def test_a_directory_is_copied_as_it_is(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    materialise(chain(tree, 1)[0], target, 1)
    assert sorted(os.listdir(target)) == sorted(os.listdir(tree))
    assert (target / "bin/tool").read_bytes() == b"#!/bin/sh\n"
    assert (target / "bin/tool").stat().st_mode == (tree / "bin/tool").stat().st_mode
    assert os.readlink(target / "sh") == "bin/tool"
    assert os.readlink(target / "usr") == "/usr"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (7, "the content of layer 1 is 7; return entries"),
        ([("a", b"x")], "the content of layer 1 has ('a', b'x'); return Directory, File, Link and HardLink"),
        ([File("/etc/passwd", 1)], "the content of layer 1 has the path '/etc/passwd'; write it like etc/passwd"),
        ([File("a/../../b", 1)], "the content of layer 1 has the path 'a/../../b'"),
        ([File("a//b", 1)], "the content of layer 1 has the path 'a//b'"),
        ([Directory("")], "the content of layer 1 has the path ''"),
        ([File("a", 1), File("a/b", 1)], "the content of layer 1 has 'a/b': 'a' is no directory there"),
        ([Link("a", "/"), File("a/b/c", 1)], "the content of layer 1 has 'a/b/c': 'a' is no directory there"),
        (
            [HardLink("a", "b")],
            "the content of layer 1 has HardLink(path='a', target='b'): no File at 'b' comes",
        ),
        ([Link("b", "c"), HardLink("a", "b")], "the content of layer 1 has HardLink(path='a', target='b'): no File at"),
        ("/no/such", "no directory /no/such; give one"),
    ],
)
def test_what_cannot_be_a_layer_is_named(given: Any, said: str) -> None:
    with pytest.raises(BenchError) as caught:
        chain(lambda index: given if index else [], 2)
    assert str(caught.value).startswith(said)


def test_a_socket_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(BenchError, match="socket cannot be in a layer: only directories, files and symbolic"):
            chain(tree, 1)
