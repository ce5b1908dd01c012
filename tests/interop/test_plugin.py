"""The pytest plugin for real: containers for somebody's tests, and nothing left of them however pytest ends."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bench import discovery
from bench.containers.choice import Choice, UnavailableError
from bench.containers.stacks import Stacks
from bench.errors import BenchError
from tests.cli.command import TIMEOUT
from tests.host.isolated import isolated
from tests.integration.nobody import Nobody, as_him, readable_checkout
from tests.integration.places import DRIVERS, LOOPED, require
from tests.integration.traces import left, processes
from tests.interop.session import Session, counted, documented, options

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root
START_SECONDS = 30.0  # within which a session has its containers


@pytest.fixture
def session(place: Path) -> Session:
    return Session(place)


def ran(session: Session, *arguments: str, left_over: bool = False) -> tuple[dict[str, int], str]:
    """Run a session that leaves nothing; return its counts and what it said."""
    with session.nothing_left(results=True):
        done = session(*arguments)
    assert session.temporary() == []
    assert "INTERNALERROR" not in done.out + done.err
    return counted(done), done.out


def test_the_documented_tests_run(session: Session) -> None:
    require(volume="ext4", driver="overlay2")
    require(volume="xfs")
    files = documented()
    assert set(files) == {"test_my_tool.py", "test_content.py", "test_tree.py"}
    session.write(**{name.removesuffix(".py"): code for name, code in files.items()})
    told = session.home / "told.json"
    counts, said = ran(session, f"--benchmark-json={told}", "--benchmark-max-time=0.1", "-W", "error")
    assert counts == {"passed": 6}, said
    known = {item["name"]: item for item in json.loads(told.read_text())["benchmarks"]}
    assert {name: item["extra_info"] for name, item in known.items()} == {
        "test_reading": {"arm": "overlay2@ext4", "depth": 8},
        "test_first_write[native]": {"arm": "native@ext4", "depth": 8},
        "test_first_write[overlay2]": {"arm": "overlay2@ext4", "depth": 8},
    }
    assert known["test_first_write[overlay2]"]["stats"]["rounds"] == 20


WAITING = """
import time
from pathlib import Path
import pytest

@pytest.mark.layers(driver="fuse-overlayfs")
def test_waiting(overlay_containers, overlay_container):
    (overlay_container.merged / "data/0-0").write_bytes(b"x")
    overlay_containers()
    Path(__file__).with_name("ready").touch()
    time.sleep(600)
"""


@contextmanager
def started(session: Session) -> Iterator[subprocess.Popen[str]]:
    """Start pytest, and yield it once its test is running; where that or a check fails, it is not waited for."""
    with session.start() as process:
        try:
            end = time.monotonic() + START_SECONDS
            while not (session.home / "ready").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_session_that_is_killed_leaves_nothing(number: signal.Signals, session: Session) -> None:
    require(volume="ext4", driver="fuse-overlayfs")
    session.write(test_waiting=WAITING)
    before = session.traces()
    with started(session) as process:
        now = session.traces() - before
        assert len(now.loops) == 1
        assert sum("fuse-overlayfs -f" in command for command in now.processes) == 2
        assert not now.mounts, "its mounts are its own"
        process.send_signal(number)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == (2 if number == signal.SIGINT else -number)
    more = left(session.work, session.mark, before)
    assert not more, more
    assert session.temporary() == []


def test_a_daemon_dies_with_pytest_alone(session: Session) -> None:
    """Not by a signal to the group or session: the daemon has a session of its own."""
    require(volume="ext4", driver="fuse-overlayfs")
    session.write(test_waiting=WAITING)
    with started(session) as process:
        daemons = [pid for pid in processes(session.mark) if pid != process.pid]
        assert len(daemons) == 2
        assert all(os.getsid(pid) == pid for pid in daemons)
        process.kill()
        process.communicate(timeout=TIMEOUT)
    end = time.monotonic() + START_SECONDS
    while processes(session.mark):
        assert time.monotonic() < end
        time.sleep(0.05)


FRESH = """
import os
import pytest

def look(container):
    path = container.merged / "data/0-0"
    assert len(path.read_bytes()) == 4096
    assert len(os.listdir(container.merged / "data")) == 16 * container.depth
    path.write_bytes(b"changed")
    (container.merged / "data/1-0").unlink()
    if container.upper is not None:
        assert (container.upper / "data/0-0").read_bytes() == b"changed"
    assert len((container.image(0) / "data/0-0").read_bytes()) == 4096
    assert (container.image(-1) / f"data/{container.depth - 1}-15").exists()

@pytest.mark.parametrize("again", [1, 2])
def test_each_test(again, overlay_container):
    look(overlay_container)

def test_each_call(overlay_containers):
    containers = [overlay_containers() for _ in range(3)]
    for container in containers:
        look(container)
    assert len({container.merged for container in containers}) == 3
    overlay_containers.remove(containers[1])
    assert not containers[1].merged.exists()
    assert containers[2].merged.exists()
"""


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_container_is_fresh(driver: str, session: Session) -> None:
    require(volume="ext4", driver=driver)
    if not discovery.driver(driver).copies_on_write:
        pytest.skip(f"{driver} has no copy-on-write")
    session.write(test_fresh=FRESH)
    counts, said = ran(session, "--layer-driver", driver, "--layer-depth", "3", "-p", "no:benchmark", "-W", "error")
    assert counts == {"passed": 3}, said


ROOM = """
import os

def test_room(overlay_container, pytestconfig):
    state = os.statvfs(overlay_container.merged)
    assert state.f_bavail * state.f_frsize >= pytestconfig.getoption("layer_space")
    assert state.f_favail >= pytestconfig.getoption("layer_space") // 16384
"""


@pytest.mark.parametrize("space", ["1MiB", "300MiB", "8GiB"])
@pytest.mark.parametrize("volume", LOOPED)
def test_there_is_the_room_that_was_asked_for(volume: str, space: str, session: Session) -> None:
    require(volume=volume, driver="overlay2")
    session.write(test_room=ROOM)
    counts, said = ran(session, "--layer-volume", volume, "--layer-space", space)
    assert counts == {"passed": 1}, said


OPEN = """
import os

def test_open(overlay_container):
    global held
    held = open(overlay_container.merged / "data/0-0")

def test_inside(overlay_container, monkeypatch):
    os.chdir(overlay_container.merged)

def test_after(overlay_container):
    os.chdir("/")
    assert len(os.listdir(overlay_container.merged / "data")) == 128
"""


@pytest.mark.parametrize("driver", ["overlay2", "fuse-overlayfs"])
def test_what_a_test_leaves_open_is_told_and_disturbs_no_other(driver: str, session: Session) -> None:
    require(volume="ext4", driver=driver)
    session.write(test_open=OPEN)
    counts, said = ran(session, "--layer-driver", driver)
    assert counts == {"passed": 3, "warnings": 2}, said
    assert said.count("was unmounted although a file in it is open, or a process works there") >= 2


BROKEN = """
import pytest
from bench.layers.content import Directory, File

def test_no_room(overlay_container):
    pass

@pytest.fixture
def layer_content(request):
    return {
        "test_no_room": lambda index: [File("large", 1 << 40)],
        "test_no_entries": lambda index: [("a", b"")],
        "test_not_to_be_written": lambda index: [File("n" * 300, 1)],
        "test_good": None,
    }[request.node.name]

def test_no_entries(overlay_container):
    pass

@pytest.mark.layers(driver="vfs")
def test_not_to_be_written(overlay_container):
    pass

def test_good(overlay_container):
    pass
"""


def test_what_cannot_be_built_is_one_line_and_leaves_the_rest(session: Session) -> None:
    require(volume="ext4", driver="overlay2")
    session.write(test_broken=BROKEN)
    counts, said = ran(session, "--layer-depth", "2")
    assert counts == {"passed": 1, "error": 3}, said
    assert "Traceback" not in said
    assert "stacks.py" not in said
    assert "not enough space in" in said
    assert "give a --layer-workdir on a larger file system, or less --layer-space" in said
    assert "the content of layer 0 has ('a', b''); return Directory, File, Link and HardLink" in said
    assert "building 2 layers for vfs@ext4 failed: " in said


class Guest(Nobody):
    """Sessions of an ordinary user."""

    def command(self, *arguments: str, code: str = "") -> list[str]:
        where = ["--rootdir", str(self.home), "--basetemp", str(self.home / "tmp"), str(self.home)]
        return as_him(self.python, "-m", "pytest", "-rA", *options(), *arguments, *where)


@pytest.mark.xdist_group("nobody")
def test_an_ordinary_user_is_skipped_with_what_root_would_add(place: Path) -> None:
    with readable_checkout() as code:
        guest = Guest(place, code)
        guest.environment = {"PYTEST_ADDOPTS": "", "COLUMNS": "300"}
        (guest.home / "test_fresh.py").write_text(FRESH)
        with guest.nothing_left(results=True):
            done = guest("--layer-volume", "xfs")
    assert done.status == 0, done
    assert counted(done) == {"skipped": 3}, done.out
    assert "no volume xfs here: loop devices and mounts need root; run as root to add xfs volumes" in done.out


def test_root_that_may_not_mount_is_skipped(session: Session) -> None:
    require(volume="ext4", driver="overlay2")
    session.write(test_fresh=FRESH)
    command = session.command()
    bare = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    session.command = lambda *arguments, code="": [*bare, *command]  # type: ignore[method-assign]
    counts, said = ran(session)
    assert counts == {"skipped": 3}, said
    words = "no private mount namespace here: unshare: Operation not permitted; run as root outside of a container"
    assert words in said


def test_a_file_system_without_types_in_listings_is_skipped(session: Session) -> None:
    require(volume="ext4", driver="overlay2")
    session.write(test_fresh=FRESH)
    session.write(
        conftest="""
import dataclasses
import bench.volumes.ext4 as ext4

ext4.VOLUME = dataclasses.replace(ext4.VOLUME, arguments=("-O", "^filetype", *ext4.VOLUME.arguments))
"""
    )
    counts, said = ran(session)
    assert counts == {"skipped": 3}, said
    assert "no overlay2@ext4 here: its file system does not tell the type of a name in a listing (d_type)" in said


LINKED = """
from bench.layers.content import File, HardLink

def layer(index):
    return [File("bin/tool", 100), HardLink("bin/other", "bin/tool")] if index == 0 else []

@pytest.mark.layers(driver=["native", "overlay2", "overlay2,index=on"], content=layer, depth=2)
def test_names(overlay_container):
    one, other = (overlay_container.merged / name for name in ("bin/tool", "bin/other"))
    assert one.stat().st_nlink == 2 and one.samefile(other)
    with one.open("ab") as file:
        file.write(b"more")
    breaks = overlay_container.driver == "overlay2"
    assert other.stat().st_size == (100 if breaks else 104)
    assert one.stat().st_nlink == (1 if breaks else 2)
"""


def test_names_of_one_file_are_content(session: Session) -> None:
    """Without an index the kernel's copy_up breaks a hard link of the image."""
    require(volume="ext4", driver="overlay2")
    session.write(test_linked=f"import pytest\n{LINKED}")
    counts, said = ran(session)
    assert counts == {"passed": 3}, said


def test_a_missing_program_is_skipped_with_the_command_that_adds_it(session: Session) -> None:
    session.write(test_fresh=FRESH)
    session.write(
        conftest="""
import bench.volumes.base as base
from bench.host.packages import install_hint

base.require_program = lambda program: base.Support.no(f"the program {program} is not installed", install_hint(program))
"""
    )
    counts, said = ran(session, "--layer-volume", "xfs")
    assert counts == {"skipped": 3}, said
    assert "no volume xfs here: the program mkfs.xfs is not installed; apt-get install xfsprogs" in said


def test_a_directory_where_nothing_can_be_stacked_is_refused_or_skipped(session: Session) -> None:
    """Refused where it was named, skipped where it is the default."""
    session.write(test_fresh=FRESH)
    done = session("--layer-workdir", "/no/such")
    assert done.status == 4
    assert "ERROR: cannot work in /no/such: it does not exist" in done.err
    session.environment["BENCH_WORKDIR"] = "/no/such"
    done = session()
    assert counted(done) == {"skipped": 3}
    assert (
        "cannot work in /no/such: it does not exist; `mkdir /no/such`, or give another with --layer-workdir" in done.out
    )


@pytest.mark.parametrize("where", ["loop.LoopDevice", "mounts.mount"])
def test_a_machine_that_forbids_volumes_lacks_them(where: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container without the devices, or a security module, does."""
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        (place / "stage").mkdir()
        stacks = Stacks(place / "stage", place, space=1 << 20)
        stacks._isolate()

        def forbidden(*arguments: object, **more: object) -> None:
            raise PermissionError(1, os.strerror(1))

        monkeypatch.setattr(f"bench.volumes.base.{where}", forbidden)
        with pytest.raises(UnavailableError, match="Operation not permitted"):
            stacks.prepare(Choice("overlay2", "ext4", 2))
        stacks.close()
        assert os.listdir(place / "stage") == []

    isolated(work)


def test_a_thread_outside_of_the_namespace_is_told(place: Path) -> None:
    require(volume="ext4", driver="overlay2")

    def work() -> None:
        (place / "stage").mkdir()
        go, done, seen = threading.Event(), threading.Event(), list[Any]()
        stacks = Stacks(place / "stage", place, space=1 << 20)
        choice = Choice("overlay2", "ext4", 2)

        def outside() -> None:
            go.wait()
            try:
                stacks.prepare(choice)
            except BenchError as error:
                seen.append(str(error))
            done.set()

        thread = threading.Thread(target=outside)
        thread.start()
        with stacks.container(choice) as container:
            go.set()
            done.wait()
            assert len(os.listdir(container.merged / "data")) == 32
        thread.join()
        stacks.close()
        assert seen == [
            "no container in this thread: the mounts are those of another, which made the first container; "
            "make all containers in the thread that runs the tests"
        ]
        assert os.listdir(place / "stage") == []

    isolated(work)
