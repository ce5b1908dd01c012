"""Operations on files, each a frozen record that can be done below any directory, and streams of them from a seed."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "ABSENT",
    "KINDS",
    "CreateLong",
    "CreateMarked",
    "Look",
    "MakeWhiteout",
    "Operation",
    "Outcome",
    "Seen",
    "Unlink",
    "WriteLinked",
    "stream",
]

Outcome = tuple[str, object]
"""What an operation did: ("ok", what it saw), or (the name of errno, None)."""

ABSENT = "absent"
LARGE = 70_000  # bytes, at most, of a file: more than a page, less than what makes a stream slow
XATTRS = ("user.one", "user.two")


@dataclass(frozen=True)
class Operation:
    """One call or a few; `path` is relative to the directory it is done in."""

    path: str

    name: ClassVar[str]

    def do(self, root: int) -> object:
        """Do it below the open directory `root`, and return what it saw; raises OSError."""
        raise NotImplementedError

    def __str__(self) -> str:
        values = (getattr(self, field.name) for field in fields(self))
        told = (f"{len(value)} bytes" if isinstance(value, bytes) else repr(value) for value in values)
        return f"{self.name}({', '.join(told)})"


@dataclass(frozen=True)
class Create(Operation):
    """Make a new file."""

    mode: int
    name = "create"

    def do(self, root: int) -> object:
        """O_CREAT with O_EXCL."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.mode, dir_fd=root))
        return _seen(root, self.path)


@dataclass(frozen=True)
class CreateLong(Create):
    """Make a new file whose name may be too long for what stands between it and the file system."""

    name = "create-long-name"


@dataclass(frozen=True)
class CreateMarked(Create):
    """Make a new file whose name some drivers and archives take for the mark of a deleted one."""

    name = "create-.wh.-name"


@dataclass(frozen=True)
class Write(Operation):
    """Write at an offset of a file that is there."""

    offset: int
    data: bytes
    name = "write"

    def do(self, root: int) -> object:
        """Return the content afterwards."""
        with _opened(root, self.path, os.O_RDWR) as descriptor:
            os.pwrite(descriptor, self.data, self.offset)
            return _content(descriptor)


@dataclass(frozen=True)
class Append(Operation):
    """Write at the end."""

    data: bytes
    name = "append"

    def do(self, root: int) -> object:
        """O_APPEND; return the content afterwards, read by another name."""
        with _opened(root, self.path, os.O_WRONLY | os.O_APPEND) as descriptor:
            os.write(descriptor, self.data)
        return _read(root, self.path)


@dataclass(frozen=True)
class Truncate(Operation):
    """Change the size."""

    size: int
    name = "truncate"

    def do(self, root: int) -> object:
        """By a descriptor that was opened for writing."""
        with _opened(root, self.path, os.O_RDWR) as descriptor:
            os.ftruncate(descriptor, self.size)
            return _content(descriptor)


@dataclass(frozen=True)
class Overwrite(Operation):
    """Open with O_TRUNC and write."""

    data: bytes
    name = "overwrite"

    def do(self, root: int) -> object:
        """O_CREAT too, as a shell's > does."""
        with _opened(root, self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            os.write(descriptor, self.data)
        return _read(root, self.path)


@dataclass(frozen=True)
class Unlink(Operation):
    """Delete a name."""

    name = "unlink"

    def do(self, root: int) -> object:
        """Return whether it is gone."""
        os.unlink(self.path, dir_fd=root)
        return _seen(root, self.path)


@dataclass(frozen=True)
class MakeDirectory(Operation):
    """Make a directory."""

    mode: int
    name = "mkdir"

    def do(self, root: int) -> object:
        """Return what it holds: nothing, whatever the image has there."""
        os.mkdir(self.path, self.mode, dir_fd=root)
        return _seen(root, self.path), _names(root, self.path)


@dataclass(frozen=True)
class RemoveDirectory(Operation):
    """Remove an empty directory."""

    name = "rmdir"

    def do(self, root: int) -> object:
        """Return whether it is gone."""
        os.rmdir(self.path, dir_fd=root)
        return _seen(root, self.path)


@dataclass(frozen=True)
class Rename(Operation):
    """Give another name, which may be taken."""

    to: str
    name = "rename"

    def do(self, root: int) -> object:
        """Return what both names are then."""
        os.rename(self.path, self.to, src_dir_fd=root, dst_dir_fd=root)
        return _seen(root, self.path), _seen(root, self.to)


@dataclass(frozen=True)
class HardLink(Operation):
    """Give a second name."""

    to: str
    name = "link"

    def do(self, root: int) -> object:
        """Return what both names are then, and whether they are one file."""
        os.link(self.path, self.to, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=False)
        one, other = (os.stat(path, dir_fd=root, follow_symlinks=False).st_ino for path in (self.path, self.to))
        return _seen(root, self.path), _seen(root, self.to), one == other


@dataclass(frozen=True)
class WriteLinked(Operation):
    """Write to a file by one of its two names, look at it by the other, `to`, and delete both."""

    to: str
    data: bytes
    name = "write-linked"

    def do(self, root: int) -> object:
        """Return what either name holds and how many links it tells."""
        with _opened(root, self.path, os.O_WRONLY | os.O_APPEND) as descriptor:
            os.write(descriptor, self.data)
        told = [(_read(root, path), _seen(root, path).links) for path in (self.path, self.to)]
        for path in (self.path, self.to):
            os.unlink(path, dir_fd=root)
        return told


@dataclass(frozen=True)
class SymbolicLink(Operation):
    """Make a symbolic link."""

    target: str
    name = "symlink"

    def do(self, root: int) -> object:
        """Return what it leads to."""
        os.symlink(self.target, self.path, dir_fd=root)
        return os.readlink(self.path, dir_fd=root)


@dataclass(frozen=True)
class ChangeMode(Operation):
    """chmod."""

    mode: int
    name = "chmod"

    def do(self, root: int) -> object:
        """Return the mode then; what a link leads to may lie outside, so that links are left alone."""
        if stat.S_ISLNK(os.stat(self.path, dir_fd=root, follow_symlinks=False).st_mode):
            return "a link"
        os.chmod(self.path, self.mode, dir_fd=root)
        return _seen(root, self.path)


@dataclass(frozen=True)
class ChangeOwner(Operation):
    """chown."""

    uid: int
    gid: int
    name = "chown"

    def do(self, root: int) -> object:
        """lchown; it clears set-user-ID bits of files."""
        os.chown(self.path, self.uid, self.gid, dir_fd=root, follow_symlinks=False)
        return _seen(root, self.path)


@dataclass(frozen=True)
class ChangeTimes(Operation):
    """utimensat."""

    seconds: int
    name = "utimes"

    def do(self, root: int) -> object:
        """Return the modification time then, in seconds: not every daemon keeps nanoseconds alike."""
        nanoseconds = self.seconds * 10**9
        os.utime(self.path, ns=(nanoseconds, nanoseconds), dir_fd=root, follow_symlinks=False)
        return int(os.stat(self.path, dir_fd=root, follow_symlinks=False).st_mtime)


@dataclass(frozen=True)
class SetAttribute(Operation):
    """setxattr."""

    key: str
    value: bytes
    name = "setxattr"

    def do(self, root: int) -> object:
        """Return all user attributes then."""
        path = f"/proc/self/fd/{root}/{self.path}"
        os.setxattr(path, self.key, self.value, follow_symlinks=False)
        return _attributes(root, self.path)


@dataclass(frozen=True)
class RemoveAttribute(Operation):
    """removexattr."""

    key: str
    name = "removexattr"

    def do(self, root: int) -> object:
        """Return all user attributes then."""
        os.removexattr(f"/proc/self/fd/{root}/{self.path}", self.key, follow_symlinks=False)
        return _attributes(root, self.path)


@dataclass(frozen=True)
class MakeNode(Operation):
    """mknod of a device, which nobody opens."""

    device: int
    name = "mknod"

    def do(self, root: int) -> object:
        """A character device, but not 0:0."""
        os.mknod(self.path, stat.S_IFCHR | 0o600, os.makedev(1, self.device), dir_fd=root)
        return _seen(root, self.path)


@dataclass(frozen=True)
class MakeWhiteout(Operation):
    """mknod of a character device 0:0, which to overlayfs is the mark of a deleted name."""

    name = "mknod-0:0"

    def do(self, root: int) -> object:
        """Return what it is."""
        os.mknod(self.path, stat.S_IFCHR | 0o600, os.makedev(0, 0), dir_fd=root)
        return _seen(root, self.path)


@dataclass(frozen=True)
class MakeFifo(Operation):
    """mkfifo."""

    name = "mkfifo"

    def do(self, root: int) -> object:
        """Return what it is."""
        os.mkfifo(self.path, 0o600, dir_fd=root)
        return _seen(root, self.path)


@dataclass(frozen=True)
class MapAndWrite(Operation):
    """Write through a shared mapping."""

    data: bytes
    name = "mmap"

    def do(self, root: int) -> object:
        """Return the content by another descriptor after the mapping was written back."""
        with _opened(root, self.path, os.O_RDWR) as descriptor:
            if os.fstat(descriptor).st_size < len(self.data):
                return "too short"
            with mmap.mmap(descriptor, 0) as mapped:
                mapped[: len(self.data)] = self.data
                mapped.flush()
        return _read(root, self.path)


@dataclass(frozen=True)
class ReadOlder(Operation):
    """Write to a file that another descriptor has open for reading."""

    data: bytes
    name = "read-open-file"

    def do(self, root: int) -> object:
        """Return what the older descriptor reads then."""
        with _opened(root, self.path, os.O_RDONLY) as older:
            with _opened(root, self.path, os.O_WRONLY | os.O_APPEND) as descriptor:
                os.write(descriptor, self.data)
            return _content(older)


@dataclass(frozen=True)
class MapOlder(Operation):
    """Write to a file of which an older mapping is there, made while it was open for reading only."""

    data: bytes
    name = "map-open-file"

    def do(self, root: int) -> object:
        """Return what the mapping shows then."""
        with _opened(root, self.path, os.O_RDONLY) as older:
            size = os.fstat(older).st_size
            if not stat.S_ISREG(os.fstat(older).st_mode) or size < len(self.data):
                return "too short"
            with mmap.mmap(older, 0, prot=mmap.PROT_READ) as mapped:
                with _opened(root, self.path, os.O_WRONLY) as descriptor:
                    os.pwrite(descriptor, self.data, 0)
                return _digest(mapped[:size])


@dataclass(frozen=True)
class ListWhileChanging(Operation):
    """Read a directory, with a name made and another deleted between the first entry and the others."""

    made: str
    deleted: str
    name = "readdir-while-changing"

    def do(self, root: int) -> object:
        """Return the names that were there all the time; POSIX leaves open whether the others are seen."""
        changed = {self.made, self.deleted}
        before = set(_names(root, self.path))
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        try:
            with os.scandir(descriptor) as entries:
                seen = [entry.name for _, entry in zip(range(1), entries, strict=False)]
                os.close(_open(descriptor, self.made, os.O_WRONLY | os.O_CREAT))
                if self.deleted in before:
                    os.unlink(self.deleted, dir_fd=descriptor)
                seen += [entry.name for entry in entries]
        finally:
            os.close(descriptor)
        return sorted(set(seen) - changed), len(seen) == len(set(seen)), _names(root, self.path)


@dataclass(frozen=True)
class Look(Operation):
    """Look at a name: what it is, and what it holds."""

    name = "look"

    def do(self, root: int) -> object:
        """Return its metadata, and its content, entries or target."""
        seen = _seen(root, self.path)
        if seen.kind == "file":
            return seen, _read(root, self.path), _attributes(root, self.path)
        if seen.kind == "directory":
            return seen, _names(root, self.path)
        return seen, os.readlink(self.path, dir_fd=root) if seen.kind == "link" else None


KINDS: tuple[type[Operation], ...] = (
    *(Create, Write, Append, Truncate, Overwrite, Unlink, MakeDirectory, RemoveDirectory, Rename, HardLink),
    *(SymbolicLink, ChangeMode, ChangeOwner, ChangeTimes, SetAttribute, RemoveAttribute, MakeNode, MakeFifo),
    *(MapAndWrite, ReadOlder, MapOlder, ListWhileChanging, Look),
)
# Names that are there are what operations need, so that what makes them comes more often, and what takes whole
# directories away less: with equal weights three quarters of all operations ended with an error, now half do.
_MORE_OR_LESS = {Unlink: 8, Overwrite: 6, Create: 4, HardLink: 4, MakeFifo: 1, MakeNode: 1, RemoveDirectory: 1}
_WEIGHTS = [_MORE_OR_LESS.get(kind, 2) for kind in KINDS]
_ON_DIRECTORIES: dict[type[Operation], float] = {
    MakeDirectory: 0.8,
    RemoveDirectory: 0.3,
    Rename: 0.05,
    **dict.fromkeys((ChangeMode, ChangeOwner, ChangeTimes, SetAttribute, RemoveAttribute, Look), 0.2),
}
_MODES = (0o600, 0o644, 0o755, 0o777, 0o1777, 0o4755, 0o000)


def stream(random: random.Random, count: int, directories: Sequence[str], names: Sequence[str]) -> Iterator[Operation]:
    """Yield `count` operations on few names, so that they meet: each of `names` in each of `directories`."""
    for _ in range(count):
        yield _drawn(random, directories, names)


def _drawn(random: random.Random, directories: Sequence[str], names: Sequence[str]) -> Operation:
    [kind] = random.choices(KINDS, _WEIGHTS)

    def place() -> str:
        directory = random.choice(directories)
        # Now and then the directory itself: it can be renamed, removed and made again too.
        if directory and kind in _ON_DIRECTORIES and random.random() < _ON_DIRECTORIES[kind]:
            return directory
        return f"{directory}/{random.choice(names)}".lstrip("/")

    data = random.randbytes(random.choice((1, 10, 4096)))
    values: dict[str, Callable[[], object]] = {
        "path": place,
        "mode": lambda: random.choice(_MODES),
        "offset": lambda: random.choice((0, 1, 4095, 8192)),
        "data": lambda: data,
        "size": lambda: random.choice((0, 1, 4096, 10_000, LARGE)),
        "to": place,
        "target": lambda: random.choice(names),
        "uid": lambda: random.choice((0, 1000)),
        "gid": lambda: random.choice((0, 1000)),
        "seconds": lambda: random.randrange(1, 2_000_000_000),
        "key": lambda: random.choice(XATTRS),
        "value": lambda: random.randbytes(8),
        "device": lambda: random.choice((3, 5)),
        "made": lambda: random.choice(names),
        "deleted": lambda: random.choice(names),
    }
    drawn = {field.name: values[field.name]() for field in fields(kind)}
    if kind is ListWhileChanging:
        drawn["path"] = random.choice(directories) or "."
    make: Any = kind
    operation: Operation = make(**drawn)
    return operation


class Seen(NamedTuple):
    """What a name is; of a directory neither size nor links, in which file systems differ."""

    kind: str
    mode: str = ""
    uid: int = 0
    gid: int = 0
    size: int = 0
    links: int = 0
    device: int = 0


def _seen(root: int, path: str) -> Seen:
    try:
        told = os.stat(path, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return Seen(ABSENT)
    mode = told.st_mode
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}
    facts = Seen(kinds.get(stat.S_IFMT(mode), "device"), oct(stat.S_IMODE(mode)), told.st_uid, told.st_gid)
    if facts.kind == "directory":
        return facts
    return facts._replace(size=told.st_size, links=told.st_nlink, device=told.st_rdev)


def _open(root: int, path: str, flags: int) -> int:
    """Open a file as open(2) does, but neither a device nor a pipe, at which it could wait; those end with ENXIO."""
    try:
        mode = os.stat(path, dir_fd=root).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), path)
    return os.open(path, flags | os.O_CLOEXEC, 0o644, dir_fd=root)


@contextmanager
def _opened(root: int, path: str, flags: int) -> Iterator[int]:
    """Open as `_open` does while entered."""
    descriptor = _open(root, path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _digest(data: bytes) -> str:
    return f"{len(data)} bytes {hashlib.blake2b(data, digest_size=8).hexdigest()}"


def _content(descriptor: int) -> str:
    return _digest(os.pread(descriptor, 1 << 20, 0))


def _read(root: int, path: str) -> str:
    with _opened(root, path, os.O_RDONLY | os.O_NOFOLLOW) as descriptor:
        return _content(descriptor)


def _names(root: int, path: str) -> list[str]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        return sorted(os.listdir(descriptor))
    finally:
        os.close(descriptor)


def _attributes(root: int, path: str) -> dict[str, bytes]:
    place = f"/proc/self/fd/{root}/{path}"
    try:
        names = [name for name in os.listxattr(place, follow_symlinks=False) if name.startswith("user.")]
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}  # none can be set, which is what setxattr says
    return {name: os.getxattr(place, name, follow_symlinks=False) for name in sorted(names)}
