"""Private mount and PID namespaces; when the process in them dies, the kernel removes all mounts and children."""

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
# Prefix of a command that is killed when the thread that started it ends (setpriv(1), of util-linux).
TETHER = ("setpriv", "--pdeathsig", "KILL")


_private: list[str] = []  # the mount namespaces created by this process and its ancestors


def is_private() -> bool:
    """Tell whether the calling thread is in a mount namespace created by this module."""
    return os.readlink("/proc/thread-self/ns/mnt") in _private


def private_mounts() -> None:
    """Move the calling thread permanently to a new mount namespace, which its later children share.

    For a process that cannot fork for this, such as a test runner: the mounts disappear when the last process in the
    namespace has ended. Other threads of the process stay outside and no longer share the working directory.
    Raises OSError if the kernel refuses.
    """
    libc.call("unshare", CLONE_NEWNS)  # implies CLONE_FS; only user namespaces require a single thread
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    _private.append(os.readlink("/proc/thread-self/ns/mnt"))


def run_isolated(work: Callable[[], int], *, user_namespace: bool) -> int:
    """Run `work` as PID 1 of new mount and PID namespaces and return its exit status.

    With `user_namespace` an ordinary user can do this too, as root of a user namespace that maps only that user.
    There are three processes: this one forwards signals, the second creates the namespaces, the third runs `work`.
    Each dies with its parent, and the mounts and children of the third disappear with it.
    Raises OSError if the kernel refuses the namespaces (EPERM, ENOSYS, ENOSPC).
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
    if select.select([alive], [], [], 0)[0]:  # end of file: the parent died before prctl
        return EXIT_LOST
    os.close(alive)
    forwarding.hand_over(dict.fromkeys(FORWARDED, _stop))
    return work()


def _stop(number: int, frame: FrameType | None) -> None:
    """Interrupt work that has not installed its own handler yet."""
    raise Interrupted(number)


def _leave(body: Callable[[], int]) -> None:
    """Run the body of a forked child and exit without the parent's clean-up handlers."""
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
            except OSError:  # the reader is gone
                status = status or EXIT_LOST
        os._exit(status)


def _die_with_parent() -> None:
    libc.call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class _Forwarding:
    """Context in which terminating signals are forwarded to the child instead of ending this process.

    No signal is lost: one before the fork is kept for the child, and one just before the wait wakes it up (Python runs
    a signal handler only after the system call that it precedes has returned).
    """

    def __init__(self) -> None:
        self._target = 0
        self._pending: list[int] = []
        self._handlers: dict[int, Any] = {}
        self._wake: tuple[int, int] = (-1, -1)
        self._previous_wakeup = -1

    def __enter__(self) -> _Forwarding:
        self._handlers = {number: signal.signal(number, self._forward) for number in FORWARDED}
        self._previous_wakeup = signal.set_wakeup_fd(self._pipe(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc: object) -> None:
        self.hand_over(self._handlers, self._previous_wakeup)

    def fork(self) -> int:
        """Fork; each signal goes to the parent or to the child, which keeps it for its own child."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            child = os.fork()
            if child == 0:
                self._pending.clear()
                self._close()
                signal.set_wakeup_fd(self._pipe(), warn_on_full_buffer=False)
            return child
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def hand_over(self, handlers: Mapping[int, Any], wake: int = -1) -> None:
        """Install other handlers, and deliver the pending signals to them."""
        signal.set_wakeup_fd(wake)
        self._close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in self._pending:
            signal.raise_signal(number)

    def wait(self, child: int) -> int:
        """Wait for `child`, forwarding signals; return its exit status, EXIT_LOST if a signal killed it."""
        self._target = child
        for number in self._pending:
            self._send(number)
        self._pending.clear()
        pidfd = os.pidfd_open(child)
        try:
            while not (ready := select.select([pidfd, self._wake[0]], [], [])[0]) or pidfd not in ready:
                os.read(self._wake[0], 1)  # the handler has run by now
        finally:
            os.close(pidfd)
        _, status = os.waitpid(child, 0)
        self._target = 0
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else EXIT_LOST

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._target:
            self._send(number)
        else:
            self._pending.append(number)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has just ended, which the wait will report
            os.kill(self._target, number)

    def _pipe(self) -> int:
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return self._wake[1]

    def _close(self) -> None:
        for descriptor in self._wake:
            os.close(descriptor)
