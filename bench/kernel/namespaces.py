"""Private mount and PID namespaces for a piece of work: when it dies, the kernel undoes all of it."""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING

from bench.kernel import libc, mounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["TETHER", "private_mounts", "run_isolated"]

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
PR_SET_PDEATHSIG = 1
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_LOST = 2  # the work was killed from outside
# Before a command: it is killed when the thread that started it ends (setpriv(1), of util-linux).
TETHER = ("setpriv", "--pdeathsig", "KILL")


def private_mounts() -> None:
    """Give the calling thread a mount namespace of its own, for good; what it starts from now on shares it.

    For a process that cannot be forked, such as a test runner's: its mounts go when the last of those in the
    namespace has ended. The other threads it has stay outside, and no longer share its working directory.
    Raises OSError when the kernel refuses.
    """
    libc.call("unshare", CLONE_NEWNS)  # implies CLONE_FS; only user namespaces ask for a single thread
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)


def run_isolated(work: Callable[[], int], *, user_namespace: bool) -> int:
    """Run `work` as PID 1 of new mount and PID namespaces and return its exit status.

    With `user_namespace` an ordinary user gets there too, as root of a namespace that maps only
    that user. Three processes: this one forwards signals; the second made the namespaces; the
    third is `work`. Each dies with its parent, and with the third its mounts and children go.
    Raises OSError when the kernel refuses the namespaces (EPERM, ENOSYS, ENOSPC).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    refused_read, refused_write = os.pipe()
    parent = os.getpid()
    with _Forwarding() as forwarding:
        middle = os.fork()
        if middle == 0:
            os.close(refused_read)
            _leave(lambda: _middle(work, user_namespace, parent, refused_write))
        os.close(refused_write)
        forwarding.target = middle
        status = _wait(middle)
    refusal = os.read(refused_read, 64)
    os.close(refused_read)
    if refusal:
        raise OSError(int(refusal), os.strerror(int(refusal)), "unshare")
    return status


def _middle(work: Callable[[], int], user_namespace: bool, parent: int, refused: int) -> int:
    _die_with_parent()
    uid, gid = os.getuid(), os.getgid()
    try:
        libc.call("unshare", CLONE_NEWNS | CLONE_NEWPID | (CLONE_NEWUSER if user_namespace else 0))
        if user_namespace:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"0 {uid} 1")
            _write("/proc/self/gid_map", f"0 {gid} 1")
        _die_with_parent()  # new credentials clear it (kernel/cred.c, commit_creds)
        mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    except OSError as error:
        os.write(refused, str(error.errno or 1).encode())
        return EXIT_LOST
    os.close(refused)
    if os.getppid() != parent:
        return EXIT_LOST
    alive_read, alive_write = os.pipe()
    with _Forwarding() as forwarding:
        worker = os.fork()
        if worker == 0:
            os.close(alive_write)
            _leave(lambda: _worker(work, alive_read))
        forwarding.target = worker
        return _wait(worker)


def _worker(work: Callable[[], int], alive: int) -> int:
    _die_with_parent()
    if select.select([alive], [], [], 0)[0]:  # end of file: the parent died before the prctl
        return EXIT_LOST
    os.close(alive)
    for number in FORWARDED:
        signal.signal(number, signal.default_int_handler)
    return work()


def _leave(body: Callable[[], int]) -> None:
    """Run the body of a forked child and end the process without the parent's clean-up."""
    status = EXIT_LOST
    try:
        status = body()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # the reader has gone; there is nobody to tell
                status = status or EXIT_LOST
        os._exit(status)


def _die_with_parent() -> None:
    libc.call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: int) -> int:
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else EXIT_LOST


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class _Forwarding:
    """While entered, pass the stopping signals on to `target` instead of dying of them."""

    def __init__(self) -> None:
        self.target = 0
        self._before: dict[int, object] = {}

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self.target:
            try:
                os.kill(self.target, number)
            except ProcessLookupError:  # it ended just now; waitpid will say so
                self.target = 0

    def __enter__(self) -> _Forwarding:
        for number in FORWARDED:
            self._before[number] = signal.signal(number, self._forward)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
