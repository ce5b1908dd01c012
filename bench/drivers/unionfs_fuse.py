"""unionfs-fuse: a union in user space with copy-on-write, on overlay2's layout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.drivers.base import BROKEN_LINK, Container, CopyUp, Difference
from bench.drivers.fuse import FuseUnion
from bench.host.packages import Package
from bench.volumes.base import Recipe

__all__ = ["DRIVER", "UnionfsFuse"]

META = ".unionfs-fuse"  # the tree of marks in the writable branch (src/unionfs.h, METADIR)
HIDDEN = "_HIDDEN~"  # the suffix of a mark (HIDETAG)
MARKABLE_BYTES = 255 - len(HIDDEN)  # of a name: its mark must be a name, too


def _always(operation: Any, image: Mapping[str, str], root: int) -> bool:
    return True


def _too_long(operation: Any, image: Mapping[str, str], root: int) -> bool:
    return len(os.fsencode(os.path.basename(operation.path))) > MARKABLE_BYTES


def _directory_of_the_image(operation: Any, image: Mapping[str, str], root: int) -> bool:
    return image.get(operation.path) == "directory"


class UnionfsFuse(FuseUnion):
    """The writable branch first, all others read-only."""

    name = "unionfs-fuse"
    title = "unionfs-fuse (user space)"
    packages: ClassVar = (Package("unionfs", "unionfs-fuse", "the unionfs-fuse driver", version="--version"),)
    order = 7
    profile = "standard"
    usual_volumes = ("ext4", "xfs")
    default_program = "unionfs"
    takes_whiteouts = False
    differences: tuple[Difference, ...] = (
        Difference(
            "no extended attributes (ENOTSUP)",
            "Debian builds unionfs-fuse 1.0 without them",
            ("setxattr", "removexattr", "setxattr-mark"),
            "ENOTSUP",
        ),
        Difference(
            "two names of a file are two files to the kernel, so that one shows late what was written by the other",
            "FUSE's own inode numbers (no use_ino), each with its attributes cached for a second; not done here",
            ("link",),
            avoids=_always,
        ),
        Difference(
            BROKEN_LINK,
            "unionfs-fuse src/cow.c, cow_cp: the copy gets the one name that it was opened by",
            ("write-linked",),
        ),
        Difference(
            "a directory of the image in which something was written loses the rest when it is renamed",
            "seen with 1.0: create('image/new'), rename('image', 'x'), and x holds little but new; not done here",
            ("rename",),
            avoids=_directory_of_the_image,
        ),
        Difference(
            "a mapping of a file of the image, made before it is copied, does not show later writes",
            "the copy is another file: src/cow.c",
            ("map-open-file", "read-open-file"),
        ),
        Difference(
            f"a file of the image whose name has more than {MARKABLE_BYTES} bytes cannot be deleted (ENAMETOOLONG)",
            "unionfs-fuse src/general.c, do_create_whiteout: the name and `_HIDDEN~` must be a name, too",
            ("unlink-long-name",),
            "ENAMETOOLONG",
        ),
        Difference(
            f"a file of the image whose name has more than {MARKABLE_BYTES} bytes appears again, as it was, when it is "
            "deleted after a write, or renamed",
            "unionfs-fuse src/unlink.c, unionfs_unlink: it does not look at what maybe_whiteout returns; not done here",
            ("write-and-unlink-long-name",),
            avoids=_too_long,
        ),
        Difference(
            "files whose names begin with .fuse_hidden are not listed",
            "unionfs-fuse src/readdir.c, hide_meta_files, which hides the tree of marks, too",
            ("create-.fuse_hidden-name",),
        ),
    )
    # The scenario counts one inode, `victims` in the tree of marks. In addition there are that tree, its `gone`, and
    # in it the marks of `gone/inside` and of `gone` (seen with 1.0).
    opaque_inodes = 4

    def command(self, lower: Sequence[str], upper: str, work: str) -> list[str]:
        """Branches, topmost first; names are cached by the kernel only, as for overlayfs."""
        branches = ":".join([f"{upper}=RW", *(f"{path}=RO" for path in lower)])
        return [self.program, "-f", "-o", f"cow,hide_meta_files,fsname={self.name}", branches]

    def whiteout(self, container: Container, name: str) -> Path:
        """A file in the tree of marks, or a directory for a directory."""
        return container.path / "diff" / META / f"{name}{HIDDEN}"

    def mark(self, container: Container, name: str) -> str:
        """A re-created directory coexists with the mark that hides the image's directory."""
        hidden = self.whiteout(container, name).exists()
        if not (container.path / "diff" / name).is_dir():
            return "whiteout file" if hidden else "nothing"
        return "opaque directory" if hidden else "directory"

    def whiteout_inodes(self, deletions: int) -> int:
        """One empty file for each deletion: src/findbranch.c and src/unlink.c, hide_file."""
        return deletions

    def changes(self, container: Container) -> None:
        """None: it has marks of its own, so trees have to be compared."""

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """A copy by read and write without fsync."""
        return CopyUp(0, "deferred", "unionfs-fuse src/cow_utils.c, copy_file: read and write, no fsync")


DRIVER = UnionfsFuse
