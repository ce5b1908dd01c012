"""The file format of a baseline: sorted JSON with one figure a line, so that a changed figure changes one line."""

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
    """Write `baseline` to `path` atomically: a reader sees the old file or the new one."""
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
        "options": {key: list(options) for key, options in sorted(baseline.options.items())},
        "counters": {str(figure): list(map(_plain, bounds)) for figure, bounds in sorted(baseline.counters.items())},
        "ratios": {
            str(figure): [_plain(value) for value in (ratio.value, ratio.low, ratio.high, ratio.n)]
            for figure, ratio in sorted(baseline.ratios.items())
        },
    }
    yield "{"
    yield f' "schema": {SCHEMA},'
    for position, (name, items) in enumerate(sections.items(), 1):
        yield f" {_json(name)}: {{"
        inner = [f"  {_json(key)}: {_json(value)}" for key, value in items.items()]
        yield from (f"{line}," for line in inner[:-1])
        yield from inner[-1:]
        yield " }" if position == len(sections) else " },"
    yield "}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(value: float) -> float:
    """Return an integral float as an integer, which is written without a decimal point."""
    return int(value) if math.isfinite(value) and float(value).is_integer() else value


class _Suite(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    scenarios: list[str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a baseline's file."""

    schema: Annotated[int, msgspec.Meta(ge=1)]
    suite: _Suite
    machine: Machine
    options: dict[str, tuple[str, ...]]
    counters: dict[str, tuple[float, float]]
    ratios: dict[str, tuple[float, float, float, float]]


def read_baseline(path: Path) -> Baseline:
    """Read the baseline in `path`; raises BenchError if it cannot be read or is not a baseline."""
    try:
        document = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise BenchError(f"no baseline {path}", fix="make one from a run you trust, and commit it") from None
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not JSON", why=str(error), fix=ANEW) from error
    if isinstance(document, dict) and isinstance(schema := document.get("schema"), int) and schema > SCHEMA:
        raise BenchError(
            f"{path} was written by a newer version",
            why=f"schema {schema}, this version reads up to {SCHEMA}",
            fix="use that version, or make a new baseline",
        )
    if isinstance(document, dict):
        known_keys(document, _File, f"key in {path},")
    try:
        return _baseline(taken(document, _File, str(path), ANEW))
    except ValueError as error:
        raise BenchError(f"{path} is not a baseline", why=str(error), fix=ANEW) from error


def _baseline(file: _File) -> Baseline:
    baseline = Baseline(
        version=file.suite.version,
        scenarios=tuple(file.suite.scenarios),
        machine=file.machine,
        options=file.options,
        counters={Figure.parse(key): _range(key, value) for key, value in file.counters.items()},
        ratios={Figure.parse(key): _ratio(key, value) for key, value in file.ratios.items()},
    )
    figures = {figure.scenario for figure in (*baseline.counters, *baseline.ratios)}
    if strange := sorted(figures - {*baseline.scenarios}):
        raise ValueError(f"it has figures of {strange[0]}, which is not among its scenarios")
    return baseline


def _range(name: str, bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if low > high:
        raise ValueError(f"{name} has {low:g} as the least and {high:g} as the largest value")
    return bounds


def _ratio(name: str, values: tuple[float, float, float, float]) -> Ratio:
    value, low, high, n = values
    if not (0 < low <= high and value > 0 and n >= 1 and n.is_integer()):
        raise ValueError(f"{name} is {list(values)}, no ratio with its interval and number of pairs")
    return Ratio(value, low, high, int(n))
