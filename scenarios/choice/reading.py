"""Findings from Docker's choice of a storage driver: the matrix of drivers and file systems, as tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.model import WITH_TYPES, WITHOUT_TYPES
from bench.reading.claims import Finding, Outcome, Table
from bench.reading.contract import Reading
from bench.reading.laws import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Arm, Param
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


@dataclass(frozen=True)
class _Tried:
    """What dockerd did on one file system."""

    arm: Arm
    types: str  # whether its listings tell the types of names
    chosen: str  # the driver that it took by itself
    ran: frozenset[str]
    warned: tuple[str, ...]  # the drivers that it called deprecated

    @property
    def name(self) -> str:
        """The file system's."""
        return f"{self.arm.volume} without types in listings" if self.types == WITHOUT_TYPES else self.arm.volume


def _tried(analysis: Analysis) -> Iterator[_Tried]:
    """Yield what was tried; runs of earlier versions do not have the parameter `types`."""
    depth = analysis.depth(READING.name, 1)
    asked = "types" in analysis.run.parameters and analysis.units(READING.name)["types"].notna().any()
    for arm in analysis.arms(READING.name):
        for types in (WITH_TYPES, WITHOUT_TYPES) if asked else (WITH_TYPES,):
            where: dict[str, Param] = {"depth": depth, "types": types} if asked else {"depth": depth}

            def yes(counter: str, arm: Arm = arm, where: dict[str, Param] = where) -> bool:
                row = analysis.counter(READING.name, arm, counter, **where)
                return row is not None and row["maximum"] > 0

            chosen = next((name for name in DRIVERS if yes(f"chooses_{name}")), "")
            if arm.stack == ASKED and chosen:
                ran = frozenset(name for name in DRIVERS if yes(f"runs_{name}"))
                yield _Tried(arm, types, chosen, ran, tuple(name for name in DRIVERS if yes(f"deprecates_{name}")))


def judge_default(analysis: Analysis) -> Iterator[Finding]:
    """C1: the driver that dockerd chooses by default, and the drivers that it calls deprecated."""
    for tried in _tried(analysis):
        if tried.types == WITHOUT_TYPES:
            continue
        undeclared = [name for name in DEPRECATED if name not in tried.warned]
        yield Finding(
            str(tried.arm),
            Outcome.CONFIRMED if tried.chosen == "overlay2" and not undeclared else Outcome.QUALIFIED,
            f"on a fresh {tried.name} dockerd took {tried.chosen} by itself; it called deprecated: "
            f"{', '.join(tried.warned) or 'none'}; not startable on this kernel: "
            f"{', '.join(name for name in DEPRECATED if name not in tried.ran) or 'none'}",
        )


def judge_backing(analysis: Analysis) -> Iterator[Finding]:
    """C2: the documented matrix, each cell tried; and what needs types in listings."""
    for tried in _tried(analysis):
        yield _without_types(tried) if tried.types == WITHOUT_TYPES else _documented(tried)


def _documented(tried: _Tried) -> Finding:
    base = tried.arm.volume.partition("-")[0].partition(",")[0]
    documented = {name for name, volumes in DOCUMENTED.items() if base in volumes}
    undocumented, refused = tried.ran - documented, documented - tried.ran
    parts = [f"dockerd started with {_in_order(tried.ran)}"]
    if undocumented:
        parts.append(f"not documented for it: {', '.join(sorted(undocumented))}")
    if refused:
        parts.append(f"documented, and refused: {', '.join(sorted(refused))}")
    outcome = Outcome.QUALIFIED if undocumented or refused else Outcome.CONFIRMED
    return Finding(str(tried.arm), outcome, f"on {tried.name} {'; '.join(parts)}")


def _without_types(tried: _Tried) -> Finding:
    works = "overlay2" in tried.ran
    text = (
        f"on {tried.name} dockerd {'started with' if works else 'refused'} overlay2; it took {tried.chosen} by itself"
    )
    outcome = Outcome.REFUTED if works else Outcome.CONFIRMED
    return Finding(str(tried.arm), outcome, f"{text}, and started with {_in_order(tried.ran)}")


def _in_order(names: frozenset[str]) -> str:
    return ", ".join(name for name in DRIVERS if name in names)


def tables(analysis: Analysis) -> Iterator[Table]:
    """Yield the matrix of drivers and file systems."""
    rows = []
    for tried in _tried(analysis):
        words = [
            f"{'yes' if name in tried.ran else 'no'}{', deprecated' if name in tried.warned else ''}"
            for name in DRIVERS
        ]
        rows.append((tried.name, tried.chosen, *words))
    if rows:
        yield Table(
            "Drivers that dockerd starts with, by file system", ("file system", "by itself", *DRIVERS), (*rows,)
        )


READING = Reading(
    name="choice",
    question="Which storage driver does Docker choose on a file system, and which does it accept?",
    method=(
        "On a fresh file system, and on one made without types in listings, a private dockerd is started without being "
        "told a driver, then once with each driver that 20.10 knows; what it runs with is what `docker info` says, and "
        "a refusal is its own last words (in the rows' proofs). Timed is only the first start."
    ),
    order=8,
    metrics=(Metric("start", "dockerd is started and answers"),),
    judged_metric="start",
    claims={"C1": judge_default, "C2": judge_backing},
    tables=tables,
)
