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
    """Make the new file `target` share all extents of `source`, with its mode; False, and no file, if it cannot."""
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mode = os.fstat(reader).st_mode & 0o7777
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            fcntl.ioctl(writer, FICLONE, reader)
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
