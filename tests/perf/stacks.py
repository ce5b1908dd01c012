"""Build stacks in namespaces of its own for test_build: `python -m tests.perf.stacks PLACE`.

Each line on standard input is a command; each line on standard output is its answer. So a benchmark
outside times the build and two small messages, and nothing else.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench import discovery
from bench.kernel.namespaces import run_isolated
from bench.layers.content import Directory, File, Layer
from tests.integration.places import made

LAYERS, FILES, FILE_BYTES = 124, 1000, 0
READY = "ready"


def layers() -> list[Layer]:
    """Return a stack of empty files, no two of one name: what it takes is inodes."""
    return [
        (Directory("tree"), *(File(f"tree/{layer}-{number}", FILE_BYTES) for number in range(FILES)))
        for layer in range(LAYERS)
    ]


def serve(place: Path) -> int:
    """Answer `build` with the inodes that it took, and `remove`."""
    chain = layers()
    driver = discovery.driver("overlay2")()
    with made("ext4", place, size=512 << 20, inodes=2 * LAYERS * FILES) as volume:
        home = volume.path / "overlay2"
        print(READY, flush=True)
        for line in sys.stdin:
            if line.strip() == "build":
                driver.build(home, chain, (LAYERS,), 1)
                print("built", flush=True)
            elif line.strip() == "count":
                print(volume.usage().inodes, flush=True)
            else:
                shutil.rmtree(home, ignore_errors=not home.exists())
                volume.sync()
                print("removed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_isolated(lambda: serve(Path(sys.argv[1])), user_namespace=False))
