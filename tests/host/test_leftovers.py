"""Only what is provably a dead run's is removed."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.host import leftovers
from bench.host.leftovers import Leftover, WorkDirectory, find, remove
from bench.kernel import mounts
from tests.host.isolated import isolated, needs_root


def directories(workdir: Path) -> list[Leftover]:
    return [item for item in find(workdir) if item.kind == "directory"]


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """The directory of a run that was killed with SIGKILL."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with WorkDirectory(tmp_path) as path:
            (path / "volume").mkdir()
            (path / "volume" / "file").write_text("content")
            os.write(writing, b".")
            signal.pause()
    os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    [path] = tmp_path.iterdir()
    return path


def test_work_directory_is_private_and_goes(tmp_path: Path) -> None:
    with WorkDirectory(tmp_path) as path:
        assert path.parent == tmp_path
        assert path.name.startswith("bench-work-")
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        owner = json.loads((path / ".bench-owner").read_text())
        assert owner["magic"] == "layer-bench"
        assert owner["pid"] == os.getpid()
        assert owner["boot_id"]
        (path / "sub").mkdir()
        (path / "sub" / "file").touch()
    assert list(tmp_path.iterdir()) == []


def test_work_directory_goes_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), WorkDirectory(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_work_directory_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot make a directory for the run"), WorkDirectory(tmp_path / "nothing"):
        pass


def test_a_directory_in_use_is_not_found(tmp_path: Path) -> None:
    with WorkDirectory(tmp_path) as path:
        assert directories(tmp_path) == []
        with pytest.raises(BenchError, match="in use by a run"):
            remove(Leftover("directory", path, "", removable=True))
        assert path.exists()


def test_a_forked_process_of_the_run_keeps_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    directory = WorkDirectory(tmp_path)
    path = directory.__enter__()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(directory._lock)  # as the parent's death would
    try:
        assert directories(tmp_path) == []
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        os.close(reading)
    assert [item.path for item in directories(tmp_path)] == [path]


def test_a_dead_run_is_found_and_removed(tmp_path: Path, dead: Path) -> None:
    [item] = directories(tmp_path)
    assert item == Leftover("directory", dead, "of a run that was killed", removable=True)
    remove(item)
    assert list(tmp_path.iterdir()) == []


def test_content_behind_a_link_stays(tmp_path: Path, dead: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (dead / "link").symlink_to(outside)
    remove(directories(tmp_path)[0])
    assert (outside / "precious").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be opened"),
        ("", "is not one of this suite"),
        ("[]", "is not one of this suite"),
        ('{"magic": "other", "pid": 1, "boot_id": ""}', "is not one of this suite"),
        ('{"magic": "layer-bench"}', "is not one of this suite"),
        ("\udcff", "is not one of this suite"),
    ],
)
def test_what_only_looks_like_ours_is_reported_and_kept(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "bench-work-x"
    path.mkdir()
    if content is not None:
        (path / ".bench-owner").write_bytes(os.fsencode(content))
    [item] = directories(tmp_path)
    assert reason in item.reason
    assert not item.removable
    with pytest.raises(BenchError, match="not provably of this suite"):
        remove(item)
    with pytest.raises(BenchError, match=reason):
        remove(Leftover("directory", path, "", removable=True))
    assert path.exists()


def test_links_are_refused(tmp_path: Path, dead: Path) -> None:
    link = tmp_path / "bench-work-link"
    link.symlink_to(dead)
    item = next(item for item in directories(tmp_path) if item.path == link)
    assert item.reason == "it is a symbolic link"
    with pytest.raises(BenchError, match="symbolic link"):
        remove(Leftover("directory", link, "", removable=True))
    assert dead.exists()


def test_a_linked_owner_file_is_refused(tmp_path: Path, dead: Path) -> None:
    other = tmp_path / "bench-work-other"
    other.mkdir()
    (other / ".bench-owner").symlink_to(dead / ".bench-owner")
    item = next(item for item in directories(tmp_path) if item.path == other)
    assert not item.removable


@needs_root
def test_another_users_is_refused(tmp_path: Path, dead: Path) -> None:
    os.chown(dead, 65534, 65534)
    [item] = directories(tmp_path)
    assert item.reason == "it belongs to user 65534"
    assert not item.removable


@needs_root
def test_a_mount_point_inside_is_refused(tmp_path: Path, dead: Path) -> None:
    def work() -> None:
        [before] = directories(tmp_path)
        mounts.mount("none", dead / "volume", "tmpfs")
        (dead / "volume" / "precious").touch()
        with pytest.raises(BenchError, match="volume is mounted"):
            remove(before)
        [item] = directories(tmp_path)
        assert not item.removable
        assert (dead / "volume" / "precious").exists()

    isolated(work)
    assert (dead / "volume" / "file").exists()


@needs_root
def test_the_run_itself_does_not_delete_across_a_mount(tmp_path: Path) -> None:
    def work() -> None:
        directory = WorkDirectory(tmp_path)
        volume = directory.__enter__() / "volume"
        volume.mkdir()
        mounts.mount("none", volume, "tmpfs")
        with pytest.raises(BenchError, match="is mounted"):
            directory.__exit__(None, None, None)

    isolated(work)


@needs_root
def test_overlay_below_a_runs_directory_is_reported(tmp_path: Path, dead: Path) -> None:
    def work() -> None:
        mounts.mount("none", dead, "tmpfs")
        for name in ("one", "two", "merged"):
            (dead / name).mkdir()
        mounts.mount("overlay", dead / "merged", "overlay", options=f"lowerdir={dead}/two:{dead}/one")
        [item] = [item for item in find(tmp_path) if item.kind == "mount"]
        assert item.path == dead / "merged"
        assert not item.removable

    isolated(work)


def test_loop_devices_of_deleted_files_and_of_the_work_directory_are_reported(tmp_path: Path) -> None:
    sys = tmp_path / "sys"
    backing = {"loop0": "/srv/other.img", "loop1": "/var/tmp/#12 (deleted)", "loop2": f"{tmp_path}/work/image"}
    for name, file in backing.items():
        (sys / "block" / name / "loop").mkdir(parents=True)
        (sys / "block" / name / "loop" / "backing_file").write_text(f"{file}\n")
    (sys / "block" / "loop3").mkdir()  # attached to nothing
    found = [item for item in find(tmp_path / "work", sys=sys) if item.kind == "loop device"]
    assert [item.path for item in found] == [Path("/dev/loop1"), Path("/dev/loop2")]
    assert "deleted (/var/tmp/#12)" in found[0].reason
    assert not any(item.removable for item in found)


def test_nothing_is_found_where_there_is_no_directory(tmp_path: Path) -> None:
    assert leftovers.find(tmp_path / "nothing", sys=tmp_path) == []
