"""What the kernel writes to its log, for the reason of an error that a system call does not give."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["kernel_log"]

DEVICE = "/dev/kmsg"
LEVELS, WARNING = (
    8,
    4,
)  # the level is the number before the first comma, less the facility (include/linux/kern_levels.h)
RECORD_BYTES = 8192  # one read gives one record, of at most so many (Documentation/ABI/testing/dev-kmsg)


@contextmanager
def kernel_log() -> Iterator[Callable[[], list[str]]]:
    """Yield a function that returns the warnings and errors logged since; none where this process may not read them."""
    try:
        descriptor = os.open(DEVICE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield list
        return
    try:
        os.lseek(descriptor, 0, os.SEEK_END)
        yield lambda: list(_messages(descriptor))
    finally:
        os.close(descriptor)


def _messages(descriptor: int) -> Iterator[str]:
    """Yield what is there: each record is `level,number,time,flags;message`, then lines of its own."""
    while True:
        try:
            record = os.read(descriptor, RECORD_BYTES)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the oldest records were overwritten; the next read goes on
                continue
            return  # EAGAIN: no more, or nothing to be had
        prefix, _, text = record.decode(errors="replace").partition(";")
        if int(prefix.partition(",")[0]) % LEVELS <= WARNING:
            yield text.partition("\n")[0]
