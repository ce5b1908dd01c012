"""Images are read in every form that engines save, and what is damaged or hostile is refused in a line."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import socket
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from bench.errors import BenchError
from bench.image import blobs, source
from bench.image.model import printable
from bench.layers import archived
from bench.layers.content import Archived, Deleted, Directory, HardLink, Link, Node, pieces
from tests.image.archives import (
    COMPRESS,
    MANIFEST,
    OCI_LAYER,
    configuration,
    descriptor,
    docker,
    empty,
    layout,
    pack,
)
from tests.layers.archives import DIRECTORY, Given, crafted, hard, link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.image.model import Image

INDEX = "application/vnd.oci.image.index.v1+json"
ONE: Given = ("a", {"data": b"one"})


def layer(*members: Given) -> bytes:
    return crafted(*members).getvalue()


LAYERS = [layer(("d", DIRECTORY), ("d/a", {"data": b"one"})), layer(("d", DIRECTORY), ("d/b", {}), ("d/.wh.a", {}))]


def read(path: Path, **options: Any) -> Image:
    with source.opened(str(path), path.parent, **options) as image:
        return image


def shown(image: Image) -> list[list[str]]:
    return [[entry.path for entry in each.entries] for each in image.layers]


PATHS = [["d", "d/a"], ["d", "d/b", "d/a"]]


@pytest.fixture(autouse=True)
def little_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "RESERVE", 1 << 20)


def test_what_docker_saves(tmp_path: Path) -> None:
    image = read(pack(docker(LAYERS), tmp_path / "app.tar"))
    assert shown(image) == PATHS
    assert (image.name, image.source, image.platform) == ("app:1", "docker save", "linux/amd64")
    assert [each.command for each in image.layers] == ["RUN 0", "RUN 1"]
    assert image.config["Env"] == ["PATH=/bin"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_an_archive_that_is_compressed(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    plain = pack(docker(LAYERS), tmp_path / "app.tar").read_bytes()
    (tmp_path / "app.tar.x").write_bytes(compress(plain))
    assert shown(read(tmp_path / "app.tar.x")) == PATHS


def test_a_layer_that_is_a_link_to_another(tmp_path: Path) -> None:
    """docker save writes a layer once, however often an image has it."""
    files = docker([LAYERS[0], LAYERS[0]])
    del files["1/layer.tar"]
    path = pack(files, tmp_path / "app.tar")
    with tarfile.open(path, "a") as archive:
        header = tarfile.TarInfo("1/layer.tar")
        header.type, header.linkname = tarfile.SYMTYPE, "../0/layer.tar"
        archive.addfile(header)
    assert shown(read(path)) == [PATHS[0], PATHS[0]]


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("packed", [True, False])
def test_an_oci_layout(suffix: str, packed: bool, tmp_path: Path) -> None:
    files = layout(LAYERS, suffix=suffix)
    target = tmp_path / "image"
    if packed:
        pack(files, target)
    else:
        for name, content in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)
    image = read(target)
    assert shown(image) == PATHS
    assert image.source == "OCI image layout"


def platforms(*names: str) -> Callable[[dict[str, Any], dict[str, bytes]], list[dict[str, Any]]]:
    """Return a maker of an index with a nested one, whose images are of these platforms."""

    def made(manifest: dict[str, Any], files: dict[str, bytes]) -> list[dict[str, Any]]:
        below = [
            {**manifest, "platform": dict(zip(("os", "architecture"), name.split("/"), strict=True))} for name in names
        ]
        proof = {
            **manifest,
            "digest": "sha256:" + "0" * 64,
            "annotations": {"vnd.docker.reference.type": "attestation"},
        }
        nested = json.dumps({"manifests": [*below, proof]}).encode()
        return [descriptor(nested, INDEX, files, annotations={"org.opencontainers.image.ref.name": "app:2"})]

    return made


def test_a_platform_is_chosen_and_attestations_are_left_out(tmp_path: Path) -> None:
    path = pack(layout(LAYERS, entries=platforms("linux/amd64", "linux/s390x")), tmp_path / "app.tar")
    assert shown(read(path, platform_name="linux/s390x")) == PATHS
    assert read(path, name="app:2", platform_name="linux/amd64").name == "app:2"
    with pytest.raises(BenchError, match="no image for linux/riscv64; choose by --platform: linux/amd64, linux/s390x"):
        read(path, platform_name="linux/riscv64")


def test_one_of_several_images_is_chosen(tmp_path: Path) -> None:
    one, other = docker(LAYERS), docker(LAYERS, name="other:1")
    manifest = [*json.loads(one["manifest.json"]), *json.loads(other["manifest.json"])]
    path = pack({**one, "manifest.json": json.dumps(manifest).encode()}, tmp_path / "app.tar")
    assert read(path, name="other:1").name == "other:1"
    with pytest.raises(BenchError, match="the archive has 2 images; choose one by --image NAME: app:1, other:1"):
        read(path)
    with pytest.raises(BenchError, match="has no image 'third'; app:1, other:1"):
        read(path, name="third")


def without(name: str) -> dict[str, bytes]:
    files = docker(LAYERS)
    del files[name]
    return files


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    """Return an image whose configuration is changed, with the right digest."""
    content = json.loads(configuration(LAYERS))
    change(content)
    return docker(LAYERS, config=json.dumps(content).encode())


def manifest_of(change: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    """Return an OCI image whose manifest is changed, with the right digest."""
    files = layout(LAYERS)
    [entry] = json.loads(files["index.json"])["manifests"]
    content = json.loads(files[f"blobs/{entry['digest'].replace(':', '/')}"])
    change(content)
    new = descriptor(json.dumps(content).encode(), MANIFEST, files)
    return {**files, "index.json": json.dumps({"manifests": [new]}).encode()}


def wrong_blob() -> dict[str, bytes]:
    files = layout(LAYERS)
    name = next(name for name, content in files.items() if content == LAYERS[1])
    return {**files, name: LAYERS[0]}


DAMAGED: list[tuple[dict[str, bytes], str]] = [
    ({}, "is no image: it has neither manifest.json"),
    ({"x": b""}, "is no image: it has neither manifest.json"),
    (without("1/layer.tar"), "lacks '1/layer.tar': its manifest names it"),
    ({**docker(LAYERS), "1/layer.tar": LAYERS[0]}, "layer 1 of the image is damaged or was changed: its content has"),
    ({**docker(LAYERS), "1/layer.tar": b"no archive" * 99}, "layer 1 of the image is damaged or was changed"),
    (docker([LAYERS[0], b"no archive" * 99]), "layer 1 of the image: the layer's archive is damaged"),
    (docker([LAYERS[0], LAYERS[1][:700]]), "layer 1 of the image: the layer's archive is damaged"),
    (
        docker([LAYERS[0], gzip.compress(LAYERS[1])[:60]]),
        "layer 1 of the image is damaged: gzip: Compressed file ended",
    ),
    (docker([LAYERS[0], b"\x1f\x8bno gzip"]), "layer 1 of the image is damaged: gzip:"),
    (docker([LAYERS[0], b"\x28\xb5\x2f\xfdno zstd"]), "layer 1 of the image is damaged: zstd:"),
    (docker([LAYERS[0], b"BZh9"]), "layer 1 of the image is compressed by bzip2; decompress it first"),
    ({**docker(LAYERS), "manifest.json": b"{"}, "'manifest.json' is no JSON"),
    ({**docker(LAYERS), "manifest.json": b"[" * 100_000}, "'manifest.json' is no JSON"),
    ({**docker(LAYERS), "manifest.json": b"{}"}, "'manifest.json' is not what it should be"),
    ({**docker(LAYERS), "manifest.json": b"[]"}, "the image's archive has no image"),
    ({**docker(LAYERS), "manifest.json": b"[1]"}, "manifest.json is no list of images"),
    (
        {**docker(LAYERS), "manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'},
        "lacks '../../etc/passwd'",
    ),
    ({**docker(LAYERS), "manifest.json": b'[{"Config": 1}]'}, "manifest.json has no Config"),
    (changed(lambda content: content["rootfs"]["diff_ids"].pop()), "it has 2 layers, and its configuration names 1"),
    (changed(lambda content: content.pop("rootfs")), "the configuration has no rootfs"),
    (wrong_blob(), "layer 1 of the image is damaged or was changed: its bytes have sha256:"),
    (
        manifest_of(lambda content: content["layers"][0].update(mediaType="text/plain")),
        "type is 'text/plain', which is",
    ),
    (
        manifest_of(
            lambda content: content["layers"][0].update(mediaType=OCI_LAYER.replace("layer", "layer.nondistributable"))
        ),
        "layer 0 cannot be read: it is foreign",
    ),
    (manifest_of(lambda content: content["layers"][0].update(digest="md5:1")), "lacks 'blobs/md5/1'"),
    (manifest_of(lambda content: content["layers"][0].update(digest="sha256:../x")), "lacks 'blobs/sha256/../x'"),
    (manifest_of(lambda content: content.update(layers=7)), "the manifest has no layers"),
]


@pytest.mark.parametrize(("files", "said"), DAMAGED, ids=[said for _, said in DAMAGED])
def test_a_damaged_image_is_refused_in_a_line(files: dict[str, bytes], said: str, tmp_path: Path) -> None:
    path = pack(files, tmp_path / "app.tar")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BenchError) as raised:
        read(path)
    assert said in str(raised.value)
    assert os.listdir(tmp_path) == ["app.tar"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_index_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    def nested(manifest: dict[str, Any], files: dict[str, bytes]) -> list[dict[str, Any]]:
        entry = manifest
        for _ in range(5):
            entry = descriptor(json.dumps({"manifests": [entry]}).encode(), INDEX, files)
        return [entry]

    with pytest.raises(BenchError, match="its indexes lead to each other"):
        read(pack(layout(LAYERS, entries=nested), tmp_path / "app.tar"))


def test_names_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    path = pack(docker(LAYERS), tmp_path / "app.tar")
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("./manifest.json"))
    with pytest.raises(BenchError, match=r"it has 'manifest\.json' twice"):
        read(path)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("outer", [False, True])
def test_a_bomb_is_stopped_at_the_limit(compress: Callable[[bytes], bytes], outer: bool, tmp_path: Path) -> None:
    bomb = compress(bytes(64 << 20))
    path = tmp_path / "app.tar"
    if outer:
        path.write_bytes(bomb)
    else:
        pack(docker([LAYERS[0], bomb]), path)
    assert path.stat().st_size < 1 << 20
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BenchError, match=r"is too large: uncompressed it has more than 32 MiB; give a larger --limit"):
        read(path, limit=32 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 24 << 10
    assert os.listdir(tmp_path) == ["app.tar"]


def test_it_stops_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "RESERVE", 1 << 60)
    with pytest.raises(BenchError, match=r"is too large: less than .* would be left in .*; give a --workdir"):
        read(pack(docker(LAYERS), tmp_path / "app.tar"))


def sparse(size: int, parts: list[tuple[int, bytes]]) -> bytes:
    """Return a layer with a sparse file in the format of GNU tar 1.0, which is a regular file in a pax archive."""
    numbers = [len(parts)] + [number for offset, data in parts for number in (offset, len(data))]
    head = "".join(f"{number}\n" for number in numbers).encode()
    data = head.ljust(-(-len(head) // 512) * 512, b"\0") + b"".join(data for _, data in parts)
    headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "s",
        "GNU.sparse.realsize": str(size),
    }
    return layer(("s", {"data": data, "pax_headers": headers}))


def test_a_sparse_file_has_zeros_for_its_holes(tmp_path: Path) -> None:
    path = pack(docker([sparse(9000, [(4096, b"x" * 100), (8192, b"y" * 512)])]), tmp_path / "app.tar")
    with source.opened(str(path), tmp_path) as image:
        [entry] = image.layers[0].entries
        assert isinstance(entry, Archived)
        content = b"".join(pieces(entry, 0))
    assert content == bytes(4096) + b"x" * 100 + bytes(8192 - 4196) + b"y" * 512 + bytes(9000 - 8704)


@pytest.mark.parametrize(
    ("size", "parts", "said"),
    [
        (1 << 50, [], "its files have more than 32 GiB"),
        (100, [(0, b"x" * 50), (20, b"y" * 50)], "the parts of this sparse file overlap"),
        (100, [(80, b"x" * 50)], "or lie beyond its end"),
    ],
)
def test_a_sparse_file_that_cannot_be_is_refused(
    size: int, parts: list[tuple[int, bytes]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match=said):
        read(pack(docker([sparse(size, parts)]), tmp_path / "app.tar"))


HOSTILE: list[tuple[list[list[Given]], str]] = [
    ([[("../x", {})]], "layer 0 of the image: the layer's archive leads out of its directory: '../x'"),
    ([[("s", link("/etc")), ("s/x", {})]], "lies below a symbolic link to what is not in the layer"),
    ([[("s", link("..")), ("s/x", {})]], "leads out of its directory: 's/x'"),
    (
        [[ONE], [("b", hard("a"))]],
        "layer 1 of the image: the layer's archive has 'b': it is a hard link to 'a', which is",
    ),
    ([[("b", hard("../../etc/shadow"))]], "leads out of its directory"),
    ([[ONE, ("./a", {})]], "it is there twice"),
    ([[("n" * 256, {})]], "a name has at most 255 bytes"),
    ([[("/".join(["n" * 250] * 17), {})]], "a path has at most 4,095 bytes"),
    ([[(".wh.", {})]], "it marks no file as deleted"),
    ([[(".wh..wh..opq", {})]], "a layer hides all that lies below it: its root is opaque"),
    ([[("n", {"type": tarfile.CHRTYPE})]], "a layer has the device 0:0 at 'n': on overlayfs that deletes the name"),
    ([[("n", {"uid": 2**32 - 1})]], "its owner is 4294967295"),
    (
        [[("d", {**DIRECTORY, "pax_headers": {"SCHILY.xattr.trusted.overlay.opaque": "y"}})]],
        "a mark of a storage driver",
    ),
]


@pytest.mark.parametrize(("layers", "said"), HOSTILE, ids=[said for _, said in HOSTILE])
def test_a_hostile_layer_is_refused_in_a_line(layers: list[list[Given]], said: str, tmp_path: Path) -> None:
    path = pack(docker([layer(*members) for members in layers]), tmp_path / "app.tar")
    with pytest.raises(BenchError) as raised:
        read(path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_headers_are_not_read_whatever_they_say(tmp_path: Path) -> None:
    """tarfile alone would take as much memory as the header says that it has."""
    content = bytearray(layer(("a", {"pax_headers": {"comment": "x" * 300}})))
    content[124:136] = b"%011o\0" % (64 << 20)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    with pytest.raises(BenchError, match=r"is damaged: a header of 67,108,864 bytes"):
        read(pack(docker([bytes(content) + bytes(64 << 20)]), tmp_path / "app.tar"))


@pytest.mark.parametrize(
    ("limit", "said"), [("MEMBERS", "more than 3 files"), ("NAME_BYTES", "MiB of names and attributes")]
)
def test_more_files_than_memory_should_have_are_refused(
    limit: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archived, limit, 3)
    members: list[Given] = [(f"{number}", {}) for number in range(4)]
    with pytest.raises(BenchError, match=said):
        read(pack(docker([layer(*members)]), tmp_path / "app.tar"))


def test_what_is_odd_but_possible_is_kept(tmp_path: Path) -> None:
    deep = "/".join(["n" * 250] * 16)
    members: list[Given] = [
        ("big", {"uid": 2**31 + 5, "gid": 2**32 - 2}),
        ("old", {"mtime": -5.5}),
        ("late", {"mtime": 2.0**33}),
        ("exact", {"pax_headers": {"mtime": "1600000000.123456789"}}),
        (b"b\xff".decode("utf-8", "surrogateescape"), {}),
        ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
        ("pipe", {"type": tarfile.FIFOTYPE}),
        ("suid", {"mode": 0o4755, "pax_headers": {"SCHILY.xattr.security.capability": "\1\0"}}),
        (f"{deep}/x", {}),
        ("n" * 255, {}),
    ]
    image = read(pack(docker([layer(*members)]), tmp_path / "app.tar"))
    found = {entry.path: entry for entry in image.layers[0].entries}
    facts = {
        path: entry.metadata
        for path, entry in found.items()
        if not isinstance(entry, Deleted | HardLink) and entry.metadata
    }
    assert (facts["big"].uid, facts["big"].gid) == (2**31 + 5, 2**32 - 2)
    assert [facts[name].time for name in ("old", "late", "exact")] == [
        -5_500_000_000,
        2**33 * 10**9,
        1600000000123456789,
    ]
    assert os.fsencode("b\udcff") == b"b\xff"
    assert "b\udcff" in found
    assert isinstance(found["null"], Node)
    assert found["null"].device == os.makedev(1, 3)
    assert dict(facts["suid"].attributes) == {"security.capability": b"\1\0"}
    assert isinstance(found[deep], Directory)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é", "plain é"),
        (b"b\xff".decode("utf-8", "surrogateescape"), "b\\xff"),
        ("\ud800", "\\ud800"),
        ("\x1b[2J\n", "\\x1b[2J\n"),
    ],
)
def test_what_an_image_says_cannot_drive_a_terminal(text: str, shown: str, tmp_path: Path) -> None:
    assert printable(text) == shown
    content = json.loads(configuration(LAYERS))
    content["history"][1]["created_by"] = text
    files = docker(LAYERS, config=json.dumps(content).encode())
    assert read(pack(files, tmp_path / "app.tar")).layers[0].command == shown


def test_a_directory_without_a_member_keeps_what_it_has_below(tmp_path: Path) -> None:
    """Only the names of its content tell of it, in the second layer."""
    below = layer(("d", {**DIRECTORY, "mode": 0o700, "uid": 7}), ("d/a", {}))
    image = read(pack(docker([below, layer(("d/b", {})), layer(("d/.wh.a", {}))]), tmp_path / "app.tar"))
    for each in image.layers[1:]:
        directory = each.entries[0]
        assert isinstance(directory, Directory)
        assert directory.metadata is not None
        assert (directory.metadata.mode, directory.metadata.uid) == (0o700, 7)


def test_a_whiteout_in_what_is_no_directory_is_left_out(tmp_path: Path) -> None:
    layers = [layer(("f", {})), layer(("f/.wh.x", {}), ("no/.wh.x", {}), (".wh.none", {}))]
    assert shown(read(pack(docker(layers), tmp_path / "app.tar"))) == [["f"], ["none"]]


def test_long_names_of_gnu_tar_are_read(tmp_path: Path) -> None:
    content, long = io.BytesIO(), "/".join(["n" * 120] * 3)
    with tarfile.open(fileobj=content, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(long))
        header = tarfile.TarInfo("link")
        header.type, header.linkname, header.uid = tarfile.SYMTYPE, "t" * 300, 2**31 + 1  # in base 256
        archive.addfile(header)
    image = read(pack(docker([content.getvalue()]), tmp_path / "app.tar"))
    entries = {entry.path: entry for entry in image.layers[0].entries}
    link = entries["link"]
    assert isinstance(link, Link)
    assert link.target == "t" * 300
    assert link.metadata is not None
    assert link.metadata.uid == 2**31 + 1
    assert isinstance(entries[long], Archived)


def test_sockets_of_a_directory_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "rootfs").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "rootfs/s"))
        image = read(tmp_path / "rootfs")
    assert shown(image) == [[""]]
    assert image.notes == ["sockets are left out, as engines do: 1 ('s')"]


def test_a_directory_is_an_image_of_one_layer(tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root")
    os.link(root / "etc/passwd", root / "etc/other")
    (root / "bin").symlink_to("usr/bin")
    os.mkfifo(root / "pipe")
    image = read(root)
    assert shown(image) == [["", "bin", "etc", "etc/other", "etc/passwd", "pipe"]]
    assert (image.name, image.source) == ("rootfs", "directory")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.tar", "no image absent.tar; give an archive"),
        ("docker:app:1", "no engine is asked unless its socket is"),
    ],
)
def test_what_is_not_there_is_said(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=said), source.opened(name, tmp_path):
        pass


def test_empty_layers_are_layers(tmp_path: Path) -> None:
    assert shown(read(pack(docker([empty(), LAYERS[0]]), tmp_path / "app.tar"))) == [[], PATHS[0]]
