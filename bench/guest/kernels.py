"""Kernels that a guest can boot: a file, an installed one, or one fetched from the distribution's archive."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

__all__ = ["Kernel", "cached", "find", "installed", "matches", "newest", "places", "remove", "store", "version_of"]

BOOT, MODULES = Path("/boot"), (Path("/lib/modules"), Path("/usr/lib/modules"))
FLAVOUR = "cloud"  # the smallest that has all that volumes need; it comes before others of one version
# Documentation/arch/x86/boot.rst: the magic at 0x202, and at 0x20E where the release is, relative to 0x200.
MAGIC, MAGIC_AT, RELEASE_AT, RELEASE_BASE = b"HdrS", 0x202, 0x20E, 0x200


@dataclass(frozen=True)
class Kernel:
    """A kernel: its release (`uname -r`), its image, the directory with its modules, and where it comes from."""

    release: str
    image: Path
    modules: Path
    origin: str

    @property
    def version(self) -> str:
        """The version alone: 6.12.43 of 6.12.43+deb13-cloud-amd64."""
        match = re.match(r"\d+(\.\d+)*", self.release)
        return match[0] if match else self.release


def places() -> Path:
    """Return the directory of fetched kernels."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "layer-bench" / "kernels"


def find(text: str) -> Kernel | None:
    """Return the kernel that a user means by a path or a version; None if no such version is on this machine.

    Raises BenchError for a file that is no kernel.
    """
    if "/" in text or Path(text).is_file():
        return _of_file(Path(text))
    return newest([*installed(), *cached()], text)


def newest(kernels: list[Kernel], text: str) -> Kernel | None:
    """Return the newest of the kernels that `text` (6.12, 6.1.0-56, a whole release) names."""
    named = [kernel for kernel in kernels if matches(kernel.release, text)]
    return max(named, key=lambda kernel: preference(kernel.release), default=None)


def matches(release: str, text: str) -> bool:
    """Tell whether `text` is the release, or its beginning up to the end of a number or word."""
    rest = release.removeprefix(text)
    return release.startswith(text) and not rest[:1].isalnum()


def preference(release: str) -> tuple[tuple[int, ...], bool]:
    """Return a key that is larger for later versions, and of one version for the flavour that is preferred."""
    return version_of(release), FLAVOUR in release


def version_of(release: str) -> tuple[int, ...]:
    """Return all numbers before the flavour, to compare releases."""
    return tuple(int(number) for number in re.findall(r"\d+", re.sub(r"-[a-z].*", "", release)))


def installed() -> Iterator[Kernel]:
    """Yield the kernels in /boot that have modules."""
    for image in sorted(BOOT.glob("vmlinuz-*")):
        release = image.name.removeprefix("vmlinuz-")
        for root in MODULES:
            if (root / release).is_dir():
                yield Kernel(release, image, root / release, "installed")
                break


def cached() -> Iterator[Kernel]:
    """Yield the fetched kernels."""
    for directory in sorted(places().glob("*/origin.json")):
        home = directory.parent
        yield Kernel(home.name, home / "vmlinuz", home / "modules", json.loads(directory.read_text())["origin"])


def store(release: str, image: Path, modules: Path, origin: str) -> Kernel:
    """Move a kernel's files into the cache, whole or not at all."""
    home = places() / release
    fresh = home.with_name(f".{release}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    shutil.move(image, fresh / "vmlinuz")
    shutil.move(modules, fresh / "modules")
    (fresh / "origin.json").write_text(json.dumps({"origin": origin}))
    shutil.rmtree(home, ignore_errors=True)
    fresh.rename(home)
    return Kernel(release, home / "vmlinuz", home / "modules", origin)


def remove(kernel: Kernel) -> int:
    """Remove a fetched kernel; return its bytes."""
    home = kernel.image.parent
    size = size_of(home)
    shutil.rmtree(home)
    return size


def size_of(directory: Path) -> int:
    """Return the bytes of all files below a directory."""
    return sum(path.lstat().st_size for path in directory.rglob("*"))


def _of_file(image: Path) -> Kernel:
    """Return the kernel in a file, with the modules beside it or in the tree where it was built."""
    try:
        content = image.read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read the kernel {image}", why=error.strerror or str(error)) from error
    if content[MAGIC_AT : MAGIC_AT + len(MAGIC)] != MAGIC:
        raise BenchError(f"{image} is no kernel for x86", why="it lacks the header of one", fix="give a bzImage")
    start = RELEASE_BASE + int.from_bytes(content[RELEASE_AT : RELEASE_AT + 2], "little")
    release = content[start : content.index(b"\0", start)].split(b" ")[0].decode(errors="replace")
    tree = image.resolve().parents[3] if image.name == "bzImage" and len(image.resolve().parents) > 3 else None
    candidates = [image.parent / "modules", image.parent / "lib/modules" / release]
    candidates += [root / release for root in MODULES]
    if tree is not None and (tree / "Kconfig").is_file():
        candidates.insert(0, tree)
    modules = next((path for path in candidates if path.is_dir()), image.parent / "modules")
    return Kernel(release, image.resolve(), modules, f"file {image}")
