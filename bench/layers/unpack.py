"""Applying a layer's archive to a tree of the layers below, with the semantics of container engines.

The archive is first unpacked to a separate directory and then moved over the tree. So whiteouts apply to the layers
below and never to the layer itself, in any order of members (layer.md); no symbolic link of a lower layer is followed,
as with overlayfs; and a refused archive changes nothing.
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
from bench.layers.members import XATTR, Kind, Member, clean, damaged, leads_out, members, open_archive, refused

__all__ = ["apply"]

MADE = 0o755  # the mode of a directory without a member of its own; its owner is 0
LINKS = 40  # maximum of symbolic links in one path (include/linux/namei.h, MAXSYMLINKS)


def apply(source: IO[bytes], tree: Path, *, devices: bool = False) -> None:
    """Apply an uncompressed layer archive to the directory `tree`, which contains the layers below.

    Raises BenchError, leaving the tree unchanged, for a damaged archive or a refused member (bench.layers.members).
    Device nodes are refused unless `devices` are permitted, because no container restricts access to them in `tree`.
    """
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=tree) as directory:
        layer = _Layer(directory, str(tree))
        try:
            with open_archive(source) as archive:
                for member in members(archive, devices=devices):
                    layer.add(archive, member)
        except (tarfile.TarError, EOFError) as error:
            raise damaged(error) from error
        layer.check()
        layer.hide()
        layer.move("")
        layer.dress()


class _Layer:
    """A layer being unpacked to the directory `root`, above the `tree` of the layers below.

    All paths are relative to either of them, without symbolic links in their parents.
    """

    def __init__(self, root: str, tree: str) -> None:
        self.root, self.tree = root, tree
        self.whiteouts: list[str] = []
        self.opaque: list[str] = []
        self.directories: dict[str, tarfile.TarInfo] = {}  # those with a member of their own
        self.external_links: list[tuple[str, str]] = []  # hard links, and their targets in the layers below

    def add(self, archive: tarfile.TarFile, member: Member) -> None:
        """Add a member."""
        name = member.header.name
        try:
            if member.kind is Kind.OPAQUE:
                self.opaque.append(self._walk(member.path.split("/"), name, make=False))
            elif member.kind is Kind.WHITEOUT:
                self.whiteouts.append(self._resolve(member.path, name, make=False))
            else:
                self._entry(archive, member.header, self._resolve(member.path, name, make=True))
        except OSError as error:
            raise _cannot(name, error) from error

    def _entry(self, archive: tarfile.TarFile, header: tarfile.TarInfo, path: str) -> None:
        target = os.path.join(self.root, path)
        if not path and not header.isdir():
            raise refused(header.name, "the root of an image is a directory")
        if header.islnk():
            self._hard_link(header, path)
            return
        if not (header.isdir() and _is_directory(target)):
            self._replace(path)
            _make(archive, header, target)
        if header.isdir():
            self.directories[path] = header
        else:
            _dress(header, target)

    def _hard_link(self, header: tarfile.TarInfo, path: str) -> None:
        """Link to a file of the layer, or else of the layers below, which `check` requires not to be hidden."""
        linked = self._resolve(clean(header.linkname, header.name), header.name, make=False)
        source = os.path.join(self.root, linked)
        if not os.path.lexists(source):
            source = _below(self.tree, linked) or ""
            self.external_links.append((header.name, linked))
        if not linked or not os.path.lexists(source):
            raise refused(header.name, f"it is a hard link to {header.linkname!r}, which is not there")
        if f"{linked}/".startswith(f"{path}/"):
            raise refused(header.name, f"it is a hard link to {header.linkname!r}, which it would replace")
        self._replace(path)
        os.link(source, os.path.join(self.root, path), follow_symlinks=False)

    def _replace(self, path: str) -> None:
        """Remove an existing file at a path, which another name created through a link of the layer."""
        target = os.path.join(self.root, path)
        if os.path.lexists(target):
            _remove(target)
            self.directories = {
                name: header for name, header in self.directories.items() if not f"{name}/".startswith(f"{path}/")
            }

    def _resolve(self, path: str, name: str, *, make: bool) -> str:
        """Return a path in the layer with its parents' symbolic links resolved within the layer."""
        *parents, last = path.split("/")
        return os.path.join(self._walk(parents, name, make=make), last)

    def _walk(self, parts: list[str], name: str, *, make: bool) -> str:
        """Return the directory of `parts`, resolved as in a chroot; with `make`, create missing directories.

        Raises BenchError if a link leads out of the root, or to a name that the layer does not have, as dockerd and
        podman do.
        """
        current: list[str] = []
        remaining = list(reversed(parts))
        links, link_end = 0, -1  # `link_end`: number of parts remaining after those of a link's target
        while remaining:
            part = remaining.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                if not current:
                    raise leads_out(name)
                current.pop()
                continue
            path = os.path.join(self.root, *current, part)
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                if links and len(remaining) >= link_end:
                    raise refused(name, "it lies below a symbolic link to what is not in the layer") from None
                if make:
                    os.mkdir(path)
                    os.chmod(path, MADE)
                current.append(part)
                continue
            if stat.S_ISLNK(mode):
                links += 1
                if links > LINKS:
                    raise refused(name, "it lies below too many symbolic links")
                if link_end < 0 or len(remaining) < link_end:
                    link_end = len(remaining)
                target = os.readlink(path)
                if target.startswith("/"):
                    current.clear()
                remaining.extend(reversed(target.split("/")))
            elif stat.S_ISDIR(mode):
                current.append(part)
            else:
                raise refused(name, f"{'/'.join([*current, part])!r} is no directory there")
        return "/".join(current)

    def check(self) -> None:
        """Raise BenchError for a hard link to a file that the layer itself hides."""
        for name, linked in self.external_links:
            hidden = any(f"{linked}/".startswith(f"{path}/") for path in self.whiteouts)
            if hidden or any(not path or linked.startswith(f"{path}/") for path in self.opaque):
                raise refused(name, f"it is a hard link to {linked!r}, which the layer itself deletes")

    def hide(self) -> None:
        """Remove the files from the tree that the layer hides."""
        for hidden in self.whiteouts:
            if target := _below(self.tree, hidden):
                _remove(target)
        for hidden in self.opaque:
            target = _below(self.tree, hidden)
            if target and _is_directory(target):
                for name in os.listdir(target):
                    if (path := os.path.join(target, name)) != self.root:
                        _remove(path)

    def move(self, prefix: str) -> None:
        """Move the layer over the tree: directories are merged, all else is replaced."""
        for name in os.listdir(os.path.join(self.root, prefix)):
            path = os.path.join(prefix, name)
            source, target = os.path.join(self.root, path), os.path.join(self.tree, path)
            if _is_directory(source) and _is_directory(target):
                self.move(path)
            else:
                _remove(target)
                os.rename(source, target)

    def dress(self) -> None:
        """Set the metadata of directories after their content is complete, deepest first."""
        for path, header in sorted(self.directories.items(), reverse=True):
            target = os.path.join(self.tree, path)
            for key in attributes(target).keys() - {key.removeprefix(XATTR) for key in header.pax_headers}:
                os.removexattr(target, key)
            try:
                _dress(header, target)
            except OSError as error:
                raise _cannot(header.name, error) from error


def _make(archive: tarfile.TarFile, header: tarfile.TarInfo, target: str) -> None:
    """Create an entry without its metadata."""
    if header.isdir():
        os.mkdir(target)
    elif header.issym():
        os.symlink(header.linkname, target)
    elif header.isfifo():
        os.mkfifo(target)
    elif header.isdev():
        kind = stat.S_IFCHR if header.ischr() else stat.S_IFBLK
        os.mknod(target, kind, os.makedev(header.devmajor, header.devminor))
    else:
        content = archive.extractfile(header)
        assert content is not None
        with open(target, "xb") as file:
            shutil.copyfileobj(content, file)


def _dress(header: tarfile.TarInfo, target: str) -> None:
    """Set owner, mode, attributes and time."""
    os.chown(target, header.uid, header.gid, follow_symlinks=False)
    if not header.issym():
        os.chmod(target, stat.S_IMODE(header.mode))
    for key, value in header.pax_headers.items():
        if key.startswith(XATTR):
            content = value.encode("utf-8", "surrogateescape")
            os.setxattr(target, key.removeprefix(XATTR), content, follow_symlinks=False)
    os.utime(target, (header.mtime, header.mtime), follow_symlinks=False)


def _cannot(name: str, error: OSError) -> BenchError:
    return BenchError(f"cannot unpack {name!r} of the layer's archive", why=error.strerror or str(error))


def _below(tree: str, path: str) -> str | None:
    """Return the location of `path` in the tree; None unless all of its parents are directories there."""
    directory = tree
    *parents, last = path.split("/")
    for part in parents:
        directory = os.path.join(directory, part)
        if not _is_directory(directory):
            return None
    return os.path.join(directory, last)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _remove(path: str) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
