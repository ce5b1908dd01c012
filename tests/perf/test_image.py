"""Reading, checking and laying out a user's image, beside `docker load` of the same archive in the same run."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.drivers.overlay2 import Overlay2
from bench.engines import images
from bench.engines.docker import Docker
from bench.image import source
from bench.layers.content import Directory, File
from tests.host.isolated import isolated
from tests.integration.places import made, require

if TYPE_CHECKING:
    from pathlib import Path

    from bench.layers.content import Entry

LAYERS, FILES, BYTES = 30, 500, 68_000  # 1 GB
ROUNDS = 3


def layers() -> list[list[Entry]]:
    return [
        [Directory("every"), *(File(f"every/{number}-{index}", BYTES) for index in range(FILES))]
        for number in range(LAYERS)
    ]


@pytest.mark.root
@pytest.mark.slow
def test_an_image_of_a_gigabyte(benchmark: Any, place: Path) -> None:
    """The fastest of our rounds takes no longer than the fastest of docker's; neither waits for the device."""
    if benchmark.disabled:
        pytest.skip("its answer is a time; `./noxw -s perf` asks for it")
    require(driver="docker/overlay2")
    archive = place / "image.tar"
    images.save(layers(), [LAYERS], 1, archive)

    def work() -> None:
        times: dict[str, list[float]] = {"docker": [], "ours": []}
        with made("ext4", place, size=5 << 30, inodes=80_000) as volume:
            engine = Docker(volume.path / "docker", "overlay2")
            engine.home.mkdir()
            engine.start()
            try:
                for _ in range(ROUNDS):
                    times["docker"].append(timed(lambda: engine.load(archive), volume))
                    engine._docker("rmi", images.image_name(LAYERS), action="remove an image")
                    times["ours"].append(timed(lambda: lay_out(archive, place, volume.path / "ours"), volume))
                    shutil.rmtree(volume.path / "ours")
            finally:
                engine.stop()
        print(times)
        assert min(times["ours"]) <= min(times["docker"]), times

    benchmark.pedantic(isolated, args=(work,), rounds=1)


def timed(operation: Any, volume: Any) -> float:
    volume.sync()
    start = time.perf_counter()
    operation()
    return time.perf_counter() - start


def lay_out(archive: Path, place: Path, home: Path) -> None:
    with source.opened(str(archive), place) as image:
        entries = [layer.entries for layer in image.layers]
        Overlay2().build(home, entries, (len(entries),), 0)
