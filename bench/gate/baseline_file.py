"""A baseline as a file: JSON, one figure a line, sorted, so that a changed figure is one changed line."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, NoReturn

from bench.errors import BenchError, nearest
from bench.gate.baseline import Baseline, Machine, Ratio
from bench.gate.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["SCHEMA", "read_baseline", "write_baseline"]

SCHEMA = 1
SECTIONS = ("suite", "machine", "options", "counters", "ratios")
ANEW = "make a new baseline, or restore the file"
FACTS: Mapping[str, type] = {
    **dict.fromkeys(("cpu_model", "machine", "kernel"), str),
    **dict.fromkeys(("cores", "memory_gib"), int),
    "hypervisor": bool,
}


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write `path` so that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text("\n".join(_lines(baseline)) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise BenchError(
            f"cannot write the baseline to {path}", why=error.strerror or str(error), mend="give another path"
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


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; raises BenchError for what cannot be read or is none."""
    told = _parsed(path)
    try:
        return _baseline(told)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        why = f"it lacks {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise BenchError(f"{path} is not a baseline", why=why, mend=ANEW) from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes().decode(), parse_constant=_refuse)
    except FileNotFoundError:
        raise BenchError(f"no baseline {path}", mend="make one from a run you trust, and commit it") from None
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not JSON", why=str(error), mend=ANEW) from error
    schema = told.get("schema") if isinstance(told, dict) else None
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        raise BenchError(f"{path} is not a baseline", why="it has no schema number", mend=ANEW)
    if schema > SCHEMA:
        raise BenchError(
            f"{path} was written by a newer version",
            why=f"schema {schema}, this version reads up to {SCHEMA}",
            mend="use that version, or make a new baseline",
        )
    if unknown := [key for key in told if key not in {"schema", *SECTIONS}]:
        raise nearest(f"key in {path},", unknown[0], SECTIONS)
    return dict(told)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _baseline(told: Mapping[str, Any]) -> Baseline:
    sections = {name: _typed(told[name], dict, name) for name in SECTIONS}
    suite = sections["suite"]
    baseline = Baseline(
        version=_typed(suite["version"], str, "version"),
        scenarios=tuple(_texts(suite["scenarios"], "scenarios")),
        machine=_machine(sections["machine"]),
        options={key: tuple(_texts(value, key)) for key, value in sections["options"].items()},
        counters={Figure.parse(key): _range(key, value) for key, value in sections["counters"].items()},
        ratios={Figure.parse(key): _ratio(key, value) for key, value in sections["ratios"].items()},
    )
    figures = {figure.scenario for figure in (*baseline.counters, *baseline.ratios)}
    if strange := sorted(figures - {*baseline.scenarios}):
        raise ValueError(f"it has figures of {strange[0]}, which is not among its scenarios")
    return baseline


def _machine(told: Mapping[str, Any]) -> Machine:
    for name, kind in FACTS.items():
        if told[name] is not None:
            _typed(told[name], kind, name)
    return Machine(**{one.name: told[one.name] for one in fields(Machine)})


def _range(name: str, told: Any) -> tuple[float, float]:
    low, high = _numbers(name, told, ("the least", "the largest value"))
    if low > high:
        raise ValueError(f"{name} has {low:g} as the least and {high:g} as the largest value")
    return low, high


def _ratio(name: str, told: Any) -> Ratio:
    value, low, high, n = _numbers(name, told, ("a ratio", "low", "high", "n"))
    if not (0 < low <= high and value > 0 and n >= 1 and n.is_integer()):
        raise ValueError(f"{name} is {told}, no ratio with its interval and number of pairs")
    return Ratio(value, low, high, int(n))


def _numbers(name: str, told: Any, meaning: Iterable[str]) -> list[float]:
    wanted = list(meaning)
    numbers = isinstance(told, list) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in told)
    if not numbers or len(told) != len(wanted) or not all(math.isfinite(one) for one in told):
        raise ValueError(f"{name} is {told!r}, not the numbers [{', '.join(wanted)}]")
    return [float(one) for one in told]


def _texts(told: Any, name: str) -> list[str]:
    return [_typed(one, str, name) for one in _typed(told, list, name)]


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} is {value!r}")
    return value
