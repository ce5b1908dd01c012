"""Behaviour of the kernel's overlayfs, whatever the layout of the layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.drivers.base import BROKEN_LINK, CopyUp, Difference, Driver
from bench.drivers.effect import default
from bench.drivers.marks import listings_with_types
from bench.model import Support
from bench.volumes.base import Recipe

__all__ = ["OverlayFs"]


UNMARKED = Difference(
    "a symbolic link of the image gets another inode number when it is copied up",
    "fs/overlayfs/copy_up.c, ovl_set_origin: with userxattr the origin is a user attribute, which symlinks cannot have",
    ("link",),
)


BREAKS = Difference(
    BROKEN_LINK,
    "Documentation/filesystems/overlayfs.rst, index: hard links of lower files break on copy_up without it",
    ("write-linked",),
)


class OverlayFs(Driver):
    """A driver that mounts overlayfs with the options of its arm."""

    mounts_layers = True
    differences: tuple[Difference, ...] = (
        Difference(
            "a directory of the image cannot be renamed (EXDEV)",
            "Documentation/filesystems/overlayfs.rst, renaming directories; Docker leaves redirect_dir off",
            ("rename",),
            "EXDEV",
        ),
        Difference(
            "a mapping of a file of the image, made before its copy_up, does not show later writes",
            "Documentation/filesystems/overlayfs.rst, non-standard behavior",
            ("map-open-file",),
        ),
        Difference(
            "a descriptor that was opened for reading before the copy_up goes on reading the image's file",
            "fs/overlayfs/file.c, ovl_real_fdget: not since Linux 4.19",
            ("read-open-file",),
        ),
        Difference(
            "no character device 0:0 can be made (EPERM)",
            "fs/overlayfs/dir.c, ovl_mknod: it is the mark of a deleted name",
            ("mknod-0:0",),
            "EPERM",
        ),
        Difference(
            "attributes that mark a name cannot be set (ENOTSUP)",
            "fs/overlayfs/xattrs.c, ovl_own_xattr_set: not since Linux 6.7, which stores them under another name",
            ("setxattr-mark",),
            "ENOTSUP",
        ),
    )

    def __init__(self, options: Mapping[str, str] | None = None, *, rootless: bool = False) -> None:
        super().__init__(options, rootless=rootless)
        if rootless:
            self.differences = (*self.differences, UNMARKED)
        if not self.indexed:
            self.differences = (*self.differences, BREAKS)

    @property
    def indexed(self) -> bool:
        """Whether it is mounted with index=on, which nfs_export=on implies; Docker passes index=off."""
        return self.chosen.get("index", self.chosen.get("nfs_export", "off")) == "on"

    @property
    def volatile(self) -> bool:
        """Whether copied-up files are not synced."""
        return self.chosen.get("volatile") == "on" or self.chosen.get("fsync") == "volatile"

    @property
    def mounts_again(self) -> bool:
        """The kernel refuses a second mount of a volatile upper layer: fs/overlayfs/super.c, work/incompat."""
        return not self.volatile

    @property
    def upper_is_complete(self) -> bool:
        """Whether the upper layer holds all changes: not with options that make it refer to the image.

        redirect_dir: a renamed directory has only its old name. metacopy, which implies redirect_dir: a file whose
        metadata changed has no data. index: a file with several names has only the one that was written to.
        Docker compares trees for the first two (overlay2.go, useNaiveDiff) and mounts with index=off.
        """
        options = ("redirect_dir", "metacopy")
        return not self.indexed and all(self.chosen.get(name, default(name)) != "on" for name in options)

    def probe(self, volume: Recipe) -> Support:
        """Tell whether the kernel has overlayfs and accepts such an upper layer."""
        if "overlay" not in Path("/proc/filesystems").read_text().split():
            return Support.no("not supported by this kernel: no overlay in /proc/filesystems", "modprobe overlay")
        if not volume.overlays:  # fs/overlayfs/super.c, ovl_make_workdir: "upper fs missing required features"
            return Support.no(f"overlayfs takes no upper layer on {volume.title}: that has no RENAME_WHITEOUT")
        return Support.yes()

    def admits(self, path: Path) -> Support:
        """Without types in listings overlayfs mounts, but deleted names stay in listings."""
        return listings_with_types(path)

    def whiteout_inodes(self, deletions: int) -> int:
        """One character device, hard-linked for each deletion: fs/overlayfs/dir.c, ovl_whiteout."""
        return min(deletions, 1)

    def index_inodes(self, directories: int) -> int:
        """With nfs_export each has an entry in work/index: fs/overlayfs/copy_up.c, ovl_need_index."""
        return directories if self.chosen.get("nfs_export") == "on" else 0

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """A clone if the volume supports it, else a copy with one fsync: fs/overlayfs/copy_up.c."""
        if self.chosen.get("fsync") == "strict":
            copied = "whole" if size and not volume.clones else "none"
            return CopyUp(2, copied, "ovl_copy_up_metadata: fsync=strict syncs each copy_up, of metadata alone, too")
        if not size:
            return CopyUp(0, "none", "ovl_copy_up_data: an empty file has no data to copy or sync")
        if volume.clones:
            return CopyUp(0, "none", "ovl_copy_up_file: a clone that succeeds skips copy and fsync")
        if self.volatile:
            return CopyUp(0, "deferred", "ovl_should_sync: volatile skips the fsync")
        return CopyUp(2, "whole", "ovl_copy_up_file: copy, then one fsync (journal pre-flush and commit)")
