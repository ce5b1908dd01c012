"""Bringing a container to a temperature (hot, new container, cold), in the same way for every driver."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

from bench.drivers.base import Container, Driver
from bench.errors import BenchError
from bench.model import Temperature
from bench.volumes.base import Volume

__all__ = ["mounted", "read_in"]

CHUNK = 1 << 20  # bytes read at a time


def read_in(path: Path) -> None:
    """Drop a file's pages and read them in again.

    So the pages get into memory in the same way for every driver. Without this, 4 KiB writes took longer to a
    file cached by a large write (native) than to one cached by copy_up (overlay2 on ext4: 0.6 to 0.8 times
    native; 1.1 and more with it). Folio sizes are a likely cause, not tested.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)  # only clean pages are dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        while os.read(descriptor, CHUNK):
            pass
    finally:
        os.close(descriptor)


@contextmanager
def mounted(
    driver: Driver,
    container: Container,
    volume: Volume,
    temperature: Temperature,
    touch: Callable[[Path], None],
) -> Iterator[Path]:
    """Mount `container` at `temperature` and yield its merged path; `touch` reads the measured files into memory.

    All data written by the set-up is synced before the context is entered.
    """
    if temperature is Temperature.NEW:
        spare = driver.create_read_write(container.stack, container.depth)
        try:
            with driver.mount(spare) as merged:
                touch(merged)
        finally:
            driver.remove(spare)
    elif temperature is Temperature.COLD:
        volume.sync()
        support = volume.remount()
        if not support.ok:
            raise BenchError("no cold cell here", why=support.reason, fix=support.fix)
    start = perf_counter_ns()
    with driver.mount(container) as merged:
        container.took["mount"] = perf_counter_ns() - start
        if temperature is Temperature.HOT:
            touch(merged)
        volume.sync()
        yield merged
