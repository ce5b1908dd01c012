"""Take what a file says as a type; what does not fit is one line that names the place and says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from bench.errors import BenchError, nearest

__all__ = ["fault", "known_keys", "taken"]

T = TypeVar("T")
_PLACE = re.compile(r"(.*) - at `(?:key in )?\$\.?(.*)`", re.DOTALL)  # how msgspec ends its messages
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
    """Return `value` (of JSON or TOML) as `kind`; raises BenchError, calling it `name`, where it is none."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        place, why = _parts(error)
        what = f"{name} {place}".rstrip() if place else name
        raise BenchError(f"{what}{_shown(value, place)}", why=why, fix=fix) from error


def fault(error: msgspec.ValidationError) -> str:
    """Return what is wrong and where: `metrics[...]: expected a number, got text`."""
    place, why = _parts(error)
    return f"{place}: {why}" if place else why


def known_keys(value: Mapping[str, Any], kind: type[msgspec.Struct], name: str) -> None:
    """Raise BenchError, with the nearest known key, if `value` has a key that `kind` has not."""
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
    """Return ` is VALUE` of what stands at `place`, if that can be said: msgspec names no key of a mapping."""
    for number, key in _STEP.findall(place):
        try:
            value = value[int(number)] if number else value[key]
        except (KeyError, TypeError, IndexError):
            return " cannot be read"
    return " cannot be read" if isinstance(value, dict | list) else f" is {value!r}"
