"""A built image is read as engines read it: the same layers, the same trees; and what was planted in it is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.drivers.overlay2 import Overlay2
from bench.engines import images
from bench.engines.docker import Docker
from bench.engines.podman import Podman
from bench.host.packages import find_program
from bench.image import blobs, source
from bench.layers.content import File
from bench.measure.inventory import take
from tests.apart import with_network
from tests.host.isolated import isolated
from tests.image.built import BIG, DUPLICATE, OWNED, build, debian_recipe, facts
from tests.image.chains import layers_of
from tests.integration.places import made, require
from tests.layers.drawn import CHAINS, EXAMPLES

if TYPE_CHECKING:
    from bench.image.model import Image
    from tests.layers.archives import Given

DRAWN, EACH = max(EXAMPLES // 250, 1), 8  # groups of images, and images of each
pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.xdist_group("engines")]


def test_a_built_image_is_what_engines_make_of_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "RESERVE", 1 << 20)
    require(driver="docker/overlay2")
    require(driver="podman/overlay")

    def work() -> None:
        with made("ext4", place, size=1200 << 20, inodes=100_000) as volume:
            builder = Podman(volume.path / "builder", "vfs")
            builder.start()
            archives = build(builder, volume.path)
            for form, archive in archives.items():
                with source.opened(str(archive), volume.path) as image:
                    check_inventory(image)
                    if form == "docker-archive":
                        for engine in (
                            Docker(volume.path / "docker", "overlay2"),
                            Podman(volume.path / "own", "overlay"),
                        ):
                            check_trees(image, engine, archive, volume.path / f"by-hand-{engine.name}")

    isolated(work)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Debian, packed."""
    if find_program("debootstrap") is None:
        pytest.skip("debootstrap is not installed; apt-get install debootstrap")
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        with with_network():
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", place / "root"], check=True)
        packed = tmp_path_factory.mktemp("debian") / "base.tar"
        subprocess.run(["tar", "-C", place / "root", "-cf", packed, "."], check=True)
    finally:
        shutil.rmtree(place)
    return packed


@pytest.mark.debian
@pytest.mark.parametrize("layers", [3, 30, 125])
def test_a_debian_image_is_what_engines_make_of_it(layers: int, base: Path, place: Path) -> None:
    require(driver="docker/overlay2")
    require(driver="podman/overlay")

    def work() -> None:
        with made("ext4", place, size=16 << 30, inodes=1_000_000) as volume:
            own = volume.path / "build"
            builder = Podman(volume.path / "builder", "overlay")
            builder.start()
            (volume.path / "base.tar").write_bytes(base.read_bytes())
            with with_network():
                archives = build(builder, own, debian_recipe(layers), volume.path / "base.tar")
            shutil.rmtree(volume.path / "builder")
            with source.opened(str(archives["oci-archive"]), place) as image:
                assert len(image.layers) == layers
                digests = [layer.digest for layer in image.layers]
                if layers > 3:
                    check_plants(image)
            with source.opened(str(archives["docker-archive"]), place) as image:
                assert [layer.digest for layer in image.layers] == digests
                for engine in (Docker(volume.path / "docker", "overlay2"), Podman(volume.path / "own", "overlay")):
                    check_trees(image, engine, archives["docker-archive"], volume.path / f"by-hand-{engine.name}")

    isolated(work)


def check_plants(image: Image) -> None:
    """What was planted is found to the byte."""
    found = take(image)
    commands = [layer.command for layer in found.layers]
    big, chown, removed = (index(commands, text) for text in ("of=/srv/blob", "chown -R app", "rm /srv/blob"))
    assert [(item.path, item.bytes, item.layer) for item in found.hidden if item.by == removed] == [
        ("srv/blob", 50 << 20, big)
    ]
    files = [entry for entry in image.layers[chown].entries if isinstance(entry, File)]
    owned = [item for item in found.copied if item.layer == chown]
    assert sum(item.bytes for item in owned) == sum(file.size for file in files) == found.layers[chown].bytes
    assert {item.changed for item in owned} == {("owner",)}
    [alike] = [group for group in found.alike if group.bytes == DUPLICATE]
    assert [path for _, path in alike.places] == ["opt/own", "opt/again"]


@settings(max_examples=DRAWN, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chains=st.lists(CHAINS, min_size=EACH, max_size=EACH))
def test_layers_drawn_at_random_are_what_dockerd_makes_of_them(chains: list[list[list[Given]]], place: Path) -> None:
    """One daemon for several images, because starting it takes longest."""
    require(driver="docker/overlay2")

    def work() -> None:
        with made("ext4", place, size=600 << 20) as volume:
            engine = Docker(volume.path / "docker", "overlay2")
            engine.home.mkdir()
            engine.start()
            files: list[int] = []
            try:
                for number, chain in enumerate(chains):
                    layers, _ = layers_of(chain, files)
                    if layers:
                        archive = volume.path / f"{number}.tar"
                        images.save(layers, [len(layers)], 0, archive)
                        with source.opened(str(archive), volume.path) as image:
                            check_layers(image, engine, archive, volume.path / f"{number}")
            finally:
                engine.stop()
                for file in files:
                    os.close(file)

    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr(blobs, "RESERVE", 1 << 20)
        isolated(work)


def check_trees(image: Image, engine: Docker | Podman, archive: Path, home: Path) -> None:
    """Start an engine, and hold each layer's directory against the one that it makes of the same archive."""
    engine.home.mkdir()
    engine.start()
    try:
        check_layers(image, engine, archive, home)
    finally:
        engine.stop()


def check_layers(image: Image, engine: Docker | Podman, archive: Path, home: Path) -> None:
    """Hold each layer's directory against the one that an engine makes of the same archive."""
    driver = Overlay2()
    layers = [layer.entries for layer in image.layers]
    stack = driver.build(home, layers, (len(layers),), 0)
    container = driver.create_read_write(stack, len(layers))
    engine.load(archive)
    theirs = engine.layers([layer.digest for layer in image.layers])
    for number, path in enumerate(theirs):
        assert facts(driver.layer_path(container, number)) == facts(path)


def check_inventory(image: Image) -> None:
    """What was planted is found to the byte."""
    found = take(image)
    commands = [layer.command for layer in found.layers]
    big, chown, removed = (index(commands, text) for text in ("dd if=", "chown -R", "rm /big"))
    deleted: list[Any] = [item for item in found.hidden if item.how == "deleted" and item.layer == big]
    assert [(item.path, item.bytes, item.by) for item in deleted] == [("big", BIG, removed)]
    owned = [item for item in found.copied if item.layer == chown]
    assert len(owned) == OWNED
    assert {item.changed for item in owned} == {("owner", "group")}
    assert found.layers[chown].copied == OWNED * 10_000
    [alike] = [group for group in found.alike if group.bytes == DUPLICATE]
    assert [path for _, path in alike.places] == ["opt/own", "opt/again"]
    assert found.alike_bytes == DUPLICATE
    assert found.shipped - found.hidden_bytes == found.bytes


def index(texts: list[str], part: str) -> int:
    return next(number for number, text in enumerate(texts) if part in text)
