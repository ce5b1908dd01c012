"""A compact file of the pairs of a self-test, with a few bytes a pair: all data that the page needs.

The rows of a full run take 219 MB, and 7 MB packed; this file takes 0.5 MB. Numbers have all digits of the rows, so
that the page is the same.
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
        """Raise ValueError if the sides differ in length."""
        if len(self.a) != len(self.b):
            raise ValueError("the sides are not as many")


class _Stream(msgspec.Struct):
    """The content of a Recorded; `seconds` is None if unknown."""

    blocks: int
    failed: int
    seconds: float | None
    parts: list[_Part]


class _File(msgspec.Struct):
    """The content of a Records."""

    schema: int
    units: int
    failed: int
    stretches: int
    warnings: list[str]
    streams: dict[int, _Stream]


def records(run: Run) -> Records:
    """Return the data of the streams of `run`, from its rows, or from its file of pairs if it has no rows."""
    if run.samples.name != PAIRS:
        return of_rows(run)
    recorded = _read(run.samples)
    if recorded.streams.keys() != {record.number for record in run.provenance.streams or ()}:
        raise BenchError(f"{run.samples} has other streams than run.json", fix="restore the files")
    return recorded


def pack(run: Run) -> Path:
    """Write the pairs of `run` to a file beside its rows and return its path; raises BenchError if it cannot."""
    recorded = records(run)
    streams = {
        number: _Stream(
            stream.blocks,
            stream.failed,
            None if math.isnan(stream.seconds) else stream.seconds,
            [_Part(a.tolist(), b.tolist()) for a, b in stream.parts],
        )
        for number, stream in recorded.streams.items()
    }
    file = _File(SCHEMA, recorded.units, recorded.failed, recorded.stretches, list(recorded.warnings), streams)
    path = run.directory / PAIRS
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(lzma.compress(msgspec.json.encode(file)))
        temporary.replace(path)
    except OSError as error:
        raise BenchError(f"cannot write {path}", why=error.strerror or str(error), fix="make room") from error
    return path


def _read(path: Path) -> Records:
    try:
        text = lzma.decompress(path.read_bytes())
        file = msgspec.json.decode(text, type=_File)
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except lzma.LZMAError as error:
        raise BenchError(f"{path} is damaged", why=str(error), fix="restore the file") from error
    except ValueError as error:
        raise BenchError(f"{path} does not have a run's pairs", why=str(error), fix="restore the file") from error
    if file.schema > SCHEMA:
        raise BenchError(f"{path} was written by a newer version", fix="use that version to read it")
    streams = {
        number: Recorded(
            tuple((np.array(part.a), np.array(part.b)) for part in stream.parts),
            stream.blocks,
            stream.failed,
            math.nan if stream.seconds is None else stream.seconds,
        )
        for number, stream in file.streams.items()
    }
    return Records(streams, file.units, file.failed, file.stretches, tuple(file.warnings))
