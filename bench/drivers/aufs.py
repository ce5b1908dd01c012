"""aufs: a union of branches in kernels with its patches; the first is the container's, the others are layers.

    diff/<64 hex>      a layer; files `.wh.NAME` and `.wh..wh..opq` mark what is deleted and what is opaque
    layers/<64 hex>    the names of the layers below, the nearest first
    mnt/<64 hex>       where it is mounted while in use

From daemon/graphdriver/aufs/{aufs,dirs,mount}.go of Docker 20.10, which was without it from 24.0 on.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.drivers.base import Container, CopyUp, Difference, Driver, Footprint, Stack, write_text
from bench.drivers.marks import overlay_mark
from bench.errors import BenchError
from bench.kernel import mounts
from bench.kernel.log import kernel_log
from bench.layers.changes import OPAQUE_FILE, WHITEOUT, Change, of_upper
from bench.layers.content import BLOCK, Directory, Layer, data_bytes, objects
from bench.layers.materialise import materialise
from bench.model import Support
from bench.volumes.base import Recipe, load_module

__all__ = ["DRIVER", "Aufs"]

XINO = "/dev/shm/aufs.xino"  # noqa: S108  Docker's; aufs unlinks it
OPTIONS = f"dio,xino={XINO}"
NAME_BYTES = 242  # the most of a name
DIRPERM1 = ",dirperm1"  # Docker leaves room for it whether the kernel has it or not
OFFSET = 54  # bytes that aufsMount leaves for these and other options


def _always(operation: Any, image: Mapping[str, str], root: int) -> bool:
    return True


class Aufs(Driver):
    """Mounted as Docker does: as many branches as fit a page at once, the others by remounts."""

    name = "aufs"
    title = "aufs (patched kernels)"
    order = 10
    profile = "standard"
    usual_volumes = ("ext4", "xfs")
    modules = ("aufs",)
    mounts_layers = True
    max_depth = 126  # branches of a kernel built with AUFS_BRANCH_MAX_127, without the container's
    inode_law = "4 + Σ objects + 3·N"
    mounted_inodes = 1  # `.wh..wh.aufs`, of which all marks of a branch are links
    differences: tuple[Difference, ...] = (
        Difference(
            "a directory that has names of the image cannot be renamed (EXDEV)",
            "fs/aufs/i_op_ren.c, may_rename_srcdir: not without the option dirren, which Docker does not give",
            ("rename",),
            "EXDEV",
        ),
        Difference(
            "an attribute that is removed stays, with an empty value; not done here",
            "fs/aufs/i_op.c, au_setxattr: it sets no value where it should remove (seen with aufs for 6.1)",
            ("removexattr", "setxattr-mark"),
            avoids=_always,
        ),
        Difference(
            "a mapping of a file of the image, made before it is copied, does not show later writes",
            "Documentation/filesystems/aufs/design/06mmap.txt: the mapping is one of the branch's file",
            ("map-open-file",),
        ),
        Difference(
            f"names of more than {NAME_BYTES} bytes are too long (ENAMETOOLONG)",
            "include/uapi/linux/aufs_type.h, AUFS_MAX_NAMELEN: marks and temporary names must be names, too",
            ("create-long-name", "unlink"),
            "ENAMETOOLONG",
        ),
        Difference(
            "no file can be called `.wh.NAME` (EPERM)",
            "fs/aufs/i_op_add.c, au_may_add: it would be the mark of a deleted name",
            ("create-.wh.-name", "unlink"),
            "EPERM",
        ),
    )

    def probe(self, volume: Recipe) -> Support:
        """Require a kernel with aufs, and a file system that Docker gives it."""
        load_module("aufs")
        words = Path("/proc/filesystems").read_text(encoding="ascii").split()
        if "aufs" not in words:
            return Support.no("not supported by this kernel: no aufs in /proc/filesystems")
        if volume.filesystem == "btrfs":  # aufs.go, Init
            return Support.no("Docker's aufs driver refuses btrfs")
        return Support.yes()

    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Write one branch per layer."""
        home.mkdir(mode=0o710)
        for name in ("mnt", "diff", "layers"):
            (home / name).mkdir(mode=0o710)
        ids: list[str] = []
        for layer in layers:
            ids.append(self._create(home, ids))
            materialise(layer, home / "diff" / ids[-1], seed, OPAQUE_FILE)
        return Stack(home, layers, seed, ids, tuple(depths))

    def _create(self, home: Path, parents: Sequence[str]) -> str:
        """Make the directories of a layer over `parents` (bottom first) and return its id."""
        identity = secrets.token_hex(32)
        for name in ("mnt", "diff"):
            (home / name / identity).mkdir(mode=0o755)
        write_text(home / "layers" / identity, "".join(f"{name}\n" for name in reversed(parents)), 0o644)
        return identity

    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Make a branch for the container."""
        path = stack.home / "diff" / self._create(stack.home, stack.ids[:depth])
        return Container(stack, depth, path, path)

    @contextmanager
    def mount(self, container: Container) -> Iterator[Path]:
        """Mount the branches."""
        home, identity = container.stack.home, container.path.name
        names = (home / "layers" / identity).read_text(encoding="ascii").split()
        target, read_only = home / "mnt" / identity, [str(home / "diff" / name) for name in names]
        with kernel_log() as logged:
            try:
                remounts = _mount(target, str(container.path), read_only)
            except OSError as error:
                why = "; ".join(logged()) or error.strerror or str(error)
                raise BenchError(f"the kernel refuses aufs with {len(names)} layers", why=why) from error
        container.how["mount"] = f"mount(2), and {remounts} remounts" if remounts else "mount(2)"
        container.how["options"] = mounts.mount_table()[-1].summary
        try:
            yield target
        finally:
            mounts.unmount(target)

    def remove(self, container: Container) -> None:
        """Delete the container's branch."""
        home, identity = container.stack.home, container.path.name
        shutil.rmtree(container.path)
        (home / "mnt" / identity).rmdir()
        (home / "layers" / identity).unlink()

    def layer_path(self, container: Container, layer: int) -> Path:
        """Return the layer's branch."""
        return container.stack.home / "diff" / container.stack.ids[layer]

    def whiteout(self, container: Container, name: str) -> Path:
        """A file beside the name."""
        path = container.path / name
        return path.parent / f"{WHITEOUT}{path.name}"

    def mark(self, container: Container, name: str) -> str:
        """As aufs marks it."""
        return overlay_mark(container.path, name, wh_files=True)

    def changes(self, container: Container) -> Iterator[Change] | None:
        """The container's branch holds its changes, and files for its deletions."""
        return of_upper(container.path, wh_files=True)

    def whiteout_inodes(self, deletions: int) -> int:
        """All whiteouts of a branch are links of one file."""
        return min(deletions, 1)

    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return the home with its three directories and, per layer, its objects, two directories and a file."""
        count = len(layers)
        marks = sum(isinstance(entry, Directory) and entry.opaque for layer in layers for entry in layer)
        directories = sum(isinstance(entry, Directory) for layer in layers for entry in layer) + 4 + 2 * count
        files = sum(data_bytes(layer) for layer in layers) + BLOCK * (count - 1)  # the bottom layer's has no name
        return Footprint(4 + objects(layers) + marks + 3 * count, files + directories * volume.directory_bytes)

    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """A clone if the volume supports it, else a copy by read and write; neither is synced."""
        if volume.clones:
            return CopyUp(0, "none", "fs/aufs/cpup.c, au_cp_regular: a clone that succeeds skips the copy")
        return CopyUp(0, "deferred", "fs/aufs/cpup.c, au_do_copy_file: read and write, no fsync")


def _mount(target: Path, upper: str, lower: Sequence[str]) -> int:
    """Mount branches as aufsMount does; return the number of remounts."""
    room = mounts.PAGE - OFFSET - len(DIRPERM1)
    branches = f"br:{upper}=rw"
    index = 0
    while index < len(lower) and len(branches) + len(layer := f":{lower[index]}=ro+wh") <= room:
        branches += layer
        index += 1
    mounts.mount("none", target, "aufs", options=f"{branches},{OPTIONS}{DIRPERM1}")
    remounts = 0
    try:
        while index < len(lower):
            appended = ""
            while index < len(lower) and len(appended) + len(layer := f"append:{lower[index]}=ro+wh,") <= room:
                appended += layer
                index += 1
            mounts.mount("none", target, "aufs", flags=mounts.MS_REMOUNT, options=appended.rstrip(","))
            remounts += 1
    except OSError:
        mounts.unmount(target)
        raise
    return remounts


DRIVER = Aufs
