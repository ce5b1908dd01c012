"""Work in namespaces of its own: its status comes back, its mounts do not, and it dies with its parents."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.kernel import mounts, namespaces
from bench.kernel.namespaces import EXIT_LOST, run_isolated
from tests.host.isolated import isolated
from tests.integration.traces import MARK, processes

ROOT = Path(__file__).resolve().parents[2]
BOUND = 20.0  # seconds that something that must happen may take


@pytest.mark.root
@pytest.mark.parametrize("status", [0, 1, 3, 130])
def test_the_status_of_the_work_comes_back(status: int) -> None:
    assert run_isolated(lambda: status, user_namespace=False) == status


@pytest.mark.root
def test_an_exception_is_printed_and_is_a_status(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise RuntimeError("it broke")

    assert run_isolated(work, user_namespace=False) == EXIT_LOST
    assert "RuntimeError: it broke" in capfd.readouterr().err


@pytest.mark.root
def test_the_work_is_process_1_and_what_it_mounts_stays_inside(tmp_path: Path) -> None:
    def work() -> None:
        assert os.getpid() == 1
        mounts.mount("none", tmp_path, "tmpfs")
        (tmp_path / "inside").touch()

    isolated(work)
    assert list(tmp_path.iterdir()) == []
    assert mounts.mount_entry(tmp_path).target != str(tmp_path)


@pytest.mark.root
def test_the_handlers_of_signals_are_as_before() -> None:
    before = [signal.getsignal(number) for number in namespaces.FORWARDED]
    run_isolated(lambda: 0, user_namespace=False)
    assert [signal.getsignal(number) for number in namespaces.FORWARDED] == before


def test_a_refusal_of_the_kernel_is_an_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *args: object, path: str | None = None) -> int:
        if name == "unshare":
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return 0

    monkeypatch.setattr("bench.kernel.namespaces.libc.call", refuse)
    with pytest.raises(PermissionError, match="unshare"):
        run_isolated(lambda: 0, user_namespace=False)


SCRIPT = """
import os, signal, subprocess, sys, time
from bench.errors import Interrupted
from bench.kernel.namespaces import run_isolated

def work():
    def stop(number, frame):
        raise Interrupted(number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    print("ready", flush=True)
    try:
        for _ in range(3000):  # a signal that comes just before a sleep begins does not end it
            time.sleep(0.1)
    except Interrupted as error:
        return 128 + error.signum
    return 0

sys.exit(run_isolated(work, user_namespace=False))
"""


def started(mark: str) -> subprocess.Popen[str]:
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def gone(mark: str) -> bool:
    end = time.monotonic() + BOUND
    while processes(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_work_and_its_status_comes_back(number: signal.Signals, tmp_path: Path) -> None:
    mark = str(tmp_path)
    with started(mark) as process:
        process.send_signal(number)
        assert process.wait(BOUND) == 128 + number
    assert gone(mark)


EARLY = """
import os, signal, sys, time
from bench.kernel.namespaces import run_isolated

def work():
    for _ in range(3000):
        time.sleep(0.1)

first, call = [os.getpid()], os.{name}
def after_the_signal(*arguments):
    if first and (os.getpid() == first[0]) == {outer}:
        first.clear()
        os.kill(os.getpid(), signal.SIGTERM)
    return call(*arguments)
os.{name} = after_the_signal
sys.exit(run_isolated(work, user_namespace=False))
"""


@pytest.mark.root
@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("name", ["fork", "pidfd_open"])
def test_no_signal_is_lost_however_early_it_comes(name: str, outer: bool) -> None:
    """Each of the two that wait gets it right before it forks, and right before it waits; the status names it."""
    script = EARLY.format(name=name, outer=outer)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, timeout=BOUND, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")


@pytest.mark.root
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_all_die_with_any_of_the_three(victim: int, tmp_path: Path) -> None:
    mark = str(tmp_path)
    with started(mark) as process:
        end = time.monotonic() + BOUND  # the fourth, the work's own child in a session of its own, may yet begin
        while len(family := processes(mark)) < 4 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(family) == 4
        os.kill(family[victim], signal.SIGKILL)
        assert process.wait(BOUND) == (EXIT_LOST if victim else -signal.SIGKILL)
    assert gone(mark)


@pytest.mark.root
def test_a_process_gets_mounts_of_its_own_for_itself_and_what_it_starts(tmp_path: Path) -> None:
    def work() -> None:
        seen_before = os.readlink("/proc/thread-self/ns/mnt")
        child = os.fork()
        if child == 0:
            namespaces.private_mounts()
            mounts.mount("none", tmp_path, "tmpfs")
            started = subprocess.run(
                ["stat", "--file-system", "--format=%T", tmp_path], capture_output=True, check=False
            )
            private = os.readlink("/proc/thread-self/ns/mnt") != seen_before
            os._exit(0 if private and started.stdout == b"tmpfs\n" else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert os.readlink("/proc/thread-self/ns/mnt") == seen_before
        assert mounts.mount_entry(tmp_path).target != str(tmp_path)

    isolated(work)


@pytest.mark.root
def test_a_tethered_command_dies_with_the_process_that_started_it() -> None:
    def work() -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            command = [*namespaces.TETHER, "sh", "-c", "echo; exec sleep 600"]
            daemon = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
            assert daemon.stdout is not None
            daemon.stdout.readline()  # by then the tether holds
            os.write(writing, str(daemon.pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(writing)
        os.waitpid(child, 0)
        number = int(os.read(reading, 16))
        assert os.waitpid(number, 0)[1] == signal.SIGKILL  # orphans are children of process 1, which this is

    isolated(work)
