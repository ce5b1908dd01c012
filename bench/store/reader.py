"""Read a run from disk into tidy pandas frames; needs no root, no Linux and no driver."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.store.writer import SCHEMA

__all__ = ["Run", "load"]

_KEYS = ("sequence", "block", "scenario", "arm", "driver", "volume", "depth", "temperature", "error")
_REQUIRED = {*_KEYS, "schema", "params", "metrics", "operations", "counters", "expected", "mismatches", "proofs", "how"}


@dataclass(frozen=True)
class Run:
    """A run as read.

    `times`: one row per unit and metric, columns sequence, block, scenario, arm, driver, stack (the
    driver with its options), volume, depth, temperature, metric, value, operations, and one column
    per parameter (missing where a scenario has none). Units with an error are not in it.
    `counters`: one row per unit and counter: the same keys, counter, value, expected, ok.
    `units`: one row per unit: the same keys, error, mismatches, proofs, how, started.
    `warnings`: what was odd about the files themselves.
    """

    directory: Path
    provenance: dict[str, Any]
    times: pd.DataFrame
    counters: pd.DataFrame
    units: pd.DataFrame
    warnings: tuple[str, ...]

    @property
    def id(self) -> str:
        """The run's name, that of its directory."""
        return self.directory.name


def load(directory: Path) -> Run:
    """Read results/<run-id>; raises BenchError for what cannot be read or is not a run."""
    provenance = _provenance(directory)
    rows, warnings = _rows(directory / "samples.jsonl")
    units: list[dict[str, Any]] = []
    times: list[dict[str, Any]] = []
    counters: list[dict[str, Any]] = []
    for item in rows:
        keys = {key: item[key] for key in _KEYS if key != "error"}
        keys["stack"] = item["arm"].rpartition("@")[0]
        keys.update(item["params"])
        bad = "; ".join(item["mismatches"])
        rest = {"error": item["error"], "mismatches": bad, "proofs": "; ".join(item["proofs"])}
        how = "; ".join(f"{key}: {value}" for key, value in item["how"].items())
        units.append({**keys, **rest, "how": how, "started": item["started"]})
        if item["error"]:
            continue
        wrong = {text.split(" is ", 1)[0] for text in item["mismatches"]}
        for metric, value in item["metrics"].items():
            times.append({**keys, "metric": metric, "value": value, "operations": item["operations"].get(metric, 1)})
        for counter, value in item["counters"].items():
            want = item["expected"].get(counter, "")
            counters.append({**keys, "counter": counter, "value": value, "expected": want, "ok": counter not in wrong})
    return Run(
        directory,
        provenance,
        _frame(times, "metric", "value", "operations"),
        _frame(counters, "counter", "value", "expected", "ok"),
        _frame(units, "error", "mismatches", "proofs", "how", "started"),
        tuple(warnings),
    )


def _frame(rows: list[dict[str, Any]], *more: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    for column in (*_KEYS[:-1], "stack", *more):
        if column not in frame:
            frame[column] = pd.Series(dtype=object)
    return frame


def _provenance(directory: Path) -> dict[str, Any]:
    path = directory / "run.json"
    if not directory.is_dir():
        raise BenchError(f"no run at {directory}", mend="`ls results` shows the runs; give one's directory or name")
    try:
        provenance = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(f"{directory} is not a run", why="it has no run.json") from None
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read {path}", why=str(error), mend="restore the file, or run again") from error
    if not isinstance(provenance, dict) or not isinstance(provenance.get("schema"), int):
        raise BenchError(f"{path} is not a run's provenance", why="it has no schema number")
    if provenance["schema"] > SCHEMA:
        raise BenchError(
            f"{path} was written by a newer version",
            why=f"schema {provenance['schema']}, this version reads up to {SCHEMA}",
            mend="use that version to read it",
        )
    return provenance


def _rows(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return [], ["samples.jsonl is missing: the run stopped before its first unit"]
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read {path}", why=str(error)) from error
    warnings = []
    if lines.pop():
        warnings.append("the last row of samples.jsonl is cut short; it was left out")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            item = json.loads(line)
        except ValueError as error:
            raise BenchError(f"{path} line {number} is not JSON", why=str(error), mend="restore the file") from error
        if not isinstance(item, dict) or not item.keys() >= _REQUIRED:
            lacks = sorted(_REQUIRED - item.keys()) if isinstance(item, dict) else ["everything"]
            raise BenchError(f"{path} line {number} is not a sample", why=f"it lacks {', '.join(lacks)}")
        if item["schema"] > SCHEMA:
            raise BenchError(f"{path} line {number} was written by a newer version", mend="use that version")
        rows.append(item)
    sequences = [item["sequence"] for item in rows]
    if sequences != sorted(set(sequences)):
        raise BenchError(f"{path} was edited", why="its sequence numbers do not rise", mend="restore the file")
    return rows, warnings
