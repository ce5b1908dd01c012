"""Cloning of files by shared extents (reflink)."""

from __future__ import annotations

import errno
import fcntl

__all__ = ["clone"]

FICLONE = 0x40049409  # include/uapi/linux/fs.h: _IOW(0x94, 9, int)
# Errors if files cannot share extents: different file systems, or one without clones (ioctl_ficlone(2))
_UNABLE = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS})


def clone(reader: int, writer: int) -> bool:
    """Make the open file `writer` share all extents of `reader`; return False if that is not supported."""
    try:
        fcntl.ioctl(writer, FICLONE, reader)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        return False
    return True
