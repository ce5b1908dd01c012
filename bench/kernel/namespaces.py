"""Private mount and PID namespaces for a piece of work: when it dies, the kernel undoes all of it."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

from bench.errors import Interrupted
from bench.kernel import libc, mounts

__all__ = ["TETHER", "is_private", "private_mounts", "run_isolated"]

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
PR_SET_PDEATHSIG = 1
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_LOST = 2  # the work was killed from outside
# Before a command: it is killed when the thread that started it ends (setpriv(1), of util-linux).
TETHER = ("setpriv", "--pdeathsig", "KILL")


_private: list[str] = []  # the mount namespaces that this process and those it was forked from made


def is_private() -> bool:
    """Tell whether the calling thread is in a mount namespace that this module made."""
    return os.readlink("/proc/thread-self/ns/mnt") in _private


def private_mounts() -> None:
    """Give the calling thread a mount namespace of its own, for good; what it starts from now on shares it.

    For a process that cannot be forked, such as a test runner's: its mounts go when the last of those in the
    namespace has ended. The other threads it has stay outside, and no longer share its working directory.
    Raises OSError when the kernel refuses.
    """
    libc.call("unshare", CLONE_NEWNS)  # implies CLONE_FS; only user namespaces ask for a single thread
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    _private.append(os.readlink("/proc/thread-self/ns/mnt"))


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
        middle = forwarding.fork()
        if middle == 0:
            os.close(refused_read)
            _leave(lambda: _middle(work, user_namespace, parent, refused_write, forwarding))
        os.close(refused_write)
        status = forwarding.wait(middle)
    refusal = os.read(refused_read, 64)
    os.close(refused_read)
    if refusal:
        raise OSError(int(refusal), os.strerror(int(refusal)), "unshare")
    return status


def _middle(work: Callable[[], int], user_namespace: bool, parent: int, refused: int, forwarding: _Forwarding) -> int:
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
        _private.append(os.readlink("/proc/thread-self/ns/mnt"))
    except OSError as error:
        os.write(refused, str(error.errno or 1).encode())
        return EXIT_LOST
    os.close(refused)
    if os.getppid() != parent:
        return EXIT_LOST
    alive_read, alive_write = os.pipe()
    worker = forwarding.fork()
    if worker == 0:
        os.close(alive_write)
        _leave(lambda: _worker(work, alive_read, forwarding))
    return forwarding.wait(worker)


def _worker(work: Callable[[], int], alive: int, forwarding: _Forwarding) -> int:
    _die_with_parent()
    if select.select([alive], [], [], 0)[0]:  # end of file: the parent died before the prctl
        return EXIT_LOST
    os.close(alive)
    forwarding.hand_over(dict.fromkeys(FORWARDED, _stop))
    return work()


def _stop(number: int, frame: FrameType | None) -> None:
    """End the work that has no handler of its own yet."""
    raise Interrupted(number)


def _leave(body: Callable[[], int]) -> None:
    """Run the body of a forked child and end the process without the parent's clean-up."""
    status = EXIT_LOST
    try:
        status = body()
    except Interrupted as stop:
        status = 128 + stop.signum
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
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


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class _Forwarding:
    """While entered, pass the stopping signals on to the child that is waited for, instead of dying of them.

    None gets lost: one that comes before there is a child is kept for it, and one that comes just before waiting
    begins ends the wait (a signal handler of Python's runs only once the system call that it came before returns).
    """

    def __init__(self) -> None:
        self._target = 0
        self._kept: list[int] = []
        self._before: dict[int, Any] = {}
        self._wake: tuple[int, int] = (-1, -1)
        self._woken_before = -1

    def __enter__(self) -> _Forwarding:
        self._before = {number: signal.signal(number, self._forward) for number in FORWARDED}
        self._woken_before = signal.set_wakeup_fd(self._pipe(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc: object) -> None:
        self.hand_over(self._before, self._woken_before)

    def fork(self) -> int:
        """Fork as os.fork does; each signal is the parent's or the child's, which keeps it for its own child."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            child = os.fork()
            if child == 0:
                self._kept.clear()
                self._close()
                signal.set_wakeup_fd(self._pipe(), warn_on_full_buffer=False)
            return child
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def hand_over(self, handlers: Mapping[int, Any], wake: int = -1) -> None:
        """Leave signals to other handlers, and those that were kept as well."""
        signal.set_wakeup_fd(wake)
        self._close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in self._kept:
            signal.raise_signal(number)

    def wait(self, child: int) -> int:
        """Wait for `child`, passing signals on; return its exit status, EXIT_LOST if a signal killed it."""
        self._target = child
        for number in self._kept:
            self._send(number)
        self._kept.clear()
        ended = os.pidfd_open(child)
        try:
            while not (ready := select.select([ended, self._wake[0]], [], [])[0]) or ended not in ready:
                os.read(self._wake[0], 1)  # the handler has run by now
        finally:
            os.close(ended)
        _, status = os.waitpid(child, 0)
        self._target = 0
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else EXIT_LOST

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._target:
            self._send(number)
        else:
            self._kept.append(number)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it ended just now, which the wait will say
            os.kill(self._target, number)

    def _pipe(self) -> int:
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return self._wake[1]

    def _close(self) -> None:
        for descriptor in self._wake:
            os.close(descriptor)
