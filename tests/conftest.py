"""What all tests share: tests marked `root` need root, and a directory that file systems can be made in."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from bench.errors import BenchError
from bench.host import workdir
from tests import apart

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.register_assert_rewrite("tests.cli.command", "tests.cli.waiting", "tests.scenarios.blocks")

# Without deadline: on a shared machine a slow example proves nothing. `differing_executors`: a property
# that mounts runs in a forked child.
settings.register_profile("bench", deadline=None, suppress_health_check=[HealthCheck.differing_executors])
settings.load_profile("bench")


def pytest_configure(config: pytest.Config) -> None:
    """Have SIGINT as it is by default: a shell's job in the background ignores it, and so would all that tests start.

    pytest itself could not be interrupted either, and a test that sends SIGINT to a child would wait for ever.
    As root, each process that runs tests has namespaces of its own, and a work directory in memory where there is room.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    controls = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if sys.platform == "linux" and os.geteuid() == 0 and not controls:
        apart.leave()
        if "BENCH_WORKDIR" not in os.environ and (directory := apart.memory_directory()):
            os.environ["BENCH_WORKDIR"] = str(directory)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, what in {"boots": "boots several guests", "debian": "builds images from Debian's packages"}.items():
        if marker not in str(config.getoption("markexpr")):
            asked = pytest.mark.skip(reason=f"it {what}; -m {marker} runs it")
            for item in items:
                if item.get_closest_marker(marker) is not None:
                    item.add_marker(asked)
    for item in items:  # of one group, so that they run in one process and none waits for another
        if _lock_of_flushes(item) is not None and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("flushes"))
    if sys.platform == "linux" and os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="it mounts file systems, which needs root on Linux")
    for item in items:
        if item.get_closest_marker("root") is not None:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _times_do_not_matter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the files below volumes sparse and wait for no quiet CPU: that changes times, and no test asserts a time.

    Tests that are about full files are marked `filled`.
    """
    monkeypatch.setattr("bench.measure.runner.PATIENCE", 0)
    if request.node.get_closest_marker("filled") is None:
        monkeypatch.setattr("bench.kernel.loop.fill", lambda descriptor, size: None)


def _lock_of_flushes(item: pytest.Item) -> int | None:
    """Return the lock of a test that makes zfs-fuse call sync(2), or that counts the flushes of a first write."""
    if item.get_closest_marker("root") is None:
        return None
    if "zfs" in item.name:
        return fcntl.LOCK_EX
    counts = any(word in item.name for word in ("copy_up", "every_scenario", "flush"))
    return fcntl.LOCK_SH if counts else None


@pytest.fixture(autouse=True)
def _syncs_and_counts_of_flushes_apart(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have no sync(2) of zfs-fuse while another process counts the flushes of a first write: it flushes all devices."""
    how = _lock_of_flushes(request.node)
    if how is None:
        yield
        return
    with open(__file__) as file:
        fcntl.flock(file, how)
        yield


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for work, on a disk: pytest's own may lie on tmpfs or overlay."""
    path = Path(tempfile.mkdtemp(prefix="bench-test-", dir=workdir.default())).resolve()
    try:
        try:
            workdir.check(path)
        except BenchError as error:
            pytest.skip(f"{error} (tests: set BENCH_WORKDIR)")
        yield path
    finally:
        shutil.rmtree(path)
