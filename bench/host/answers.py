"""What another program answers in JSON, among whatever else it prints."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any, TypeVar

from bench.errors import BenchError

__all__ = ["answered", "ended", "last_words"]

JSON = frozenset('{}[]",')  # that a line of JSON begins or ends with
T = TypeVar("T")


def answered(program: str, text: str, wanted: Callable[[Any], T], *, said: str = "") -> T:
    """Return what `wanted` makes of the first JSON object or list in `text` that has what it looks for.

    Warnings before it, with braces or without, and text after it are passed over. Raises BenchError with the program's
    own words (the last line of `said`, else of `text`) where there is no such JSON: it is none, is cut short, or lacks
    a key. `wanted` says so by KeyError, IndexError, TypeError, OverflowError or ValueError.
    """
    decoder = json.JSONDecoder()
    for start in re.finditer(r"[{\[]", text):
        try:
            return wanted(decoder.raw_decode(text, start.start())[0])
        except (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError):
            continue
    raise BenchError(f"{program} gave no answer that can be read", why=last_words(said, text))


def ended(program: str, done: subprocess.CompletedProcess[str]) -> None:
    """Raise BenchError with the program's own words unless it ended with status 0."""
    why = last_words(done.stderr, done.stdout)
    if done.returncode < 0:
        number = -done.returncode
        name = signal.Signals(number).name if number in {one.value for one in signal.Signals} else f"signal {number}"
        raise BenchError(f"{program} was ended by {name}", why=why)
    if done.returncode:
        raise BenchError(f"{program} failed with status {done.returncode}", why=why)


def last_words(*texts: str) -> str:
    """Return the last line of the first of `texts` that has one; JSON is no words, unless there is nothing else."""
    lines = [line.strip() for text in texts for line in reversed(text.splitlines()) if line.strip()]
    words = (line for line in lines if line[0] not in JSON and line[-1] not in JSON)
    return next(words, lines[0] if lines else "it said nothing")
