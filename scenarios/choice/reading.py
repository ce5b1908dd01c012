"""Findings from Docker's choice of a storage driver: the matrix of drivers and file systems, as tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.reading.claims import Finding, Outcome, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Arm
    from bench.reading.analysis import Analysis

ASKED = "docker/vfs"  # the driver that runs on every file system: its arms represent the volume
# In the order in which 20.10 tries them (daemon/graphdriver/driver_linux.go); it uses the first that is supported.
DRIVERS = ("btrfs", "zfs", "overlay2", "fuse-overlayfs", "aufs", "overlay", "devicemapper", "vfs")
DEPRECATED = ("aufs", "overlay", "devicemapper")  # daemon/graphdriver/driver.go, isDeprecated
# The documented matrix (Docker's "storage drivers", backing filesystems), of the file systems that can be made here.
DOCUMENTED = {
    "overlay2": ("ext4", "xfs"),
    "overlay": ("ext4", "xfs"),
    "fuse-overlayfs": ("ext4", "xfs", "btrfs"),
    "vfs": ("ext4", "xfs", "btrfs"),
    "btrfs": ("btrfs",),
}


def _volumes(analysis: Analysis) -> Iterator[tuple[Arm, str, dict[str, bool], list[str]]]:
    """Yield each arm with its volume, whether each driver ran there, and the drivers that dockerd called deprecated."""
    depth = analysis.depth(READING.name, 1)
    for arm in analysis.arms(READING.name):
        if arm.stack != ASKED:
            continue
        rows = {name: analysis.counter(READING.name, arm, f"runs_{name}", depth=depth) for name in DRIVERS}
        ran = {name: row["maximum"] > 0 for name, row in rows.items() if row is not None}
        warned = {name: analysis.counter(READING.name, arm, f"deprecates_{name}", depth=depth) for name in ran}
        if ran:
            yield arm, arm.volume, ran, [name for name, row in warned.items() if row and row["maximum"] > 0]


def _chosen(analysis: Analysis, arm: Arm) -> str:
    depth = analysis.depth(READING.name, 1)
    return next(name for name in DRIVERS if analysis.counter(READING.name, arm, f"chooses_{name}", depth=depth))


def judge_default(analysis: Analysis) -> Iterator[Finding]:
    """C1: the driver that dockerd chooses by default, and the drivers that it calls deprecated."""
    for arm, volume, ran, warned in _volumes(analysis):
        chosen = _chosen(analysis, arm)
        undeclared = [name for name in DEPRECATED if name not in warned]
        yield Finding(
            str(arm),
            Outcome.CONFIRMED if chosen == "overlay2" and not undeclared else Outcome.QUALIFIED,
            f"on a fresh {volume} dockerd took {chosen} by itself; it called deprecated: "
            f"{', '.join(warned) or 'none'}; not startable on this kernel: "
            f"{', '.join(name for name in DEPRECATED if not ran.get(name)) or 'none'}",
        )


def judge_backing(analysis: Analysis) -> Iterator[Finding]:
    """C2: the documented matrix, each cell tried."""
    for arm, volume, ran, _ in _volumes(analysis):
        base = volume.partition("-")[0].partition(",")[0]
        documented = {name for name, volumes in DOCUMENTED.items() if base in volumes}
        runs = {name for name, yes in ran.items() if yes}
        undocumented, refused = runs - documented, documented - runs
        parts = [f"dockerd started with {', '.join(name for name in DRIVERS if name in runs)}"]
        if undocumented:
            parts.append(f"not documented for it: {', '.join(sorted(undocumented))}")
        if refused:
            parts.append(f"documented, and refused: {', '.join(sorted(refused))}")
        outcome = Outcome.QUALIFIED if undocumented or refused else Outcome.CONFIRMED
        yield Finding(str(arm), outcome, f"on {volume} {'; '.join(parts)}")


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the matrix of drivers and file systems."""
    rows = []
    for arm, volume, ran, warned in _volumes(analysis):
        words = [f"{'yes' if ran.get(name) else 'no'}{', deprecated' if name in warned else ''}" for name in DRIVERS]
        rows.append((volume, _chosen(analysis, arm), *words))
    if rows:
        yield Table(
            "Drivers that dockerd starts with, by file system", ("file system", "by itself", *DRIVERS), (*rows,)
        )


READING = Reading(
    name="choice",
    question="Which storage driver does Docker choose on a file system, and which does it accept?",
    method=(
        "On a fresh file system a private dockerd is started without being told a driver, then once with each driver "
        "that 20.10 knows; what it runs with is what `docker info` says, and a refusal is its own last words (in the "
        "rows' proofs). Timed is only the first start."
    ),
    order=8,
    metrics=(Metric("start", "dockerd is started and answers"),),
    judged_metric="start",
    claims={"C1": judge_default, "C2": judge_backing},
    tables=tables,
)
