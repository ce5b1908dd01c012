"""How many layers overlayfs takes, and how many fit one page of mount options.

The layers are empty directories; the largest stack that mounts, and the next one that does not, are
both tried. Not timed but for the mounts themselves, which is what a container start pays.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from bench.drivers.overlay2 import MAX_LOWER
from bench.kernel import mounts
from bench.kernel.directory import working_directory
from bench.measure.clock import once
from bench.measure.scenario import Grid, Metric, Params, Scenario, Unit
from bench.model import Temperature
from bench.verdicts.claims import Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bench.drivers.base import Driver
    from bench.layers.content import Layer
    from bench.model import Cell
    from bench.stats.analysis import Analysis

CLAIMED = 128  # the number in the description, moby's own maxDepth
OVER = MAX_LOWER + 1


def grids(profile: str) -> Iterable[Grid]:
    """One cell: the answer does not vary."""
    yield Grid((1,), (Temperature.NEW,), blocks=2, drivers=("overlay2",))


def layer(index: int, params: Params) -> Layer:
    """Nothing: the operation makes its own directories."""
    return ()


def applies(cell: Cell, driver: Driver) -> str:
    """Only the kernel's overlayfs has these limits; a plain directory has no layers."""
    return "" if driver.name == "overlay2" else "it has no lower layers to count"


def operate(unit: Unit) -> None:
    """Find the most layers for each way to name them."""
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
    ways: dict[str, tuple[Callable[[int], None], int]] = {
        "lowerdir_plus": (lambda count: _fsconfig(root, absolute[:count]), OVER),
        "absolute_diff": (lambda count: _mount2(root, absolute[:count], None), OVER),
        "absolute_links": (lambda count: _mount2(root, [str(home / link) for link in links[:count]], None), OVER),
        "relative_links": (lambda count: _mount2(root, links[:count], home), OVER),
    }
    for way, (mount, most) in ways.items():
        best = _most(root, mount, most)
        unit.counters[f"layers_{way}"] = best
    for count in (1, CLAIMED, MAX_LOWER):
        elapsed, _ = once(_fsconfig, root, absolute[:count])
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


def _most(root: Path, mount: Callable[[int], None], most: int) -> int:
    """Return the largest number of layers that mounts, by bisection: what fits is monotonous."""
    low, high = 0, most + 1
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
    """The claimed number mounts where the kernel is the limit; clean up."""
    shutil.rmtree(unit.container.stack.home)
    best = unit.counters["layers_lowerdir_plus"] or unit.counters["layers_relative_links"]
    unit.proven(best > 0, "a stack was mounted and unmounted")
    if unit.counters["layers_lowerdir_plus"]:
        unit.expect("layers_lowerdir_plus", best, MAX_LOWER, why="fs/overlayfs/params.c, OVL_MAX_STACK")


def judge_depth(analysis: Analysis) -> Iterator[Finding]:
    """C3: 128 is not the kernel's number."""
    depth = analysis.depth("limits", 1)
    for arm in analysis.arms("limits"):
        kernel = analysis.counter("limits", arm, "layers_lowerdir_plus", depth=depth)
        page = analysis.counter("limits", arm, "layers_relative_links", depth=depth)
        if kernel is None or page is None:
            continue
        most = max(kernel["maximum"], page["maximum"])
        yield Finding(
            arm,
            Outcome.QUALIFIED if most != CLAIMED else Outcome.CONFIRMED,
            f"this kernel mounted {most:.0f} lower layers and refused {most + 1:.0f}; {CLAIMED} is the engine's own "
            f"limit; in one page of mount(2) options {page['maximum']:.0f} fitted as relative links",
        )


def judge_links(analysis: Analysis) -> Iterator[Finding]:
    """C4: what the short links are for."""
    depth = analysis.depth("limits", 1)
    for arm in analysis.arms("limits"):
        full = analysis.counter("limits", arm, "layers_absolute_diff", depth=depth)
        links = analysis.counter("limits", arm, "layers_absolute_links", depth=depth)
        relative = analysis.counter("limits", arm, "layers_relative_links", depth=depth)
        if full is None or links is None or relative is None:
            continue
        yield Finding(
            arm,
            Outcome.QUALIFIED,
            f"in one page of options {full['maximum']:.0f} layers fitted by their full paths, "
            f"{links['maximum']:.0f} by l/ links, {relative['maximum']:.0f} by relative links, so the links do extend "
            "the limit; what an engine's layers hold, only the scenario layout tells",
        )


SCENARIO = Scenario(
    name="limits",
    question="How many lower layers does overlayfs take, and how many fit one page of mount options?",
    method=(
        "Empty layers in Docker's layout; for each way of naming them the largest number that mounts is found by "
        "bisection, each step a real mount. Options longer than a page are refused before the call, because the "
        "kernel would cut them without an error. The mount itself is timed for 1, 128 and 500 layers."
    ),
    order=5,
    weight=0.02,
    metrics=(
        Metric("mount_1", "mounting 1 layer by fsconfig"),
        Metric(f"mount_{CLAIMED}", f"mounting {CLAIMED} layers by fsconfig"),
        Metric(f"mount_{MAX_LOWER}", f"mounting {MAX_LOWER} layers by fsconfig"),
    ),
    headline=f"mount_{CLAIMED}",
    grids=grids,
    layer=layer,
    applies=applies,
    operate=operate,
    prove=prove,
    mounts=False,
    claims={"C3": judge_depth, "C4": judge_links},
)
