"""Convert the content of a file to a type; an error is one line with the place and the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from bench.errors import BenchError, nearest

__all__ = ["fault", "known_keys", "taken"]

T = TypeVar("T")
_PLACE = re.compile(r"(.*) - at `(?:key in )?\$\.?(.*)`", re.DOTALL)  # the end of msgspec's messages
_TYPE = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")
_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "nothing",
    "object": "a table",
    "str": "text",
}
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def taken(value: Any, kind: type[T] | Any, name: str, fix: str = "") -> T:
    """Convert `value` (from JSON or TOML) to `kind`; raises BenchError, which calls it `name`, if it does not fit."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        place, why = _parts(error)
        what = f"{name} {place}".rstrip() if place else name
        raise BenchError(f"{what}{_shown(value, place)}", why=why, fix=fix) from error


def fault(error: msgspec.ValidationError) -> str:
    """Return the place and the reason of an error: `metrics[...]: expected a number, got text`."""
    place, why = _parts(error)
    return f"{place}: {why}" if place else why


def known_keys(value: Mapping[str, Any], kind: type[msgspec.Struct], name: str) -> None:
    """Raise BenchError, with the nearest known key, if `value` has a key that is no field of `kind`."""
    known = kind.__struct_encode_fields__
    if unknown := [key for key in value if key not in known]:
        raise nearest(name, unknown[0], known)


def _parts(error: msgspec.ValidationError) -> tuple[str, str]:
    match = _PLACE.fullmatch(str(error))
    text, place = match.groups() if match else (str(error), "")
    text = re.sub(r"Object missing required field `(\w+)`", r"it lacks \1", text)
    text = _TYPE.sub(lambda match: " or ".join(_WORDS.get(word, word) for word in match[1].split(" | ")), text)
    return place, text[:1].lower() + text[1:]


def _shown(value: Any, place: str) -> str:
    """Return ` is VALUE` for the value at `place`, if it can be found: msgspec gives no key of a mapping."""
    for index, key in _STEP.findall(place):
        try:
            value = value[int(index)] if index else value[key]
        except (KeyError, TypeError, IndexError):
            return " cannot be read"
    return " cannot be read" if isinstance(value, dict | list) else f" is {value!r}"
