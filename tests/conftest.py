"""What all tests share: tests marked `root` need root, and a directory that file systems can be made in."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from bench.errors import BenchError
from bench.host import workdir

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, net/if.h

# Without deadline: on a shared machine a slow example proves nothing. `differing_executors`: a property
# that mounts runs in a forked child.
settings.register_profile("bench", deadline=None, suppress_health_check=[HealthCheck.differing_executors])
settings.load_profile("bench")


def pytest_configure(config: pytest.Config) -> None:
    """Have SIGINT as it is by default: a shell's job in the background ignores it, and so would all that tests start.

    pytest itself could not be interrupted either, and a test that sends SIGINT to a child would wait for ever.
    Where several processes run tests (pytest-xdist), each has namespaces of its own.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") and sys.platform == "linux" and os.geteuid() == 0:
        _go_apart()


def _go_apart() -> None:
    """Leave the network namespace, which the lock of a run is of, and the mounts to the other processes."""
    from bench.kernel import libc, namespaces

    namespaces.private_mounts()
    libc.call("unshare", CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # the browser's driver listens on lo
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP).ljust(40, b"\0"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform == "linux" and os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="it mounts file systems, which needs root on Linux")
    for item in items:
        if item.get_closest_marker("root") is not None:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _volumes_are_not_filled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the files below volumes sparse, which saves minutes: that changes times, and no test asserts a time.

    Tests that are about it are marked `filled`.
    """
    if request.node.get_closest_marker("filled") is None:
        monkeypatch.setattr("bench.kernel.loop.fill", lambda descriptor, size: None)


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
