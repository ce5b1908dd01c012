"""Background work of xfs: an ioctl that completes it, so that statfs is exact, and how much of it there was."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

__all__ = ["finish_background_work", "writebacks"]

# fs/xfs/libxfs/xfs_fs.h: struct xfs_fs_eofblocks, 128 bytes; the call ends in xfs_inodegc_flush.
XFS_IOC_FREE_EOFBLOCKS = 0x8080583A
EOFBLOCKS_VERSION, EOF_FLAGS_SYNC = 1, 1


def finish_background_work(path: Path) -> None:
    """Free the inodes of deleted files and the speculatively preallocated blocks, and wait for it.

    xfs frees deleted inodes some milliseconds later (since 5.14), and statfs counts them until then.
    Unlike freezing the file system, this has no lasting effect if the process is killed.
    """
    request = struct.pack("=IIIIIIQ96x", EOFBLOCKS_VERSION, EOF_FLAGS_SYNC, 0, 0, 0, 0, 0)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, XFS_IOC_FREE_EOFBLOCKS, request)
    finally:
        os.close(descriptor)


def writebacks(path: Path) -> int:
    """Return how many log items xfs has written back in the background since it was mounted; 0 without sysfs.

    Its log worker does so every 30 s (fs/xfs/xfs_log.c, xfs_log_worker; fs.xfs.xfssyncd_centisecs), and covers the log,
    which flushes the device twice. The number is xs_push_ail_success (fs/xfs/xfs_stats.h), fourth of its line.
    """
    device = os.stat(path).st_dev
    name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
    try:
        lines = Path(f"/sys/fs/xfs/{name}/stats/stats").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[4]) for line in lines if line.startswith("push_ail ")), 0)
