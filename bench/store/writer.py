"""Write results/<run-id>/: run.json (provenance) and samples.jsonl (one row per unit, as measured)."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bench.errors import BenchError
from bench.model import Sample
from bench.store.records import SCHEMA, Provenance

__all__ = ["RunWriter", "Writer", "row", "write_json"]


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(msgspec.to_builtins(value), file, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def row(sample: Sample) -> dict[str, Any]:
    """Return the row of a sample in samples.jsonl."""
    return {
        "schema": SCHEMA,
        "sequence": sample.sequence,
        "block": sample.block,
        "scenario": sample.scenario,
        "arm": sample.arm.name,
        "driver": sample.arm.driver,
        "options": dict(sample.arm.options),
        "volume": sample.arm.volume,
        "depth": sample.depth,
        "temperature": sample.temperature.value,
        "params": dict(sample.params),
        "started": round(sample.started, 6),
        "metrics": dict(sample.metrics),
        "operations": dict(sample.operations),
        "counters": dict(sample.counters),
        "expected": {name: list(bounds) for name, bounds in sample.expected.items()},
        "mismatches": [asdict(mismatch) for mismatch in sample.mismatches],
        "proofs": list(sample.proofs),
        "pace": dict(sample.pace),
        "how": dict(sample.how),
        "clock": "nanoseconds",
        "error": sample.error,
    }


class Writer(Protocol):
    """Receiver of a run's rows and provenance."""

    directory: Path
    provenance: dict[str, Any]

    def add(self, sample: Sample) -> None:
        """Take one row."""

    def save(self, **changes: Any) -> None:
        """Change the provenance."""

    def close(self) -> None:
        """Take no more."""


class RunWriter:
    """The only writer of a run's directory; holds a lock on it until closed."""

    def __init__(self, directory: Path, provenance: Mapping[str, Any]) -> None:
        """Open `directory` for a new or resumed run; raises BenchError if another process writes it."""
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._samples = os.open(directory / "samples.jsonl", flags, 0o644)
        except OSError as error:
            raise BenchError(
                f"cannot write results to {directory}", why=error.strerror or str(error), fix="give another --results"
            ) from error
        try:
            fcntl.flock(self._samples, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._samples)
            raise BenchError(
                f"another process is writing run {directory.name}", fix="wait for it, or start a new run"
            ) from None
        self._end_broken_line()
        self.provenance = {"schema": SCHEMA, "complete": False, **provenance}
        self.save()

    def _end_broken_line(self) -> None:
        """Cut off a last row that a crash left incomplete, so that the next row begins a new line."""
        path = self.directory / "samples.jsonl"
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)

    def add(self, sample: Sample) -> None:
        """Append one row with a single write."""
        self.append(row(sample))

    def append(self, row: Mapping[str, Any]) -> None:
        """Do as `add`, for a row that another machine made of its sample."""
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
        data = line.encode()
        try:
            if os.write(self._samples, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._unwritable("samples.jsonl", error) from error

    def _unwritable(self, name: str, error: OSError) -> BenchError:
        return BenchError(
            f"cannot write {self.directory / name}",
            why=error.strerror or str(error),
            fix="make room; the rows so far are kept, `--resume` goes on",
        )

    def save(self, **changes: Any) -> None:
        """Change the provenance and write run.json."""
        self.provenance.update(changes)
        msgspec.convert(msgspec.to_builtins(self.provenance), Provenance)  # raises for what a reader would refuse
        try:
            write_json(self.directory / "run.json", self.provenance)
        except OSError as error:
            raise self._unwritable("run.json", error) from error

    def close(self) -> None:
        """Release the lock."""
        os.close(self._samples)
