"""Namespaces and a work directory that a process which runs tests has for itself; both go with it."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.kernel import libc, loop, mounts

__all__ = ["leave", "memory_directory", "with_network"]

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, net/if.h
PLACE = Path("/srv")
LEAST_MEMORY = 12 << 30  # of the machine; with less, a work directory in memory might take too much of it
SIZE = 64 << 30  # of the sparse file: as much as tests may ask for, of which they write little

_held: list[loop.LoopDevice] = []  # so that the device stays for as long as the process
_networks: list[int] = []  # the namespace that was left


def leave() -> None:
    """Leave the mounts, and the network namespace, which the lock of a run is of, to other processes."""
    _networks.append(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    libc.call("unshare", CLONE_NEWNS | CLONE_NEWNET)
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # the browser's driver listens on lo
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP).ljust(40, b"\0"))


@contextmanager
def with_network() -> Iterator[None]:
    """Be in the network namespace that was left, for a test that fetches packages."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for network in _networks:
            libc.call("setns", network, CLONE_NEWNET)
        yield
    finally:
        libc.call("setns", own, CLONE_NEWNET)
        os.close(own)


def memory_directory() -> Path | None:
    """Return a directory on an ext4 that lies in memory; None where there is too little of it, or no place.

    On a disk, tests wait for it most of the time: no test asserts a time, but all write volumes. What they
    delete is discarded, so that its memory is free again: without that, it grows by every volume ever made.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory < LEAST_MEMORY or not PLACE.is_dir() or shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") is None:
        return None
    mounts.mount("tmpfs", PLACE, "tmpfs", options="mode=0700,size=80%")
    image = loop.nameless_file(PLACE, SIZE)
    try:
        device = loop.LoopDevice(image)
    finally:
        os.close(image)
    made = ("-q", "-F", "-O", "^has_journal", "-N", "2000000", "-E", "nodiscard,lazy_itable_init=1", device.path)
    subprocess.run(["/usr/sbin/mkfs.ext4", *made], check=True)
    mounts.mount(device.path, PLACE, "ext4", options="noinit_itable,discard")
    PLACE.chmod(0o1777)
    _held.append(device)
    return PLACE
