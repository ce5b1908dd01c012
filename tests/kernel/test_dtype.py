"""Whether listings have the type of each name, and times nanoseconds, on real file systems with and without."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.kernel.dtype import reports_types
from bench.layers.changes import naive
from bench.volumes.base import UNEVEN, keeps_nanoseconds
from tests.host.isolated import isolated
from tests.integration.places import require

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.mark.parametrize(("arguments", "told"), [((), True), (("-O ^filetype",), False)])
def test_ext4_reports_types_with_the_feature(arguments: tuple[str, ...], told: bool, place: Path) -> None:
    require(volume="ext4")

    def work() -> None:
        recipe = discovery.volume("ext4").varied(arguments)
        volume = recipe.make(place / "volume", place, size=64 << 20, inodes=1000)
        try:
            assert reports_types(volume.path) == told
            assert os.listdir(volume.path) == ["lost+found"]
            for name in ("overlay2", "overlay", "fuse-overlayfs"):
                support = discovery.driver(name)().admits(volume.path)
                assert support.ok == told
                assert told or "(d_type)" in support.reason
            for name in ("native", "vfs", "unionfs-fuse"):
                assert discovery.driver(name)().admits(volume.path).ok
        finally:
            volume.close()

    isolated(work)


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        reports_types(tmp_path / "missing")


@pytest.mark.parametrize(("arguments", "told"), [((), True), (("-I 128",), False)])
def test_ext4_keeps_nanoseconds_in_large_inodes(arguments: tuple[str, ...], told: bool, place: Path) -> None:
    require(volume="ext4")

    def work() -> None:
        recipe = discovery.volume("ext4").varied(arguments)
        volume = recipe.make(place / "volume", place, size=64 << 20, inodes=1000)
        try:
            assert keeps_nanoseconds(volume.path) == told
            assert os.listdir(volume.path) == ["lost+found"]
            before, after = (volume.path / name for name in ("before", "after"))
            for directory, content in ((before, "one"), (after, "two")):
                directory.mkdir()
                (directory / "edited").write_text(content)
                os.utime(directory / "edited", ns=(UNEVEN + len(list(volume.path.iterdir())),) * 2)
            assert len(list(naive(before, after))) == told
        finally:
            volume.close()

    isolated(work)
