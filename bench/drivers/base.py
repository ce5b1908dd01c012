"""Interface of a storage driver, which makes images of layers and containers of images.

The methods are those of Docker's graphdriver interface (daemon/graphdriver/driver.go in moby):
CreateReadWrite makes a container's layer, Get mounts it, Put unmounts it (here: leaving the
context of Get), Remove deletes it.
"""

from __future__ import annotations

import errno
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench.errors import BenchError, nearest
from bench.host.packages import Package
from bench.kernel.reflink import clone
from bench.layers.changes import Change
from bench.layers.content import BLOCK, File, Layer, data_ranges
from bench.model import Difference, Support
from bench.volumes.base import Recipe

__all__ = [
    "BROKEN_LINK",
    "Container",
    "CopyUp",
    "Difference",
    "Driver",
    "Footprint",
    "Stack",
    "copied_bytes",
    "copy_file",
    "copy_tree",
    "write_text",
]

BROKEN_LINK = "a file of the image with two names is two files once it is written to by one of them"
COPY_UP_STEP = 1 << 20  # fs/overlayfs/copy_up.c, OVL_COPY_UP_CHUNK_SIZE
_COPY_CHUNK = 1 << 20
# Bytes per inode that a stack may use besides its data: directories larger than one block, link targets, and chunks of
# inodes (xfs: 64 at a time).
SLACK_PER_INODE = 2 * BLOCK


@dataclass(frozen=True)
class Footprint:
    """Inodes and bytes that a stack uses."""

    inodes: int
    bytes: int

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(self.inodes + other.inodes, self.bytes + other.bytes)


@dataclass(frozen=True)
class CopyUp:
    """What a driver does when a lower file is opened for writing.

    `flushes`: flush requests that reach the device; None if no number is expected.
    `data`: `whole` (all copied data reaches the device before open returns), `none`, or `deferred`
    (copied into the page cache and written back later).
    """

    flushes: int | None
    data: str
    source: str

    def bytes(self, file: File) -> int:
        """Return the bytes of `file`'s data that reach the device before open returns."""
        return copied_bytes(file) if self.data == "whole" else 0


def copied_bytes(file: File) -> int:
    """Return the bytes that the kernel's copy_up writes for a file: in steps of 1 MiB, each from the start of data.

    fs/overlayfs/copy_up.c, ovl_copy_up_file: it seeks data (SEEK_DATA) before each step, so a hole is skipped except
    for the part of it in a step that starts with data. File systems report data in whole blocks.
    """
    if file.data is None:
        return file.size
    copied = position = 0
    for offset, length in file.data:
        end = min(-(-(offset + length) // BLOCK) * BLOCK, file.size) if length else 0
        while (start := max(position, offset // BLOCK * BLOCK)) < end:
            position = min(start + COPY_UP_STEP, file.size)
            copied += position - start
    return copied


@dataclass(frozen=True)
class Stack:
    """A chain of layers on a volume; the lowest `depth` of them are an image."""

    home: Path
    layers: Sequence[Layer]
    seed: int
    ids: Sequence[str]  # one per layer, bottom first; for a driver without layers, one per image
    depths: Sequence[int] = ()


@dataclass
class Container:
    """A writable layer on an image; its changes are in `upper`, None if in place.

    `took` has the nanoseconds of the calls `create` and `mount`.
    """

    stack: Stack
    depth: int
    path: Path
    upper: Path | None
    how: dict[str, str] = field(default_factory=dict)
    took: dict[str, int] = field(default_factory=dict)


class Driver(ABC):
    """One way to stack layers, with the options of one arm."""

    name: ClassVar[str]
    title: ClassVar[str]
    order: ClassVar[int] = 99
    profile: ClassVar[str] = "quick"  # the least thorough profile that measures it by default
    layered: ClassVar[bool] = True  # False: an image is one directory, so depth changes nothing
    mounts_layers: ClassVar[bool] = False  # whether a container is mounted from its layers
    copies_on_write: ClassVar[bool] = True  # False: a container cannot change a file of its image
    usual_volumes: ClassVar[tuple[str, ...]] = ()  # the volumes on which it is measured by default; (): all
    costly: ClassVar[bool] = False  # by default it is measured only on grids that name it
    daemon: ClassVar[bool] = False  # keeps files of its volume open: it has a volume of its own and no cold cells
    max_depth: ClassVar[int | None] = None
    packages: ClassVar[tuple[Package, ...]] = ()  # that contain its programs
    modules: ClassVar[tuple[str, ...]] = ()  # of the kernel, besides overlay and fuse, that a guest loads for it
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # the permitted values by name; (): any text
    differences: tuple[Difference, ...] = ()  # from a plain directory (scenario `differences`)
    mounted_inodes: ClassVar[int] = 0  # of its whiteouts, those that a mounted container has before any deletion
    opaque_inodes: ClassVar[int] = 0  # files that mark a re-created directory, besides the directory itself
    inode_law: ClassVar[str]  # the formula of `footprint` as text

    def __init__(self, options: Mapping[str, str] | None = None, *, rootless: bool = False) -> None:
        self.chosen = dict(options or {})
        self.rootless = rootless
        self.launcher: Sequence[str] = ()  # prefix of a daemon's command if no PID namespace ends it
        for key, value in self.chosen.items():
            if key not in self.options:
                raise nearest(f"option of {self.name}", key, self.options)
            if self.options[key] and value not in self.options[key]:
                raise BenchError(
                    f"{self.name} option {key}={value!r} is not known", fix=f"one of: {', '.join(self.options[key])}"
                )

    @property
    def is_image(self) -> bool:
        """Whether a container is its image, so that what is changed in it stays."""
        return False

    @property
    def mounts_again(self) -> bool:
        """Whether a container that was mounted can be mounted once more."""
        return True

    def probe(self, volume: Recipe) -> Support:
        """Tell whether the driver works on this machine on such a volume, without mounting."""
        return Support.yes()

    def admits(self, path: Path) -> Support:
        """Tell whether the driver works on the file system at `path`, before anything is built there."""
        return Support.yes()

    @abstractmethod
    def build(self, home: Path, layers: Sequence[Layer], depths: Iterable[int], seed: int) -> Stack:
        """Write `layers`, bottom first, below the new directory `home`; images of `depths` will be used."""

    @abstractmethod
    def create_read_write(self, stack: Stack, depth: int) -> Container:
        """Create a container's layer on the image of the lowest `depth` layers."""

    @abstractmethod
    def mount(self, container: Container) -> AbstractContextManager[Path]:
        """Mount `container`; the context's value is the merged path, and its exit unmounts (Put)."""

    @contextmanager
    def cycle(self, container: Container) -> Iterator[Callable[[], None]]:
        """Yield a function that mounts and unmounts the container; a driver prepares before what it can prepare."""

        def mount_and_unmount() -> None:
            with self.mount(container):
                pass

        yield mount_and_unmount

    def remove(self, container: Container) -> None:
        """Delete the container's layer."""
        shutil.rmtree(container.path)

    def close(self, stack: Stack) -> None:
        """Stop what `build` started; by default nothing."""
        return

    @abstractmethod
    def footprint(self, layers: Sequence[Layer], depths: Sequence[int], volume: Recipe) -> Footprint:
        """Return what `build` uses on `volume`: the exact number of inodes, and a lower bound of bytes."""

    def space(self, layers: Sequence[Layer], volume: Recipe) -> tuple[int, int] | None:
        """Return the least and the most bytes by which building an image changes the volume's usage; None: unknown."""
        if not volume.counts:
            return None
        wanted = self.footprint(layers, (len(layers),), volume)
        return wanted.bytes, wanted.bytes + wanted.inodes * SLACK_PER_INODE

    def container_bytes(self, layers: Sequence[Layer], depth: int) -> int:
        """Return the maximum of bytes that creating a container uses, before anything is written in it."""
        return 16 * BLOCK

    @abstractmethod
    def layer_path(self, container: Container, layer: int) -> Path:
        """Return the directory that holds the files of image layer `layer` (0: bottom) on disk."""

    def shown(self, path: Path) -> Path:
        """Return the path of a layer's directory; a driver mounts it first whose layers are not mounted at rest."""
        return path

    def whiteout(self, container: Container, name: str) -> Path:
        """Return the path in the container's layer that marks `name` of the image as deleted."""
        assert container.upper is not None
        return container.upper / name

    def mark(self, container: Container, name: str) -> str:
        """Return what the container's layer has at `name`: whiteout, [opaque] directory or nothing; or "in place"."""
        return "in place"

    def changes(self, container: Container) -> Iterator[Change] | None:
        """Return the container's changes from its own layer; None if whole trees have to be compared."""
        return None

    def whiteout_inodes(self, deletions: int) -> int | None:
        """Return the inodes that whiteouts of this many image files add; None if the driver has no whiteouts."""
        return None

    def index_inodes(self, directories: int) -> int:
        """Return the inodes that copying up this many directories adds besides the directories themselves."""
        return 0

    @abstractmethod
    def copy_up(self, volume: Recipe, size: int) -> CopyUp:
        """Describe the copy_up of a lower file of `size` bytes."""


def write_text(path: Path, text: str, mode: int) -> None:
    """Write a small metadata file with this mode, masked by the umask."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def copy_tree(source: str, target: str, copy: Callable[[str, str], object] | None = None) -> None:
    """Copy a tree of directories, regular files and symbolic links by reading and writing every byte.

    In the order of names, as Docker does (daemon/graphdriver/copy/copy.go walks by filepath.Walk): names created one
    after the other are adjacent on disk. With ext4's own order of a listing, by hashes, lookups in Docker's copy took
    0.78 times those in ours. Neither FICLONE nor copy_file_range: both share extents on file systems that clone, and a
    full copy is what is measured. Hard links are preserved, as by Docker. `copy` replaces the copying of a file, for
    example by os.link.
    """
    _copy_below(source, target, copy or copy_file, {})


def _copy_below(
    source: str, target: str, copy: Callable[[str, str], object], copied: dict[tuple[int, int], str]
) -> None:
    """Copy a tree; `copied` maps device and inode of each file with several names to its first copy."""
    os.mkdir(target)
    with os.scandir(source) as entries:
        ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    for entry in ordered:
        path = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            _copy_below(entry.path, path, copy, copied)
        elif entry.is_symlink():
            os.symlink(os.readlink(entry.path), path)
        else:
            status = entry.stat(follow_symlinks=False)
            first = copied.setdefault((status.st_dev, status.st_ino), path) if status.st_nlink > 1 else path
            if first != path:
                os.link(first, path)
            else:
                copy(entry.path, path)
    shutil.copystat(source, target)


def copy_file(source: str, target: str, *, reflink: bool = False) -> bool:
    """Copy a regular file with its mode, times and holes, by reading and writing, or with `reflink` by a clone.

    Returns whether it was cloned.
    """
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(reader)
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, status.st_mode & 0o7777)
        try:
            cloned = reflink and clone(reader, writer)
            if not cloned:
                has_holes = status.st_blocks * 512 < status.st_size
                data = data_ranges(reader, status.st_size) if has_holes else None
                for offset, length in ((0, status.st_size),) if data is None else data:
                    _copy_range(reader, writer, offset, length)
                if has_holes:
                    os.ftruncate(writer, status.st_size)
            os.utime(writer, ns=(status.st_atime_ns, status.st_mtime_ns))
            return cloned
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_range(reader: int, writer: int, offset: int, length: int) -> None:
    """Copy `length` bytes at `offset` from one open file to another, fewer at the end of the file."""
    end = offset + length
    while offset < end and (chunk := os.pread(reader, min(_COPY_CHUNK, end - offset), offset)):
        if os.pwrite(writer, chunk, offset) != len(chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset += len(chunk)
