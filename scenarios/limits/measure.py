"""Maximum number of layers of overlayfs, and the number that fits in one page of mount options.

The layers are empty directories; both the largest stack that mounts and the next larger one are
tried. Only the mounts are timed, as part of a container's start.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.drivers.base import Driver
from bench.kernel import mounts
from bench.kernel.directory import working_directory
from bench.layers.content import Layer
from bench.model import Cell, Temperature
from bench.scenario.clock import once
from bench.scenario.contract import Grid, Params, Scenario, Unit
from scenarios.limits.reading import CLAIMED, MAX_LOWER, READING

OVER = MAX_LOWER + 1


def grids(profile: str) -> Iterable[Grid]:
    """One cell: the result is exact."""
    yield Grid((1,), (Temperature.NEW,), max_blocks=2, drivers=("overlay2",))


def layer(index: int, params: Params) -> Layer:
    """Empty: the operation makes its own directories."""
    return ()


def applies(cell: Cell, driver: Driver) -> str:
    """Only the kernel's overlayfs has these limits."""
    return "" if driver.name == "overlay2" else "it has no lower layers to count"


def operate(unit: Unit) -> None:
    """Find the maximum number of layers for each notation of their paths."""
    root = unit.container.stack.home
    home = root / "overlay2"
    (home / "l").mkdir(parents=True)
    for name in ("upper", "work", "merged"):
        (root / name).mkdir()
    links, absolute = [], []
    for _ in range(OVER):
        identity = secrets.token_hex(32)
        (home / identity / "diff").mkdir(parents=True)
        link = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=")
        os.symlink(f"../{identity}/diff", home / "l" / link)
        links.append(f"l/{link}")
        absolute.append(str(home / identity / "diff"))
    notations: dict[str, tuple[Callable[[int], None], int]] = {
        "lowerdir_plus": (lambda count: _fsconfig(root, absolute[:count]), OVER),
        "absolute_diff": (lambda count: _mount2(root, absolute[:count], None), OVER),
        "absolute_links": (lambda count: _mount2(root, [str(home / link) for link in links[:count]], None), OVER),
        "relative_links": (lambda count: _mount2(root, links[:count], home), OVER),
    }
    for notation, (mount, limit) in notations.items():
        best = _most(root, mount, limit)
        unit.counters[f"layers_{notation}"] = best
    # Without lowerdir+ (before Linux 6.7) the layers are named by relative links, as far as they fit.
    chosen = "lowerdir_plus" if unit.counters["layers_lowerdir_plus"] else "relative_links"
    for count in (1, CLAIMED, MAX_LOWER):
        if count <= unit.counters[f"layers_{chosen}"]:
            elapsed, _ = once(notations[chosen][0], count)
            unit.record(f"mount_{count}", [elapsed])
            mounts.unmount(root / "merged")


def _options(root: Path) -> list[tuple[str, str | None]]:
    return [("index", "off"), ("upperdir", str(root / "upper")), ("workdir", str(root / "work"))]


def _fsconfig(root: Path, lower: list[str]) -> None:
    layers: list[tuple[str, str | None]] = [("lowerdir+", path) for path in lower]
    mounts.fs_mount("overlay", root / "merged", [*layers, *_options(root)])


def _mount2(root: Path, lower: list[str], directory: Path | None) -> None:
    options = ",".join([f"lowerdir={':'.join(lower)}", *(f"{key}={value}" for key, value in _options(root))])
    with working_directory(directory or root):
        mounts.mount("overlay", root / "merged", "overlay", options=options)


def _most(root: Path, mount: Callable[[int], None], limit: int) -> int:
    """Return the maximum number of layers that mounts, by bisection, as success is monotonic."""
    low, high = 0, limit + 1
    while high - low > 1:
        middle = (low + high) // 2
        try:
            mount(middle)
        except OSError:
            high = middle
        else:
            mounts.unmount(root / "merged")
            low = middle
    return low


def prove(unit: Unit) -> None:
    """The kernel's maximum number of layers mounts; clean up."""
    shutil.rmtree(unit.container.stack.home)
    best = unit.counters["layers_lowerdir_plus"] or unit.counters["layers_relative_links"]
    unit.require_proof(best > 0, "a stack was mounted and unmounted")
    if unit.counters["layers_lowerdir_plus"]:
        unit.expect("layers_lowerdir_plus", best, MAX_LOWER, why="fs/overlayfs/params.c, OVL_MAX_STACK")


SCENARIO = Scenario(
    reading=READING,
    weight=0.02,
    grids=grids,
    layer=layer,
    applies=applies,
    operate=operate,
    prove=prove,
    needs_container=False,
)
