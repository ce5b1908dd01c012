"""What lies below a graphdriver's home, with its random names replaced, so that two homes can be compared.

Of each name: its kind, mode, owner, extended attributes, device number, and content; but no times, which an archive's
are in one home and those of writing in the other.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["CONTAINER", "INIT_LAYER", "compare", "described", "numbered", "without_init"]

_SHORT = re.compile(r"[A-Z2-7]{26}")  # base32, moby's idLength
_TEMPORARY = re.compile(r"^#[0-9a-f]+$")  # what overlayfs leaves in its work directory: ovl_lookup_temp
# Attributes that hold an identity of the file system or of a file: their value is another in any two homes.
_IDENTITIES = ("trusted.overlay.uuid", "trusted.overlay.origin")
_RECORDS = frozenset({"link", "lower", "lower-id", "committed"})  # told with their content
# What dockerd puts between an image and a container, whatever the driver (daemon/initlayer/setup_unix.go).
INIT = (
    *(".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "proc", "sys"),
    *("etc", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"),
)
QUOTA = (
    "backingFsBlockDev"  # a node that dockerd makes to try quotas (quota/projectquota.go); some drivers' homes keep it
)
INIT_LAYER, CONTAINER = "init", "container"  # names to tell of a container's two layers


def described(home: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Return what each path below `home` is; `names` maps the names of layers' directories to those to tell."""
    longest = sorted(names.items(), key=lambda item: -len(item[0]))  # a container's name begins its init layer's
    short = {}
    for name, told in longest:
        link = home / name / "link"
        if link.exists():
            short[link.read_text(encoding="ascii")] = f"({told})"

    def replaced(text: str) -> str:
        for name, told in longest:
            text = text.replace(name, told)
        return _SHORT.sub(lambda found: short.get(found[0], "(unknown)"), text)

    return {replaced(path): replaced(facts) for path, facts in _walk(str(home), "") if path != QUOTA}


def numbered(tree: Path) -> dict[str, str]:
    """Return the inode number of each path below `tree`, as text: in which order btrfs has them in its own tree."""
    found = {}
    for top, directories, files in os.walk(tree):
        for name in (*directories, *files):
            path = os.path.join(top, name)
            found[os.path.relpath(path, tree)] = f"inode {os.lstat(path).st_ino}"
    return found


def without_init(told: Mapping[str, str], records: str = "") -> dict[str, str]:
    """Return a description without dockerd's init layer, and what of it a container of `records` has copied."""
    copied = {f"{records}{CONTAINER}/{place}{path}" for path in INIT for place in ("", "upper/")}
    return {
        path: facts.replace(f"l/({INIT_LAYER}):", "")
        for path, facts in told.items()
        if f"/{INIT_LAYER}/" not in f"/{path}/" and path != f"l/({INIT_LAYER})" and path not in copied
    }


def _walk(top: str, below: str) -> Iterator[tuple[str, str]]:
    with os.scandir(f"{top}/{below}") as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}{'#' if _TEMPORARY.match(entry.name) else entry.name}"
        told = entry.stat(follow_symlinks=False)
        yield path, _facts(entry.path, told)
        if stat.S_ISDIR(told.st_mode) and entry.name != "merged":  # of that only that it is there
            yield from _walk(top, f"{path}/")


def _facts(path: str, told: os.stat_result) -> str:
    facts = [stat.filemode(told.st_mode), f"{told.st_uid}:{told.st_gid}"]
    if stat.S_ISLNK(told.st_mode):
        facts.append(os.readlink(path))
    elif stat.S_ISREG(told.st_mode):
        facts.append(_content(path, told.st_size))
    elif stat.S_ISCHR(told.st_mode) or stat.S_ISBLK(told.st_mode):
        facts.append(f"{os.major(told.st_rdev)}:{os.minor(told.st_rdev)}")
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        value = "…" if name in _IDENTITIES else repr(os.getxattr(path, name, follow_symlinks=False))
        facts.append(f"{name}={value}")
    return " ".join(facts)


def _content(path: str, size: int) -> str:
    with open(path, "rb") as file:
        content = file.read()
    if os.path.basename(path) in _RECORDS:
        return repr(content.decode("ascii"))
    return f"{size} bytes {hashlib.sha256(content).hexdigest()[:16]}"


def compare(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """Return a line for each path that is not the same in both."""
    return [
        f"{path}: theirs {theirs.get(path, 'has none')}, ours {ours.get(path, 'has none')}"
        for path in sorted(theirs.keys() | ours.keys())
        if theirs.get(path) != ours.get(path)
    ]
