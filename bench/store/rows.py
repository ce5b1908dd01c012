"""Read samples.jsonl one row at a time, so that a long run needs little memory.

What is read is checked as it is read, and every error names its line.
"""

from __future__ import annotations

import json
import lzma
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from bench.errors import BenchError
from bench.store.columns import KEYS, PACE, TEMPERATURES, Columns
from bench.store.schema import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PACKED", "PAIRS", "RESERVED", "read", "rows_of"]

PAIRS = "pairs.json.xz"  # what bench.selftest needs of the rows, where these are kept elsewhere
PACKED = ".xz"  # the suffix of rows that were packed with xz(1): they take a thirtieth of the room

_TEXTS = ("scenario", "arm", "driver", "volume", "error")
_TABLES = ("params", "metrics", "operations", "counters", "expected", "how")
_LISTS = ("mismatches", "proofs")
_WHOLE = ("schema", "sequence", "block", "depth")
_fields = itemgetter(*_TEXTS, *_TABLES, *_LISTS, *_WHOLE, "temperature", "started")
_USUAL = (*[str] * len(_TEXTS), *[dict] * len(_TABLES), *[list] * len(_LISTS), *[int] * len(_WHOLE), str, float)
_REQUIRED = frozenset({"temperature", "started", *_TEXTS, *_TABLES, *_LISTS, *_WHOLE})

# Columns of the frames of a run and of its analysis, which no parameter may be called.
RESERVED = frozenset(
    {*KEYS, *PACE, "metric", "value", "operations", "counter", "expected", "ok", "error", "mismatches", "proofs", "how"}
    | {"started", "low", "high", "n", "method", "minimum", "maximum", "median", "outliers", "ratio", "native_depth"}
    | {"units", "matching"}
)


def rows_of(directory: Path) -> Path:
    """Return the file of a run's rows: samples.jsonl, or where only they are there, samples.jsonl.xz, or its PAIRS."""
    path = directory / "samples.jsonl"
    known = (path, path.with_name(path.name + PACKED), directory / PAIRS)
    return next((one for one in known if one.exists()), path)


def read(path: Path) -> tuple[Columns, list[str]]:
    """Return the columns of samples.jsonl and what was odd about it; raises BenchError naming the line.

    The file may be packed (see PACKED). PAIRS are no rows.
    """
    columns = Columns(_check_cell)
    warnings: list[str] = []
    if path.name == PAIRS:
        return columns, warnings
    number, last = 0, -1
    item: Any = None
    try:
        with lzma.open(path) if path.suffix == PACKED else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    warnings.append(f"the last row of {path.name} is cut short; it was left out")
                    break
                item = _parsed(line)
                _check(item)
                if item["sequence"] <= last:
                    raise BenchError(
                        f"{path} was edited",
                        why=f"its sequence numbers do not rise at line {number}",
                        mend="restore the file",
                    )
                last = item["sequence"]
                columns.add(item)
    except FileNotFoundError:
        return columns, [f"{path.name} is missing: the run stopped before its first unit"]
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (EOFError, lzma.LZMAError) as error:
        raise BenchError(f"{path} is damaged", why=str(error), mend="restore the file") from error
    except _JsonError as error:
        raise BenchError(f"{path} line {number} is not JSON", why=str(error), mend="restore the file") from error
    except _NewerError:
        raise BenchError(f"{path} line {number} was written by a newer version", mend="use that version") from None
    except (TypeError, ValueError, OverflowError) as error:
        why = _fault(item) or str(error)
        raise BenchError(f"{path} line {number} is not a sample", why=why, mend="restore the file") from error
    if (infinite := columns.first_infinite()) is not None:
        why = "a number in it is too large"
        raise BenchError(f"{path} line {infinite + 1} is not a sample", why=why, mend="restore the file")
    return columns, warnings


class _JsonError(Exception):
    """The line is not JSON."""


class _NewerError(Exception):
    """The row was written by a newer version of this suite."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


_decode = json.JSONDecoder(parse_constant=_refuse).decode  # Python's own takes NaN, which is no JSON


def _parsed(line: bytes) -> Any:
    try:
        return _decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise _JsonError(str(error)) from error


def _check(item: Any) -> None:
    """Check what each row has for itself; a row as they usually are needs no look at every field."""
    try:
        usual = tuple(map(type, _fields(item))) == _USUAL
    except (TypeError, KeyError):
        usual = False
    if not usual:
        _check_fields(item)
    if item["schema"] > SCHEMA:
        raise _NewerError


def _check_fields(item: Any) -> None:
    if not isinstance(item, dict):
        raise TypeError("it is not an object")
    if isinstance(item.get("schema"), int) and item["schema"] > SCHEMA:
        raise _NewerError  # whose fields may be others
    if not item.keys() >= _REQUIRED:
        raise ValueError(f"it lacks {', '.join(sorted(_REQUIRED - item.keys()))}")
    for columns, kind, name in (
        (_TABLES, dict, "an object"),
        (_LISTS, list, "a list"),
        (_TEXTS, str, "text"),
        (_WHOLE, int, "a whole number"),
    ):
        for column in columns:
            if not isinstance(item[column], kind):
                raise TypeError(f"{column} is not {name}")


def _check_cell(item: dict[str, Any]) -> None:
    """Check what rows of one cell have in common."""
    if item["temperature"] not in TEMPERATURES:
        raise ValueError(f"temperature {item['temperature']!r} is none of {', '.join(TEMPERATURES)}")
    _check_range("depth", item["depth"])
    for name, value in item["params"].items():
        if name in RESERVED:
            raise ValueError(f"a parameter cannot be called {name!r}")
        if not isinstance(value, int | str):
            raise TypeError(f"parameter {name} is neither a whole number nor text")
        if isinstance(value, int):
            _check_range(f"parameter {name}", value)


def _check_range(name: str, value: int) -> None:
    if not -(2**63) <= value < 2**63:
        raise OverflowError(f"{name} does not fit 64 bits")


def _fault(item: dict[str, Any]) -> str:
    """Return what is wrong with a row that was refused, in words that name the field; "" if not known."""
    try:
        _check(item)
        _check_cell(item)
    except (TypeError, ValueError, OverflowError) as error:
        return str(error)
    if not isinstance(item.get("pace", {}), dict):
        return "pace is not an object"
    for column in ("metrics", "counters", "operations", "pace"):
        for name, value in item.get(column, {}).items():
            if not isinstance(value, int | float):
                return f"{name} in {column} is {value!r}, which is not a number"
    return ""
