"""Messages of the kernel log, which give reasons that the errno of a system call does not."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["kernel_log"]

DEVICE = "/dev/kmsg"
# The level is the number before the first comma without the facility (include/linux/kern_levels.h).
LEVELS, WARNING = 8, 4
RECORD_BYTES = 8192  # a read returns one record of at most this size (Documentation/ABI/testing/dev-kmsg)


@contextmanager
def kernel_log() -> Iterator[Callable[[], list[str]]]:
    """Yield a function that returns the warnings and errors logged since; none if this process may not read the log."""
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
    """Yield the messages; a record is `level,number,time,flags;message`, followed by continuation lines."""
    while True:
        try:
            record = os.read(descriptor, RECORD_BYTES)
        except OSError as error:
            if error.errno == errno.EPIPE:  # records were overwritten; the next read continues after them
                continue
            return  # EAGAIN: no more records; or another error
        prefix, _, text = record.decode(errors="replace").partition(";")
        if int(prefix.partition(",")[0]) % LEVELS <= WARNING:
            yield text.partition("\n")[0]
