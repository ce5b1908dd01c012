"""The archive that engines load: reproducible, readable, and what its digests say."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engines.images import chain_ids, image_name, layer_tar, save, top_layer
from bench.errors import BenchError
from bench.layers.content import Copy, Directory, File, Link, pieces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYERS = [
    (Directory("d", 0o700), File(f"d/{index}", 5000, mode=0o640), File("d/common", 3, origin=index), Link("l", "d/0"))
    for index in range(3)
]


def test_the_same_layers_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.tar", tmp_path / "other.tar"
    ids = [save(LAYERS, (1, 3), 7, path) for path in (one, other)]
    assert ids[0] == ids[1]
    assert one.read_bytes() == other.read_bytes()
    save(LAYERS, (1, 3), 8, tmp_path / "third.tar")
    assert (tmp_path / "third.tar").read_bytes() != one.read_bytes()


def test_each_image_names_its_layers_and_their_digests(tmp_path: Path) -> None:
    ids = save(LAYERS, (1, 3), 7, tmp_path / "images.tar")
    with tarfile.open(tmp_path / "images.tar") as archive:
        content = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    manifest = json.loads(content["manifest.json"])
    assert [image["RepoTags"] for image in manifest] == [[image_name(1)], [image_name(3)]]
    for image, depth in zip(manifest, (1, 3), strict=True):
        assert hashlib.sha256(content[image["Config"]]).hexdigest() == image["Config"].removesuffix(".json")
        told = json.loads(content[image["Config"]])["rootfs"]["diff_ids"]
        assert told == [f"sha256:{hashlib.sha256(content[name]).hexdigest()}" for name in image["Layers"]]
        assert told == ids[:depth]


def test_a_layers_archive_holds_its_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"copied" * 400_000)  # more than one piece
    large = File("d/large", 3_000_000)
    target = io.BytesIO()
    layer_tar((*LAYERS[0], large, Copy("copy", 2_400_000, mode=0o755, source=source)), 7, target)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        told = {info.name: info for info in archive}
        assert (told["d"].isdir(), told["d"].mode) == (True, 0o700)
        assert (told["d/0"].size, told["d/0"].mode, told["d/0"].mtime) == (5000, 0o640, 0)
        assert told["l"].linkname == "d/0"
        assert archive.extractfile("copy").read() == source.read_bytes()  # type: ignore[union-attr]
        assert archive.extractfile("d/large").read() == b"".join(map(bytes, pieces(large, 7)))  # type: ignore[union-attr]


def test_the_topmost_layer_of_an_archive_comes_back(tmp_path: Path) -> None:
    archive, target, own = tmp_path / "images.tar", tmp_path / "layer.tar", io.BytesIO()
    save(LAYERS, (3,), 7, archive)
    top_layer(archive, target)
    layer_tar(LAYERS[2], 7, own)
    assert target.read_bytes() == own.getvalue()


def cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:7000])


def forge(archive: Path) -> None:
    content = archive.read_bytes()
    place = content.rindex(b"sha256:", 0, content.index(b'"manifest.json"') if b'"manifest.json"' in content else None)
    archive.write_bytes(content[: place + 7] + b"0000" + content[place + 11 :])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "is no image's archive"),
        (forge, "has a wrong digest: it should be sha256:0000"),
        (lambda archive: archive.write_text("no archive"), "is no image's archive"),
    ],
)
def test_an_archive_that_is_damaged_is_refused(spoil: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    archive = tmp_path / "images.tar"
    save(LAYERS, (3,), 7, archive)
    spoil(archive)
    with pytest.raises(BenchError, match=words):
        top_layer(archive, tmp_path / "layer.tar")
    assert not (tmp_path / "layer.tar").exists()


@given(st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=1, max_size=6))
def test_a_chain_id_is_that_of_the_specification(digests: list[str]) -> None:
    ids = [f"sha256:{digest}" for digest in digests]
    told = chain_ids(ids)
    assert told[0] == ids[0]
    for number in range(1, len(ids)):
        text = f"{told[number - 1]} {ids[number]}"
        assert told[number] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert chain_ids(ids[:-1]) == told[:-1]
