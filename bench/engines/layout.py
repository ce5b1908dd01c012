"""Describe a graphdriver's home with its random names replaced, so that two homes can be compared.

For each path: kind, mode, owner, extended attributes, device number and content. Times are left out: in one home they
come from an archive, in the other from writing.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["CONTAINER", "INIT_LAYER", "compare", "describe", "inode_numbers", "without_init"]

_SHORT = re.compile(r"[A-Z2-7]{26}")  # base32, moby's idLength
_TEMPORARY = re.compile(r"^#[0-9a-f]+$")  # temporary files in overlayfs's work directory: ovl_lookup_temp
# Attributes with an id of the file system or of a file: their values differ between any two homes.
_IDENTITIES = ("trusted.overlay.uuid", "trusted.overlay.origin")
_RECORDS = frozenset({"link", "lower", "lower-id", "committed", "id"})  # described by their content
_NUMBERS = re.compile(r'(_id":)\d+')  # of thin devices and transactions, in devicemapper's records of one line of JSON
# dockerd's init layer between image and container, the same for all drivers (daemon/initlayer/setup_unix.go).
INIT = (
    *(".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "proc", "sys"),
    *("etc", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"),
)
# Of no layer: a node that dockerd makes to probe quotas (quota/projectquota.go), which some drivers keep; and what
# dockerd knows of its base device.
LEFT_OUT = frozenset({"backingFsBlockDev", "metadata/deviceset-metadata"})
INIT_LAYER, CONTAINER = "init", "container"  # labels of a container's two layers


def describe(home: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Return a description of each path below `home`; `names` maps names of layers' directories to labels."""
    ordered = sorted(
        names.items(), key=lambda item: -len(item[0])
    )  # a container's name is a prefix of its init layer's
    short = {}
    for name, label in ordered:
        link = home / name / "link"
        if link.exists():
            short[link.read_text(encoding="ascii")] = f"({label})"

    def replaced(text: str) -> str:
        for name, label in ordered:
            text = text.replace(name, label)
        return _SHORT.sub(lambda match: short.get(match[0], "(unknown)"), text)

    return {replaced(path): replaced(facts) for path, facts in _walk(str(home), "") if path not in LEFT_OUT}


def inode_numbers(tree: Path) -> dict[str, str]:
    """Return the inode number of each path below `tree`, as text: the order of the inodes in btrfs's tree."""
    inodes = {}
    for directory, subdirectories, files in os.walk(tree):
        for name in (*subdirectories, *files):
            path = os.path.join(directory, name)
            inodes[os.path.relpath(path, tree)] = f"inode {os.lstat(path).st_ino}"
    return inodes


def without_init(description: Mapping[str, str], records: str = "") -> dict[str, str]:
    """Return a description without dockerd's init layer and without its files that a container in `records` copied."""
    copied = {f"{records}{CONTAINER}/{prefix}{path}" for path in INIT for prefix in ("", "upper/", "rootfs/")}
    return {
        path: facts.replace(f"l/({INIT_LAYER}):", "").replace(f"'{INIT_LAYER}\\n", "'")
        for path, facts in description.items()
        if f"/{INIT_LAYER}/" not in f"/{path}/" and path != f"l/({INIT_LAYER})" and path not in copied
    }


def _walk(top: str, prefix: str) -> Iterator[tuple[str, str]]:
    with os.scandir(f"{top}/{prefix}") as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{prefix}{'#' if _TEMPORARY.match(entry.name) else entry.name}"
        status = entry.stat(follow_symlinks=False)
        yield path, _facts(entry.path, status)
        if stat.S_ISDIR(status.st_mode) and entry.name != "merged":  # whose content is not described
            yield from _walk(top, f"{path}/")


def _facts(path: str, status: os.stat_result) -> str:
    facts = [stat.filemode(status.st_mode), f"{status.st_uid}:{status.st_gid}"]
    if stat.S_ISLNK(status.st_mode):
        facts.append(os.readlink(path))
    elif stat.S_ISREG(status.st_mode):
        facts.append(_content(path, status.st_size))
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        facts.append(f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}")
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        value = "…" if name in _IDENTITIES else repr(os.getxattr(path, name, follow_symlinks=False))
        facts.append(f"{name}={value}")
    return " ".join(facts)


def _content(path: str, size: int) -> str:
    with open(path, "rb") as file:
        content = file.read()
    directory = os.path.basename(os.path.dirname(path))
    if directory == "layers":  # of aufs: names of layers
        return repr(content.decode("ascii"))
    if content.startswith(b"{") and directory == "metadata":
        return _NUMBERS.sub(r"\1…", content.decode("ascii"))
    if os.path.basename(path) in _RECORDS:
        return repr(content.decode("ascii"))
    return f"{size} bytes {hashlib.sha256(content).hexdigest()[:16]}"


def compare(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """Return a line for each path whose descriptions differ."""
    return [
        f"{path}: theirs {theirs.get(path, 'has none')}, ours {ours.get(path, 'has none')}"
        for path in sorted(theirs.keys() | ours.keys())
        if theirs.get(path) != ours.get(path)
    ]
