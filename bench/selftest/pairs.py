"""What the page of a self-test is made of, without the rest of the rows: a file of a few bytes a pair.

The rows of a full run take 237 MB, and 8 MB packed; this takes 0.6 MB. Numbers are as they stand in the rows, so that
the page is the same to the last digit.
"""

from __future__ import annotations

import lzma
import math
from pathlib import Path

import msgspec
import numpy as np

from bench.errors import BenchError
from bench.selftest.recorded import Recorded, Records, of_rows
from bench.store.reader import Run
from bench.store.records import SCHEMA
from bench.store.rows import PAIRS

__all__ = ["pack", "records"]


class _Part(msgspec.Struct):
    """Times of A and of B."""

    a: list[float]
    b: list[float]

    def __post_init__(self) -> None:
        """Refuse what is no pairs."""
        if len(self.a) != len(self.b):
            raise ValueError("the sides are not as many")


class _Stream(msgspec.Struct):
    """As Recorded; `seconds` is None where they are not known."""

    blocks: int
    failed: int
    seconds: float | None
    parts: list[_Part]


class _File(msgspec.Struct):
    """As Records."""

    schema: int
    units: int
    failed: int
    stretches: int
    warnings: list[str]
    streams: dict[int, _Stream]


def records(run: Run) -> Records:
    """Return what `run` has of its streams: from its rows, or from its pairs where it has only those."""
    if run.samples.name != PAIRS:
        return of_rows(run)
    found = _read(run.samples)
    if found.streams.keys() != {facts.number for facts in run.provenance.streams or ()}:
        raise BenchError(f"{run.samples} has other streams than run.json", fix="restore the files")
    return found


def pack(run: Run) -> Path:
    """Write the pairs of `run` beside its rows, and return the file; raises BenchError where that cannot be."""
    found = records(run)
    streams = {
        number: _Stream(
            one.blocks,
            one.failed,
            None if math.isnan(one.seconds) else one.seconds,
            [_Part(a.tolist(), b.tolist()) for a, b in one.parts],
        )
        for number, one in found.streams.items()
    }
    told = _File(SCHEMA, found.units, found.failed, found.stretches, list(found.warnings), streams)
    path = run.directory / PAIRS
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(lzma.compress(msgspec.json.encode(told)))
        temporary.replace(path)
    except OSError as error:
        raise BenchError(f"cannot write {path}", why=error.strerror or str(error), fix="make room") from error
    return path


def _read(path: Path) -> Records:
    try:
        text = lzma.decompress(path.read_bytes())
        told = msgspec.json.decode(text, type=_File)
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except lzma.LZMAError as error:
        raise BenchError(f"{path} is damaged", why=str(error), fix="restore the file") from error
    except ValueError as error:
        raise BenchError(f"{path} does not have a run's pairs", why=str(error), fix="restore the file") from error
    if told.schema > SCHEMA:
        raise BenchError(f"{path} was written by a newer version", fix="use that version to read it")
    streams = {
        number: Recorded(
            tuple((np.array(part.a), np.array(part.b)) for part in one.parts),
            one.blocks,
            one.failed,
            math.nan if one.seconds is None else one.seconds,
        )
        for number, one in told.streams.items()
    }
    return Records(streams, told.units, told.failed, told.stretches, tuple(told.warnings))
