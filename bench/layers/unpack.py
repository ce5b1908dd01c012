"""Applying a layer's archive to a tree, as a container engine stacks it on the layers below.

The archive is unpacked beside the tree first and then moved over it. So what it hides is hidden of the layers below and
never of the layer itself, in whatever order its members come (layer.md); no symbolic link of a layer below is followed,
as none is where overlayfs stacks layers; and an archive that is refused has changed nothing.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from bench.errors import BenchError
from bench.layers.changes import attributes
from bench.layers.members import XATTR, Kind, Member, clean, damaged, leads_out, members, opened, refused

__all__ = ["apply"]

MADE = 0o755  # the mode of a directory that no member names; its owner is 0
LINKS = 40  # symbolic links that one name may lead through (include/linux/namei.h, MAXSYMLINKS)


def apply(source: IO[bytes], tree: Path, *, devices: bool = False) -> None:
    """Apply a layer's archive, uncompressed, to the directory `tree`, which holds the layers below.

    Raises BenchError, with the tree as it was, for an archive that is damaged or has a member that is refused
    (bench.layers.members): device nodes too unless it may have `devices`, because there is no container around `tree`
    that keeps anyone from opening them.
    """
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=tree) as directory:
        layer = _Layer(directory, str(tree))
        try:
            with opened(source) as archive:
                for member in members(archive, devices=devices):
                    layer.add(archive, member)
        except (tarfile.TarError, EOFError) as error:
            raise damaged(error) from error
        layer.check()
        layer.hide()
        layer.move("")
        layer.dress()


class _Layer:
    """A layer that is being unpacked to the directory `root`, below the `tree` of what is under it.

    All paths are relative to either, and lead through no symbolic link.
    """

    def __init__(self, root: str, tree: str) -> None:
        self.root, self.tree = root, tree
        self.whiteouts: list[str] = []
        self.opaque: list[str] = []
        self.directories: dict[str, tarfile.TarInfo] = {}  # those that members name
        self.borrowed: list[tuple[str, str]] = []  # hard links, and the files of layers below that they lead to

    def add(self, archive: tarfile.TarFile, member: Member) -> None:
        """Take a member in."""
        name = member.info.name
        try:
            if member.kind is Kind.OPAQUE:
                self.opaque.append(self._walk(member.path.split("/"), name, make=False))
            elif member.kind is Kind.WHITEOUT:
                self.whiteouts.append(self._resolve(member.path, name, make=False))
            else:
                self._entry(archive, member.info, self._resolve(member.path, name, make=True))
        except OSError as error:
            raise _cannot(name, error) from error

    def _entry(self, archive: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> None:
        target = os.path.join(self.root, path)
        if not path and not info.isdir():
            raise refused(info.name, "the root of an image is a directory")
        if info.islnk():
            self._hard_link(info, path)
            return
        if not (info.isdir() and _is_directory(target)):
            self._replace(path)
            _make(archive, info, target)
        if info.isdir():
            self.directories[path] = info
        else:
            _dress(info, target)

    def _hard_link(self, info: tarfile.TarInfo, path: str) -> None:
        """Link to a file of the layer, else to one of the layers below, which must not be hidden in the end."""
        wanted = self._resolve(clean(info.linkname, info.name), info.name, make=False)
        source = os.path.join(self.root, wanted)
        if not os.path.lexists(source):
            source = _below(self.tree, wanted) or ""
            self.borrowed.append((info.name, wanted))
        if not wanted or not os.path.lexists(source):
            raise refused(info.name, f"it is a hard link to {info.linkname!r}, which is not there")
        if f"{wanted}/".startswith(f"{path}/"):
            raise refused(info.name, f"it is a hard link to {info.linkname!r}, which it would replace")
        self._replace(path)
        os.link(source, os.path.join(self.root, path), follow_symlinks=False)

    def _replace(self, path: str) -> None:
        """Remove what another name of a path has brought, through a link of the layer."""
        target = os.path.join(self.root, path)
        if os.path.lexists(target):
            _remove(target)
            self.directories = {
                name: info for name, info in self.directories.items() if not f"{name}/".startswith(f"{path}/")
            }

    def _resolve(self, path: str, name: str, *, make: bool) -> str:
        """Return where a path lies in the layer when links of the layer itself are followed, but not its last part."""
        *parents, last = path.split("/")
        return os.path.join(self._walk(parents, name, make=make), last)

    def _walk(self, parts: list[str], name: str, *, make: bool) -> str:
        """Return the directory that `parts` lead to, as in a root of its own; `make` those that no member has named.

        Raises BenchError where a link leads out of the root, or to what the layer does not have: so do dockerd and
        podman.
        """
        place: list[str] = []
        rest = list(reversed(parts))
        links, linked = 0, -1  # `linked`: so many parts are left once the target of a link is behind
        while rest:
            part = rest.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                if not place:
                    raise leads_out(name)
                place.pop()
                continue
            path = os.path.join(self.root, *place, part)
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                if links and len(rest) >= linked:
                    raise refused(name, "it lies below a symbolic link to what is not in the layer") from None
                if make:
                    os.mkdir(path)
                    os.chmod(path, MADE)
                place.append(part)
                continue
            if stat.S_ISLNK(mode):
                links += 1
                if links > LINKS:
                    raise refused(name, "it lies below too many symbolic links")
                if linked < 0 or len(rest) < linked:
                    linked = len(rest)
                target = os.readlink(path)
                if target.startswith("/"):
                    place.clear()
                rest.extend(reversed(target.split("/")))
            elif stat.S_ISDIR(mode):
                place.append(part)
            else:
                raise refused(name, f"{'/'.join([*place, part])!r} is no directory there")
        return "/".join(place)

    def check(self) -> None:
        """Refuse a hard link to a file that the layer itself hides."""
        for name, wanted in self.borrowed:
            hidden = any(f"{wanted}/".startswith(f"{path}/") for path in self.whiteouts)
            if hidden or any(not path or wanted.startswith(f"{path}/") for path in self.opaque):
                raise refused(name, f"it is a hard link to {wanted!r}, which the layer itself deletes")

    def hide(self) -> None:
        """Remove from the tree what the layer hides."""
        for path in self.whiteouts:
            if target := _below(self.tree, path):
                _remove(target)
        for path in self.opaque:
            target = _below(self.tree, path)
            if target and _is_directory(target):
                for inside in os.listdir(target):
                    if (place := os.path.join(target, inside)) != self.root:
                        _remove(place)

    def move(self, below: str) -> None:
        """Move the layer over the tree: directories merge, anything else replaces what is there."""
        for name in os.listdir(os.path.join(self.root, below)):
            path = os.path.join(below, name)
            source, target = os.path.join(self.root, path), os.path.join(self.tree, path)
            if _is_directory(source) and _is_directory(target):
                self.move(path)
            else:
                _remove(target)
                os.rename(source, target)

    def dress(self) -> None:
        """Give the directories that members name their metadata, once all is in them, the deepest first."""
        for path, info in sorted(self.directories.items(), reverse=True):
            target = os.path.join(self.tree, path)
            for key in attributes(target).keys() - {key.removeprefix(XATTR) for key in info.pax_headers}:
                os.removexattr(target, key)
            try:
                _dress(info, target)
            except OSError as error:
                raise _cannot(info.name, error) from error


def _make(archive: tarfile.TarFile, info: tarfile.TarInfo, target: str) -> None:
    """Make a new entry, without its metadata."""
    if info.isdir():
        os.mkdir(target)
    elif info.issym():
        os.symlink(info.linkname, target)
    elif info.isfifo():
        os.mkfifo(target)
    elif info.isdev():
        kind = stat.S_IFCHR if info.ischr() else stat.S_IFBLK
        os.mknod(target, kind, os.makedev(info.devmajor, info.devminor))
    else:
        content = archive.extractfile(info)
        assert content is not None
        with open(target, "xb") as file:
            shutil.copyfileobj(content, file)


def _dress(info: tarfile.TarInfo, target: str) -> None:
    """Give owner, mode, attributes and time."""
    os.chown(target, info.uid, info.gid, follow_symlinks=False)
    if not info.issym():
        os.chmod(target, stat.S_IMODE(info.mode))
    for key, value in info.pax_headers.items():
        if key.startswith(XATTR):
            content = value.encode("utf-8", "surrogateescape")
            os.setxattr(target, key.removeprefix(XATTR), content, follow_symlinks=False)
    os.utime(target, (info.mtime, info.mtime), follow_symlinks=False)


def _cannot(name: str, error: OSError) -> BenchError:
    return BenchError(f"cannot unpack {name!r} of the layer's archive", why=error.strerror or str(error))


def _below(tree: str, path: str) -> str | None:
    """Return where `path` lies in the tree; None where not all of its parents are directories there."""
    place = tree
    *parents, last = path.split("/")
    for part in parents:
        place = os.path.join(place, part)
        if not _is_directory(place):
            return None
    return os.path.join(place, last)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _remove(path: str) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
