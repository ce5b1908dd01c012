"""A command in a container of its own: mount, PID, network, IPC and UTS namespaces over a directory as its root.

As Docker does it with `--network none`: /proc and a minimal /dev, Docker's default capabilities but CAP_MKNOD and
CAP_NET_RAW, and parts of /proc read-only. The directory may be anybody's: nothing is looked up in it before it is the
root of the process, so that no symbolic link in it leads out.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import select
import signal
import socket
import stat
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

from bench.errors import BenchError
from bench.kernel import libc, mounts
from bench.kernel.mounts import MS_BIND, MS_NODEV

__all__ = ["Ended", "Prepared", "prepare"]

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_CAPBSET_DROP = 1, 24
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
MS_NOSUID, MS_NOEXEC = 2, 8
OF_PROC = MS_NOSUID | MS_NODEV | MS_NOEXEC
CAPABILITIES = 64  # more than any kernel has; the kernel refuses those that it does not know (EINVAL)
# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, audit_write, setfcap
# (moby, oci/caps/defaults.go, without mknod and net_raw)
KEPT = frozenset((0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31))
NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")  # moby, oci/defaults.go
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
OUTPUT_MAX = 16 << 20  # bytes, after which a command is killed
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOSTNAME = b"bench"


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit status (128 + N where signal N killed it), its time, and what it wrote."""

    status: int
    nanoseconds: int
    digest: str  # SHA-256 of standard output and error
    head: str  # the beginning of it


class Prepared:
    """A process that waits in its container to execute its command; `close` kills it."""

    def __init__(self, process: int, go: int, output: int, failure: int) -> None:
        self._process, self._go, self._output, self._failure = process, go, output, failure
        self._pidfd = os.pidfd_open(process)

    def run(self, seconds: float) -> Ended:
        """Execute the command and wait for its end.

        Raises BenchError if it cannot be executed, writes too much, or takes more than `seconds`.
        """
        digest, size, head = hashlib.sha256(), 0, b""
        waiting = select.poll()
        waiting.register(self._pidfd, select.POLLIN)
        waiting.register(self._output, select.POLLIN)
        start = perf_counter_ns()
        deadline = start + int(seconds * 1e9)
        os.write(self._go, b"g")
        while True:
            ready = dict(waiting.poll(max((deadline - perf_counter_ns()) // 1_000_000, 0)))
            if self._pidfd in ready:
                end = perf_counter_ns()
                break
            if not ready:
                raise BenchError(f"the command did not end in {seconds:g} s", fix="give a larger --timeout")
            piece = os.read(self._output, 1 << 16)
            if not piece:
                waiting.unregister(self._output)
            size += len(piece)
            if size > OUTPUT_MAX:
                raise BenchError(f"the command wrote more than {OUTPUT_MAX >> 20} MiB", fix="let it write less")
            digest.update(piece)
            head = (head + piece)[:200]
        status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        self._process = 0
        while piece := os.read(self._output, 1 << 16):
            digest.update(piece)
            head = (head + piece)[:200]
        if reason := os.read(self._failure, 4096):
            raise BenchError("the command cannot be executed", why=reason.decode(errors="replace"))
        text = head.decode(errors="replace")
        return Ended(status if status >= 0 else 128 - status, end - start, digest.hexdigest(), text)

    def close(self) -> None:
        """Kill the process if it is there, and with it all of its PID namespace."""
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = 0
        for descriptor in (self._pidfd, self._go, self._output, self._failure):
            os.close(descriptor)


def prepare(
    root: Path, command: Sequence[str], *, environment: Mapping[str, str], directory: str = "/", user: str = ""
) -> Prepared:
    """Start a process in a container on `root`, which waits to execute `command`; raises BenchError if it cannot."""
    go_read, go_write = os.pipe()
    output_read, output_write = os.pipe()
    failure_read, failure_write = os.pipe()
    ready_read, ready_write = os.pipe()
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.call("unshare", CLONE_NEWPID)  # of the next child, which is its PID 1
        process = os.fork()
        if process == 0:
            _child(root, command, environment, directory, user, (go_read, output_write, failure_write, ready_write))
        libc.call("setns", own, CLONE_NEWPID)
    finally:
        os.close(own)
    for descriptor in (go_read, output_write, failure_write, ready_write):
        os.close(descriptor)
    prepared = Prepared(process, go_write, output_read, failure_read)
    ready = os.read(ready_read, 1)
    os.close(ready_read)
    if not ready:
        reason = os.read(failure_read, 4096).decode(errors="replace")
        prepared.close()
        raise BenchError("no container for the command", why=reason or "its process ended")
    return prepared


def _child(
    root: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    user: str,
    pipes: tuple[int, int, int, int],
) -> None:
    """Make the container, wait, and execute the command; never returns."""
    go, output, failure, ready = pipes
    try:
        libc.call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        libc.call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
        _enter(root)
        _mount_own()
        _loopback()
        libc.call("sethostname", HOSTNAME, len(HOSTNAME))
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.setsid()
        os.umask(0o022)
        _become(user)
        os.chdir(directory or "/")
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.write(ready, b"r")
        os.close(ready)
        if os.read(go, 1):
            os.execvpe(command[0], list(command), {"PATH": PATH, **environment})  # noqa: S606  no shell is wanted
    except BaseException as error:
        reason = f"{error.strerror}: {error.filename or command[0]}" if isinstance(error, OSError) else str(error)
        os.write(failure, reason.encode())
    finally:
        os._exit(127)


def _enter(root: Path) -> None:
    """Make `root` the root of this process, without devices; the host's tree is not in its namespace any more."""
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    mounts.mount(str(root), root, flags=MS_BIND)
    mounts.mount("none", root, flags=mounts.MS_REMOUNT | MS_BIND | MS_NODEV)
    os.chdir(root)
    libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b".")
    mounts.unmount(".", detach=True)
    os.chdir("/")


def _mount_own() -> None:
    """Mount /proc and /dev, which are made if the image has none."""
    for name in ("/proc", "/dev"):
        with suppress(FileExistsError):
            os.mkdir(name)
    mounts.mount("proc", "/proc", "proc", flags=OF_PROC)
    for name in READ_ONLY:
        if os.path.exists(name):
            mounts.mount(name, name, flags=MS_BIND)
            mounts.mount("none", name, flags=mounts.MS_REMOUNT | MS_BIND | mounts.MS_RDONLY | OF_PROC)
    mounts.mount("tmpfs", "/dev", "tmpfs", flags=MS_NOSUID, options="mode=755,size=64k")
    for name, (major, minor) in NODES.items():
        os.mknod(f"/dev/{name}", stat.S_IFCHR, os.makedev(major, minor))
        os.chmod(f"/dev/{name}", 0o666)  # noqa: S103  as everywhere
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target if target.startswith("/") else f"/proc/self/{target}", f"/dev/{name}")


def _loopback() -> None:
    """Bring the loopback interface up, the only one there is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def _become(user: str) -> None:
    """Drop capabilities, and become the image's user."""
    for capability in range(CAPABILITIES):
        if capability in KEPT:
            continue
        try:
            libc.call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
    name, _, group = user.partition(":")
    uid, gid = _number("/etc/passwd", name, 2), 0
    if name and not group:
        gid = _number("/etc/passwd", name, 3) if not name.isdecimal() else 0
    elif group:
        gid = _number("/etc/group", group, 2)
    os.setgroups([gid] if gid else [])
    os.setgid(gid)
    os.setuid(uid)


def _number(path: str, name: str, field: int) -> int:
    """Return a number, or that of a name in the image's file; raises BenchError if it has none."""
    if not name or name.isdecimal():
        return int(name or 0)
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            parts = line.rstrip("\n").split(":")
            if parts[0] == name and len(parts) > field and parts[field].isdecimal():
                return int(parts[field])
    raise BenchError(f"the image's {path} has no {name!r}")
