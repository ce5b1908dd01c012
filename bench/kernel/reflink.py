"""Files that share extents, where the file system can."""

from __future__ import annotations

import errno
import fcntl

__all__ = ["clone"]

FICLONE = 0x40049409  # include/uapi/linux/fs.h: _IOW(0x94, 9, int)
# What it says where files cannot share: another file system, or one that does not clone (ioctl_ficlone(2))
_UNABLE = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS})


def clone(reader: int, writer: int) -> bool:
    """Make the open file `writer` share all extents of `reader`; False if they cannot."""
    try:
        fcntl.ioctl(writer, FICLONE, reader)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        return False
    return True
