"""A baseline as a file: JSON, one figure a line, sorted, so that a changed figure is one changed line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench.errors import BenchError
from bench.gate.baseline import Baseline, Machine, Ratio
from bench.gate.figures import Figure
from bench.store.typed import known_keys, taken

__all__ = ["SCHEMA", "read_baseline", "write_baseline"]

SCHEMA = 1
ANEW = "make a new baseline, or restore the file"


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write `path` so that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text("\n".join(_lines(baseline)) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise BenchError(
            f"cannot write the baseline to {path}", why=error.strerror or str(error), fix="give another path"
        ) from error


def _lines(baseline: Baseline) -> Iterator[str]:
    sections: dict[str, dict[str, Any]] = {
        "suite": {"version": baseline.version, "scenarios": list(baseline.scenarios)},
        "machine": asdict(baseline.machine),
        "options": {key: list(told) for key, told in sorted(baseline.options.items())},
        "counters": {str(figure): list(map(_plain, told)) for figure, told in sorted(baseline.counters.items())},
        "ratios": {
            str(figure): [_plain(one) for one in (told.value, told.low, told.high, told.n)]
            for figure, told in sorted(baseline.ratios.items())
        },
    }
    yield "{"
    yield f' "schema": {SCHEMA},'
    for place, (name, items) in enumerate(sections.items(), 1):
        yield f" {_json(name)}: {{"
        inner = [f"  {_json(key)}: {_json(value)}" for key, value in items.items()]
        yield from (f"{line}," for line in inner[:-1])
        yield from inner[-1:]
        yield " }" if place == len(sections) else " },"
    yield "}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(value: float) -> float:
    """Return a whole number as one, so that it is written without a point."""
    return int(value) if math.isfinite(value) and float(value).is_integer() else value


class _Suite(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    scenarios: list[str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """A baseline as its file has it."""

    schema: Annotated[int, msgspec.Meta(ge=1)]
    suite: _Suite
    machine: Machine
    options: dict[str, tuple[str, ...]]
    counters: dict[str, tuple[float, float]]
    ratios: dict[str, tuple[float, float, float, float]]


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; raises BenchError for what cannot be read or is none."""
    try:
        told = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise BenchError(f"no baseline {path}", fix="make one from a run you trust, and commit it") from None
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not JSON", why=str(error), fix=ANEW) from error
    if isinstance(told, dict) and isinstance(schema := told.get("schema"), int) and schema > SCHEMA:
        raise BenchError(
            f"{path} was written by a newer version",
            why=f"schema {schema}, this version reads up to {SCHEMA}",
            fix="use that version, or make a new baseline",
        )
    if isinstance(told, dict):
        known_keys(told, _File, f"key in {path},")
    try:
        return _baseline(taken(told, _File, str(path), ANEW))
    except ValueError as error:
        raise BenchError(f"{path} is not a baseline", why=str(error), fix=ANEW) from error


def _baseline(told: _File) -> Baseline:
    baseline = Baseline(
        version=told.suite.version,
        scenarios=tuple(told.suite.scenarios),
        machine=told.machine,
        options=told.options,
        counters={Figure.parse(key): _range(key, value) for key, value in told.counters.items()},
        ratios={Figure.parse(key): _ratio(key, value) for key, value in told.ratios.items()},
    )
    figures = {figure.scenario for figure in (*baseline.counters, *baseline.ratios)}
    if strange := sorted(figures - {*baseline.scenarios}):
        raise ValueError(f"it has figures of {strange[0]}, which is not among its scenarios")
    return baseline


def _range(name: str, told: tuple[float, float]) -> tuple[float, float]:
    low, high = told
    if low > high:
        raise ValueError(f"{name} has {low:g} as the least and {high:g} as the largest value")
    return told


def _ratio(name: str, told: tuple[float, float, float, float]) -> Ratio:
    value, low, high, n = told
    if not (0 < low <= high and value > 0 and n >= 1 and n.is_integer()):
        raise ValueError(f"{name} is {list(told)}, no ratio with its interval and number of pairs")
    return Ratio(value, low, high, int(n))
