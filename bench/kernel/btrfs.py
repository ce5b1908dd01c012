"""Subvolumes and snapshots of btrfs, by three ioctls."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

__all__ = ["create_subvolume", "delete_subvolume", "snapshot"]

# include/uapi/linux/btrfs.h: _IOW(0x94, n, struct btrfs_ioctl_vol_args), 4096 bytes: a descriptor and a name
SNAP_CREATE, SUBVOL_CREATE, SNAP_DESTROY = 0x50009401, 0x5000940E, 0x5000940F


def create_subvolume(path: Path) -> None:
    """Make an empty subvolume at `path`."""
    _call(SUBVOL_CREATE, path, 0)


def snapshot(source: Path, target: Path) -> None:
    """Make `target` a writable snapshot of the subvolume `source`."""
    descriptor = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _call(SNAP_CREATE, target, descriptor)
    finally:
        os.close(descriptor)


def delete_subvolume(path: Path) -> None:
    """Delete the subvolume at `path`; its extents are freed in the background."""
    _call(SNAP_DESTROY, path, 0)


def _call(request: int, path: Path, descriptor: int) -> None:
    argument = bytearray(struct.pack("=q4088s", descriptor, os.fsencode(path.name)))  # a name of up to 1,024 bytes
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(parent, request, argument)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from None
    finally:
        os.close(parent)
