"""What the page of a self-test is made of, without the rest of the rows: a file of a few bytes a pair.

The rows of a full run take 237 MB, and 8 MB packed; this takes 0.6 MB. Numbers are as they stand in the rows, so that
the page is the same to the last digit.
"""

from __future__ import annotations

import json
import lzma
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BenchError
from bench.selftest.recorded import Recorded, Records, of_rows
from bench.store.records import SCHEMA
from bench.store.rows import PAIRS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.store.reader import Run

__all__ = ["pack", "records"]


def records(run: Run) -> Records:
    """Return what `run` has of its streams: from its rows, or from its pairs where it has only those."""
    if run.samples.name != PAIRS:
        return of_rows(run)
    found = _read(run.samples)
    if found.streams.keys() != {facts.number for facts in run.provenance.streams or ()}:
        raise BenchError(f"{run.samples} has other streams than run.json", mend="restore the files")
    return found


def pack(run: Run) -> Path:
    """Write the pairs of `run` beside its rows, and return the file; raises BenchError where that cannot be."""
    found = records(run)
    told = {
        "schema": SCHEMA,
        "units": found.units,
        "failed": found.failed,
        "stretches": found.stretches,
        "warnings": found.warnings,
        "streams": {number: _as_json(one) for number, one in found.streams.items()},
    }
    path = run.directory / PAIRS
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(lzma.compress(text.encode()))
        temporary.replace(path)
    except OSError as error:
        raise BenchError(f"cannot write {path}", why=error.strerror or str(error), mend="make room") from error
    return path


def _as_json(one: Recorded) -> dict[str, Any]:
    parts = [{"a": a.tolist(), "b": b.tolist()} for a, b in one.parts]
    seconds = None if math.isnan(one.seconds) else one.seconds
    return {"blocks": one.blocks, "failed": one.failed, "seconds": seconds, "parts": parts}


def _read(path: Path) -> Records:
    from bench.selftest.recorded import Records

    try:
        told = json.loads(lzma.decompress(path.read_bytes()))
        if told["schema"] > SCHEMA:
            raise BenchError(f"{path} was written by a newer version", mend="use that version to read it")
        streams = {int(number): _of_json(one) for number, one in told["streams"].items()}
        units, failed, stretches = (int(told[name]) for name in ("units", "failed", "stretches"))
        return Records(streams, units, failed, stretches, tuple(map(str, told["warnings"])))
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (EOFError, lzma.LZMAError) as error:
        raise BenchError(f"{path} is damaged", why=str(error), mend="restore the file") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BenchError(f"{path} does not have a run's pairs", why=repr(error), mend="restore the file") from error


def _of_json(told: Any) -> Recorded:
    parts = []
    for part in told["parts"]:
        a, b = (np.array(part[side], dtype=np.float64) for side in "ab")
        if a.ndim != 1 or a.shape != b.shape or not np.isfinite([a, b]).all():
            raise ValueError("the sides are not as many numbers")
        parts.append((a, b))
    seconds = math.nan if told["seconds"] is None else float(told["seconds"])
    return Recorded(tuple(parts), int(told["blocks"]), int(told["failed"]), seconds)
