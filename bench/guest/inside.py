"""What runs in a guest as its first process: it prepares the machine, carries out one block of a run, and stops it.

Nothing of the host is shared: the files come from the initramfs, volumes lie on a RAM disk, and results leave by a
serial port. So a guest whose clock counts instructions repeats exactly.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import EXIT_USAGE, BenchError
from bench.guest.channel import Channel, ChannelListener, ChannelWriter
from bench.kernel import guest, libc, mounts
from bench.measure import planning, session
from bench.measure.plan import Plan
from bench.measure.request import Request
from bench.measure.workshop import Block, RunContext
from bench.model import Cell
from bench.scenario.clock import NULL

__all__ = ["ORDER", "RAM_DISK", "SUITE", "Order", "main"]

SUITE = Path("/suite")
ORDER = SUITE / "order.json"
RAM_DISK, WORK = "/dev/ram0", Path("/work")
CGROUPS, SHARED = Path("/sys/fs/cgroup"), Path("/dev/shm")  # noqa: S108
CLOCKSOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
FOREVER = 1e9  # seconds of this clock, which count instructions: no budget
INIT_MODULE = 175  # x86-64: asm/unistd_64.h
REBOOT = 0x01234567  # RB_AUTOBOOT: QEMU runs with -no-reboot, so it ends


@dataclasses.dataclass(frozen=True)
class Order:
    """What a guest is to do: the requests, or these cells of the first, and how its machine is prepared."""

    request: Request
    also: tuple[Request, ...]
    cells: tuple[Cell, ...]
    modules: tuple[tuple[str, str], ...]  # name and file, in the order of loading
    ram_disk_kib: int


def main() -> None:
    """Run as PID 1; never returns."""
    status = EXIT_USAGE
    try:
        channel = Channel()
        try:
            status = _carry_out(msgspec.json.decode(ORDER.read_bytes(), type=Order), channel)
        except BenchError as error:
            channel.send("failed", str(error))
        except Exception:
            channel.send("failed", traceback.format_exc().strip().splitlines()[-1])
            raise
        finally:
            channel.send("end", status)
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os.sync()
    libc.call("reboot", REBOOT)


def _carry_out(order: Order, channel: Channel) -> int:
    channel.send("kernel", {"release": os.uname().release, "version": os.uname().version, **_load(order)})
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", RAM_DISK],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    mounts.mount("cgroup2", CGROUPS, "cgroup2")  # for engines
    SHARED.mkdir()
    mounts.mount("tmpfs", SHARED, "tmpfs")
    os.environ["DOCKER_RAMDISK"] = "1"  # pivot_root(2) refuses a root directory that is the initramfs
    WORK.mkdir(exist_ok=True)
    mounts.mount(RAM_DISK, WORK, "ext4")
    channel.send("clocksource", CLOCKSOURCE.read_text().strip())
    NULL.subtract()
    channel.send("null", NULL)
    context = RunContext(
        workdir=WORK,
        results=Path("/results"),
        command=(),
        listener=lambda: ChannelListener(channel),
        started=time.monotonic(),
        writer=lambda directory, provenance: ChannelWriter(channel, directory, provenance),
    )
    _, status = session.start(_plan(order), context, "guest", Block(guest.block() or 0))
    return status


def _plan(order: Order) -> Plan:
    first, *others = (dataclasses.replace(request, budget=FOREVER) for request in (order.request, *order.also))
    if order.cells:
        return planning.of_cells(first, order.cells)
    return planning.together([first, *others]) if others else planning.make(first)


def _load(order: Order) -> dict[str, Any]:
    """Load the modules; return which of them the kernel refused, and why."""
    refused = {}
    for name, file in order.modules:
        content = Path(file).read_bytes()
        parameters = f"rd_nr=1 rd_size={order.ram_disk_kib}" if name == "brd" else ""
        try:
            libc.syscall(INIT_MODULE, content, len(content), parameters.encode())
        except OSError as error:
            if error.errno != errno.EEXIST:
                refused[name] = error.strerror
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file)
    return {"refused": refused} if refused else {}
