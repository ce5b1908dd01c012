"""Modules of a kernel: finding them with what they depend on, from the files alone (depmod need not have run)."""

from __future__ import annotations

import lzma
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.host.packages import find_program

__all__ = ["with_dependencies"]

_DEPENDS = re.compile(rb"(?:^|\0)depends=([^\0]*)\0")
_SUFFIX = re.compile(r"\.ko(\.xz|\.zst|\.gz)?$")


def with_dependencies(directory: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the modules `names` below `directory`, each after those that it depends on.

    A name without a file is left out: it may be built into the kernel, or the kernel may not have it. Raises
    BenchError for a file that cannot be unpacked.
    """
    files = {_SUFFIX.sub("", path.name).replace("-", "_"): path for path in sorted(directory.rglob("*.ko*"))}
    done: set[str] = set()

    def add(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name not in files:
            return
        done.add(name)
        content = _unpacked(files[name])
        depends = _DEPENDS.search(content)
        for needed in depends[1].decode().split(",") if depends else ():
            yield from add(needed.replace("-", "_"))
        yield name, content

    for name in names:
        yield from add(name.replace("-", "_"))


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(content)
    programs = {".zst": "zstd", ".gz": "gzip"}
    if path.suffix not in programs:
        return content
    program = find_program(programs[path.suffix])
    if program is None:
        name = programs[path.suffix]
        raise BenchError(f"cannot unpack {path}", why=f"the program {name} is not installed", fix=f"install {name}")
    return subprocess.run([program, "-dc"], input=content, stdout=subprocess.PIPE, check=True).stdout
