"""fuse-overlayfs: overlayfs in user space, on the same layout."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.drivers.base import CopyUp, Difference
from bench.drivers.fuse import FuseUnion
from bench.drivers.marks import listings_with_types
from bench.host.packages import Package
from bench.model import Support
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "FuseOverlayfs"]

NAME_BYTES = 251
MAX_LAYERS = 500  # the kernel's limit for overlayfs; its own limit is the length of one argument


def _always(operation: Any, image: Mapping[str, str], root: int) -> bool:
    return True


def _too_long(operation: Any, image: Mapping[str, str], root: int) -> bool:
    return len(os.fsencode(os.path.basename(operation.path))) > NAME_BYTES


def _near_the_image(operation: Any, image: Mapping[str, str], root: int) -> bool:
    """Tell whether it renames to a name of the image, or renames a directory that replaced a file of the image."""
    if operation.to in image:
        return True
    try:
        mode = os.stat(operation.path, dir_fd=root, follow_symlinks=False).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and image.get(operation.path, "directory") != "directory"


class FuseOverlayfs(FuseUnion):
    """The rootless driver of podman, and of Docker since 20.10."""

    name = default_program = "fuse-overlayfs"
    title = "fuse-overlayfs (user space)"
    packages: ClassVar = (
        Package("fuse-overlayfs", "fuse-overlayfs", "the fuse-overlayfs driver", version="--version"),
    )
    order = 2
    max_depth = MAX_LAYERS
    options: ClassVar = {"binary": ()}  # another build of it: a path
    differences: tuple[Difference, ...] = (
        Difference(
            "what is renamed to a name of the image, or a directory from one, lets the image's file appear again",
            "seen with 1.10: rename('new', 'of-the-image'), unlink('of-the-image'), and it is there; not done here",
            ("rename",),
            avoids=_near_the_image,
        ),
        Difference(
            "a directory of the image cannot be renamed (EXDEV)",
            "fuse-overlayfs main.c, ovl_rename_direct",
            ("rename",),
            "EXDEV",
        ),
        Difference(
            f"names of more than {NAME_BYTES} bytes are too long (ENAMETOOLONG)",
            "fuse-overlayfs main.c, direct_create_whiteout: `.wh.` and the name must be a name, too",
            ("create-long-name",),
            "ENAMETOOLONG",
        ),
        Difference(
            f"writing or deleting a file of the image with a name of more than {NAME_BYTES} bytes aborts the daemon",
            "fuse-overlayfs main.c, copyup: the name of its mark is too long, and get_node_up asserts; not done here",
            ("unlink-long-name", "write-and-unlink-long-name"),
            avoids=_too_long,
        ),
        Difference(
            "no file can be called `.wh.NAME` (EINVAL)",
            "fuse-overlayfs main.c: it would be the mark of a deleted name; seen with 1.10",
            ("create-.wh.-name",),
            "EINVAL",
        ),
        Difference(
            "a character device 0:0 is made and not seen (ENOENT)",
            "seen with 1.10: it is the mark of a deleted name; not done here",
            ("mknod-0:0",),
            avoids=_always,
        ),
        Difference(
            "attributes trusted.overlay.*, user.fuseoverlayfs.* and user.containers.* cannot be set (EPERM)",
            "fuse-overlayfs main.c, ovl_setxattr: they are its own",
            ("setxattr-mark",),
            "EPERM",
        ),
        Difference(
            "attributes user.overlay.* are set and not listed",
            "fuse-overlayfs main.c, can_access_xattr: they are marks of overlayfs; ovl_setxattr does not ask it",
            ("setxattr-mark",),
        ),
    )
    wh_files = True
    opaque_inodes = 2  # seen with 1.10: `.wh..wh..opq` (main.c, set_fd_opaque) and a device node `.wh..opq`

    def admits(self, path: Path) -> Support:
        """Without types in listings it does not find the layers' files (seen with 1.10)."""
        return listings_with_types(path)

    def command(self, lower: Sequence[str], upper: str, work: str) -> list[str]:
        """All directories in one option."""
        return [self.program, "-f", "-o", f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work}"]

    def whiteout_inodes(self, deletions: int) -> int:
        """One device node for each deletion: fuse-overlayfs main.c, create_whiteout."""
        return deletions

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """A copy through the page cache without fsync; the extents show whether it clones."""
        return CopyUp(0, "deferred", "fuse-overlayfs main.c, copyup: FICLONE, else a copy, and no fsync")


DRIVER = FuseOverlayfs
