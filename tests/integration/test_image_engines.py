"""A built image is read as engines read it: the same layers, the same trees; and what was planted in it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.drivers.overlay2 import Overlay2
from bench.engines.docker import Docker
from bench.engines.podman import Podman
from bench.image import blobs, source
from bench.measure.inventory import take
from tests.host.isolated import isolated
from tests.image.built import BIG, DUPLICATE, OWNED, build, facts
from tests.integration.places import made, require

if TYPE_CHECKING:
    from pathlib import Path

    from bench.image.model import Image

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


def check_trees(image: Image, engine: Docker | Podman, archive: Path, home: Path) -> None:
    """Hold each layer's directory against the one that an engine makes of the same archive."""
    driver = Overlay2()
    layers = [layer.entries for layer in image.layers]
    stack = driver.build(home, layers, (len(layers),), 0)
    container = driver.create_read_write(stack, len(layers))
    engine.home.mkdir()
    engine.start()
    try:
        engine.load(archive)
        theirs = engine.layers([layer.digest for layer in image.layers])
        for number, path in enumerate(theirs):
            assert facts(driver.layer_path(container, number)) == facts(path)
    finally:
        engine.stop()


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
