"""Parsing of another program's JSON output, and its error messages."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any, TypeVar

from bench.errors import BenchError

__all__ = ["answered", "ended", "last_words"]

JSON = frozenset('{}[]",')  # characters at the start or end of a line of JSON
T = TypeVar("T")


def answered(program: str, text: str, extract: Callable[[Any], T], *, said: str = "") -> T:
    """Return the result of `extract` for the first JSON object or list in `text` that it accepts.

    Other text before (even with braces) and after it is skipped. Raises BenchError with the program's message (the last
    line of `said`, else of `text`) if there is no such JSON: invalid, truncated, or without a key. `extract` rejects a
    document by KeyError, IndexError, TypeError, OverflowError or ValueError.
    """
    decoder = json.JSONDecoder()
    for bracket in re.finditer(r"[{\[]", text):
        try:
            return extract(decoder.raw_decode(text, bracket.start())[0])
        except (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError):
            continue
    raise BenchError(f"{program} gave no answer that can be read", why=last_words(said, text))


def ended(program: str, done: subprocess.CompletedProcess[str]) -> None:
    """Raise BenchError with the program's message unless it ended with status 0."""
    why = last_words(done.stderr, done.stdout)
    if done.returncode < 0:
        number = -done.returncode
        name = signal.Signals(number).name if number in map(int, signal.Signals) else f"signal {number}"
        raise BenchError(f"{program} was ended by {name}", why=why)
    if done.returncode:
        raise BenchError(f"{program} failed with status {done.returncode}", why=why)


def last_words(*texts: str) -> str:
    """Return the last line of the first of `texts` that has one, without JSON unless there is nothing else."""
    lines = [line.strip() for text in texts for line in reversed(text.splitlines()) if line.strip()]
    words = (line for line in lines if line[0] not in JSON and line[-1] not in JSON)
    return next(words, lines[0] if lines else "it said nothing")
