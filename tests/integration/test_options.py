"""Options of overlay2 for real: what the kernel takes, what is in effect, what each does at a copy_up."""

from __future__ import annotations

import io
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from bench import discovery
from bench.drivers.effect import accepted, default, ineffective
from bench.errors import BenchError
from bench.kernel import mounts
from bench.layers.archive import export
from bench.layers.changes import naive
from bench.layers.content import Directory, File, HardLink
from bench.layers.materialise import materialise
from bench.layers.unpack import apply
from bench.model import WITHOUT_EFFECT
from bench.oracle.replay import tree
from tests.host.isolated import isolated
from tests.integration.places import made, require

if TYPE_CHECKING:
    from pathlib import Path

    from bench.layers.content import Layer

pytestmark = pytest.mark.root
FILES = 20
IMAGE: Layer = (
    Directory("d"),
    *(File(f"d/{number}", 4096) for number in range(FILES)),
    *(File(f"d/empty-{number}", 0) for number in range(FILES)),
    HardLink("d/other", "d/0"),
)


def require_option(name: str, value: str | None) -> None:
    support = accepted([(name, value)])
    if not support.ok:
        pytest.skip(support.reason)


@pytest.mark.parametrize("volume_name", ["ext4", "xfs"])
@pytest.mark.parametrize("options", [{}, {"fsync": "auto"}, {"fsync": "strict"}, {"fsync": "volatile"}])
def test_fsync_says_what_a_copy_up_flushes(options: dict[str, str], volume_name: str, place: Path) -> None:
    require(volume=volume_name, driver="overlay2")
    for name, value in options.items():
        require_option(name, value)

    def work() -> None:
        with made(volume_name, place) as volume:
            driver = discovery.driver("overlay2")(options)
            stack = driver.build(volume.path / "home", [IMAGE], (1,), 1)
            container = driver.create_read_write(stack, 1)
            with driver.mount(container) as merged:
                assert WITHOUT_EFFECT not in container.how
                os.close(os.open(merged / "d/other", os.O_RDWR))  # the directory, too
                for size, prefix in ((4096, ""), (0, "empty-")):
                    volume.sync()
                    before = volume.written()[1]
                    for number in range(1, FILES):
                        os.close(os.open(merged / f"d/{prefix}{number}", os.O_RDWR))
                    each = driver.copy_up(volume.recipe, size).flushes
                    assert each is not None
                    flushes = volume.written()[1] - before
                    assert each * (FILES - 1) <= flushes <= each * (FILES - 1) + 1, (size, flushes)
            driver.remove(container)

    isolated(work)


@pytest.mark.parametrize(("options", "each"), [({}, 0), ({"fsync": "strict"}, 2)])
def test_metadata_alone_is_flushed_under_strict_only(options: dict[str, str], each: int, place: Path) -> None:
    """With metacopy a chown copies no data up."""
    require(volume="ext4", driver="overlay2")
    for name, value in options.items():
        require_option(name, value)

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")({"metacopy": "on", **options})
            container = driver.create_read_write(driver.build(volume.path / "home", [IMAGE], (1,), 1), 1)
            with driver.mount(container) as merged:
                os.chown(merged / "d/0", 5, 5)
                volume.sync()
                before = volume.written()[1]
                for number in range(1, FILES):
                    os.chown(merged / f"d/{number}", 5, 5)
                flushes = volume.written()[1] - before
                assert each * (FILES - 1) <= flushes <= each * (FILES - 1) + 1

    isolated(work)


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"volatile": "on", "fsync": "strict"}, True),
        ({"volatile": "on", "fsync": "auto"}, True),
        ({"volatile": "off", "fsync": "volatile"}, True),
        ({"volatile": "on", "fsync": "volatile"}, False),
        ({"volatile": "off", "fsync": "strict"}, False),
    ],
)
def test_volatile_is_one_thing(options: dict[str, str], refused: bool) -> None:
    if refused:
        with pytest.raises(BenchError, match=r"volatile=.* and fsync=.* contradict each other; volatile=on is fsync="):
            discovery.driver("overlay2")(options)
    else:
        assert discovery.driver("overlay2")(options).chosen == options


def test_an_option_that_the_kernel_does_not_take_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    require(driver="overlay2")
    assert accepted([("index", "off"), ("userxattr", None)]).ok
    support = accepted([("no_such", "x")])
    assert support.reason.startswith("the kernel's overlayfs does not take no_such=x: ")
    assert "Unknown parameter 'no_such'" in support.reason

    def older(fstype: str, key: str, value: str | None) -> None:
        if key == "fsync":
            raise OSError(22, "overlay: Unknown parameter 'fsync'")

    monkeypatch.setattr(mounts, "require_option", older)
    told = discovery.driver("overlay2")({"fsync": "strict"}).probe(discovery.volume("ext4"))
    assert told.reason == "the kernel's overlayfs does not take fsync=strict: overlay: Unknown parameter 'fsync'"
    assert discovery.driver("overlay2")({"metacopy": "on"}).probe(discovery.volume("ext4")).ok


SHOWN = "rw,relatime,redirect_dir=on,uuid=on,metacopy=on,fsync=volatile,lowerdir+=/a"


@pytest.mark.parametrize(
    ("asked", "shown", "without"),
    [
        ({"metacopy": "on", "redirect_dir": "on", "volatile": "on", "fsync": "volatile"}, SHOWN, []),
        ({"metacopy": "off"}, SHOWN, ["metacopy=off"]),
        ({"xino": "on", "index": "off", "nfs_export": "off"}, "rw,relatime", ["xino=on"]),
        ({"xino": "auto"}, "rw,relatime", ["xino=auto"]),
        ({"xino": "off", "redirect_dir": "off", "fsync": "auto", "volatile": "off"}, "rw", []),
        ({"redirect_dir": "follow"}, "rw", ["redirect_dir=follow"]),
        ({"volatile": "on"}, "rw,volatile", []),
        ({"volatile": "on", "fsync": "strict"}, "rw", ["volatile=on", "fsync=strict"]),
    ],
)
def test_what_is_not_shown_is_the_default(
    asked: dict[str, str], shown: str, without: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.drivers.effect.PARAMETERS", tmp_path)  # all are off
    assert ineffective(asked, shown) == without


def test_defaults_are_the_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.drivers.effect.PARAMETERS", tmp_path)
    for name in ("xino_auto", "redirect_always_follow", "index"):
        (tmp_path / name).write_text("Y\n")
    assert (default("xino"), default("redirect_dir"), default("index")) == ("auto", "follow", "on")
    assert ineffective({"xino": "auto", "redirect_dir": "off", "index": "off"}, "rw") == ["index=off"]


VALUES = [
    *(("metacopy", value) for value in ("on", "off")),
    *(("redirect_dir", value) for value in ("on", "off", "follow", "nofollow")),
    *(("index", value) for value in ("on", "off")),
    *(("nfs_export", value) for value in ("on", "off")),
    *(("volatile", value) for value in ("on", "off")),
    *(("xino", value) for value in ("on", "auto", "off")),
]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_the_record_says_which_option_had_no_effect(name: str, value: str, place: Path) -> None:
    """All layers are on one file system, where xino does nothing."""
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")({name: value})
            container = driver.create_read_write(driver.build(volume.path / "home", [IMAGE], (1,), 1), 1)
            with driver.mount(container):
                ignored = name == "xino" and value != default("xino")
                assert container.how.get(WITHOUT_EFFECT) == (f"{name}={value}" if ignored else None)

    isolated(work)


@pytest.mark.parametrize(("volume_name", "without"), [("ext4", "reflink=on"), ("xfs", None)])
def test_a_full_copy_says_whether_it_was_cloned(volume_name: str, without: str | None, place: Path) -> None:
    require(volume=volume_name, driver="vfs")

    def work() -> None:
        with made(volume_name, place) as volume:
            driver = discovery.driver("vfs")({"reflink": "on"})
            container = driver.create_read_write(driver.build(volume.path / "home", [IMAGE], (1,), 1), 1)
            assert container.how.get(WITHOUT_EFFECT) == without
            assert container.how["mount"] == f"none: a full copy{'' if without else ', cloned'}"

    isolated(work)


@pytest.mark.parametrize(
    "options", [{}, {"redirect_dir": "on"}, {"metacopy": "on"}, {"index": "on"}, {"nfs_export": "on"}]
)
def test_a_layer_has_all_that_changed_whatever_the_options(options: dict[str, str], place: Path) -> None:
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place) as volume:
            driver = discovery.driver("overlay2")(options)
            stack = driver.build(volume.path / "home", [IMAGE], (1,), 1)
            container, spare = (driver.create_read_write(stack, 1) for _ in range(2))
            with driver.mount(container) as merged, driver.mount(spare) as before:
                (merged / "d/0").open("ab").write(b"more")
                os.chmod(merged / "d/1", 0o600)
                if options.get("redirect_dir") == "on" or options.get("metacopy") == "on":
                    os.rename(merged / "d", merged / "renamed")
                own = driver.changes(container)
                changes = list(naive(before, merged) if own is None else own)
                archive = io.BytesIO()
                export(changes, merged, archive)
                plain = volume.path / "plain"
                plain.mkdir()
                materialise(IMAGE, plain, 1)
                # a layer is unpacked over the layers below, where the image's files are as they were made
                for path in plain.rglob("*"):
                    shutil.copystat(before / path.relative_to(plain), path)
                archive.seek(0)
                apply(archive, plain)
                assert tree(plain, links=False) == tree(merged, links=False)

    isolated(work)


LONG = "/".join(["w" * 100] * 3)


@pytest.mark.parametrize("depth", [3, 500])
def test_paths_beyond_what_one_option_takes_are_mounted_relatively(depth: int, place: Path) -> None:
    """fsconfig takes 255 bytes a string; nothing of what is recorded is cut."""
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        with made("ext4", place, inodes=20_000) as volume:
            (volume.path / LONG).mkdir(parents=True)
            driver = discovery.driver("overlay2")()
            layers = [(Directory("all"), File(f"all/{index}", 1)) for index in range(depth)]
            stack = driver.build(volume.path / LONG / "home", layers, (depth,), 1)
            container = driver.create_read_write(stack, depth)
            with driver.mount(container) as merged:
                assert len(os.listdir(merged / "all")) == depth
                assert container.how["mount"] == "fsconfig lowerdir+ relative to the driver's home"
                assert container.how["options"].endswith(f",lowerdir×{depth}")
                entry = mounts.mount_table()[-1]
                assert entry.target == str(merged)
                assert entry.options.count("lowerdir") == depth

    isolated(work)


@pytest.mark.parametrize("name", ["fuse-overlayfs", "unionfs-fuse", "mergerfs"])
def test_paths_beyond_what_one_argument_takes_are_named(name: str, place: Path) -> None:
    require(volume="ext4", driver=name)

    def work() -> None:
        with made("ext4", place, inodes=20_000) as volume:
            (volume.path / LONG).mkdir(parents=True)
            driver = discovery.driver(name)()
            stack = driver.build(volume.path / LONG / "home", [(File("f", 1),)] * 400, (400,), 1)
            container = driver.create_read_write(stack, 400)
            refused = pytest.raises(BenchError, match=r"cannot be told of 400 layers in .* at most 131071; choose")
            with refused, driver.mount(container):
                pass
            shallow = driver.create_read_write(stack, 300)
            with driver.mount(shallow) as merged:
                assert os.listdir(merged) == ["f"]

    isolated(work)
