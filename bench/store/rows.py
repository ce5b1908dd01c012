"""Read samples.jsonl row by row, so that a long run needs little memory; every error names its line."""

from __future__ import annotations

import lzma
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.model import RunWarning
from bench.store.columns import KEYS, PACE, Columns
from bench.store.records import SCHEMA, Row
from bench.store.typed import fault

__all__ = ["PACKED", "PAIRS", "RESERVED", "read", "rows_of"]

PAIRS = "pairs.json.xz"  # the data that bench.selftest needs, if the rows are stored elsewhere
PACKED = ".xz"  # the suffix of rows that were packed with xz(1), which take a thirtieth of the space

# Columns of the frames of a run and of its analysis, which cannot be names of parameters.
RESERVED = frozenset(
    {*KEYS, *PACE, "metric", "value", "operations", "counter", "ok", "error", "mismatches", "proofs", "how"}
    | {"expected", "expected_low", "expected_high", "started", "low", "high", "n", "method", "minimum", "maximum"}
    | {"median", "outliers", "disturbed", "ratio", "native_depth", "units", "matching"}
)


class _Version(msgspec.Struct):
    schema: int


_decode = msgspec.json.Decoder(Row).decode
_version = msgspec.json.Decoder(_Version).decode


def rows_of(directory: Path) -> Path:
    """Return the file of a run's rows: the first that exists of samples.jsonl, samples.jsonl.xz and PAIRS."""
    path = directory / "samples.jsonl"
    candidates = (path, path.with_name(path.name + PACKED), directory / PAIRS)
    return next((candidate for candidate in candidates if candidate.exists()), path)


def read(path: Path) -> tuple[Columns, list[RunWarning]]:
    """Return the columns of samples.jsonl and warnings on it; raises BenchError that names the line.

    The file may be packed (see PACKED). PAIRS has no rows.
    """
    columns = Columns()
    warnings: list[RunWarning] = []
    if path.name == PAIRS:
        return columns, warnings
    last = -1
    try:
        with lzma.open(path) if path.suffix == PACKED else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    warnings.append(RunWarning("cut", f"the last row of {path.name} is cut short; it was left out"))
                    break
                row = _row(line, f"{path} line {number}")
                if row.sequence <= last:
                    why = f"its sequence numbers do not rise at line {number}"
                    raise BenchError(f"{path} was edited", why=why, fix="restore the file")
                last = row.sequence
                try:
                    columns.add(row)
                except ValueError as error:
                    raise _no_sample(f"{path} line {number}", str(error)) from error
    except FileNotFoundError:
        return columns, [RunWarning("no rows", f"{path.name} is missing: the run stopped before its first unit")]
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (EOFError, lzma.LZMAError) as error:
        raise BenchError(f"{path} is damaged", why=str(error), fix="restore the file") from error
    return columns, warnings


def _row(line: bytes, location: str) -> Row:
    try:
        row = _decode(line)
    except msgspec.ValidationError as error:
        if _is_newer(line):  # its fields may differ
            raise BenchError(f"{location} was written by a newer version", fix="use that version") from None
        raise _no_sample(location, fault(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BenchError(f"{location} is not JSON", why=str(error), fix="restore the file") from error
    if row.schema > SCHEMA:
        raise BenchError(f"{location} was written by a newer version", fix="use that version")
    if strange := RESERVED & row.params.keys():
        raise _no_sample(location, f"a parameter cannot be called {min(strange)!r}")
    return row


def _is_newer(line: bytes) -> bool:
    try:
        return _version(line).schema > SCHEMA
    except msgspec.ValidationError:
        return False


def _no_sample(location: str, why: str) -> BenchError:
    return BenchError(f"{location} is not a sample", why=why, fix="restore the file")
