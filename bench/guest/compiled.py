"""Python modules compiled for a guest, kept by their content in the cache directory."""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.guest.kernels import places

__all__ = ["compile_all"]


def compile_all(sources: Mapping[str, Path]) -> dict[str, bytes]:
    """Compile modules, by the path that each has in the guest; return the content of their .pyc files.

    In another process with a fixed hash seed, because the order of a constant set is that of its hashes.
    """
    home = places().parent / "compiled"
    home.mkdir(parents=True, exist_ok=True)
    targets = {name: home / _digest(name, path) for name, path in sources.items()}
    missing = [(str(sources[name]), str(target), name) for name, target in targets.items() if not target.exists()]
    if missing:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(
            [sys.executable, "-m", __name__], input=json.dumps(missing), text=True, check=True, env=environment
        )
    return {name: target.read_bytes() for name, target in targets.items()}


def _digest(name: str, source: Path) -> str:
    return hashlib.sha256(b"\0".join((sys.version.encode(), name.encode(), source.read_bytes()))).hexdigest()


def main() -> None:
    """Compile what standard input lists: triples of source, target and path in the guest."""
    for source, target, name in json.load(sys.stdin):
        fresh = f"{target}.{os.getpid()}"
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH  # needs no time of the source
        py_compile.compile(source, fresh, dfile=name, invalidation_mode=mode, doraise=True)
        Path(fresh).rename(target)


if __name__ == "__main__":
    main()
