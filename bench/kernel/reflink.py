"""Copies that share extents, where the file system can."""

from __future__ import annotations

import errno
import fcntl
import os

__all__ = ["clone"]

FICLONE = 0x40049409  # include/uapi/linux/fs.h: _IOW(0x94, 9, int)
# What it says where files cannot share: another file system, or one that does not clone (ioctl_ficlone(2))
_UNABLE = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS})


def clone(source: str, target: str) -> bool:
    """Make the new file `target` share the extents of `source`, with mode and times; False, and no file, if not."""
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        told = os.fstat(reader)
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, told.st_mode & 0o7777)
        try:
            fcntl.ioctl(writer, FICLONE, reader)
            os.utime(writer, ns=(told.st_atime_ns, told.st_mtime_ns))
        except OSError as error:
            os.unlink(target)
            if error.errno not in _UNABLE:
                raise
            return False
        finally:
            os.close(writer)
    finally:
        os.close(reader)
    return True
