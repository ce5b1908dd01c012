"""Where each driver was measured, as the runs of a directory tell."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.model import Arm
from bench.store.records import Provenance
from bench.store.rows import PACKED, PAIRS, rows_of

__all__ = ["Measured", "measured"]


@dataclass(frozen=True)
class Measured:
    """A run in which a unit of a driver ended without an error."""

    run: str
    kernel: str
    guest: bool


class _Unit(msgspec.Struct):
    arm: str
    error: str = ""


_row = msgspec.json.Decoder(_Unit).decode
_run = msgspec.json.Decoder(Provenance).decode


def measured(results: Path) -> dict[str, list[Measured]]:
    """Return the runs below `results` by driver; a run that cannot be read, or has its pairs only, is left out."""
    found: dict[str, list[Measured]] = {}
    for file in sorted(results.glob("*/run.json")):
        try:
            run = _run(file.read_bytes())
            drivers = _drivers(rows_of(file.parent))
        except (BenchError, OSError, EOFError, lzma.LZMAError, msgspec.MsgspecError):
            continue
        entry = Measured(file.parent.name, str(run.host.get("kernel", "")), run.place is not None)
        for driver in drivers:
            found.setdefault(driver, []).append(entry)
    return found


def _drivers(rows: Path) -> set[str]:
    """Return the drivers that have a unit without an error."""
    if rows.name == PAIRS:
        return set()
    with lzma.open(rows) if rows.suffix == PACKED else rows.open("rb") as file:
        units = [_row(line) for line in file if line.endswith(b"\n")]
    return {Arm.parse(name).driver for name in {unit.arm for unit in units if not unit.error}}
