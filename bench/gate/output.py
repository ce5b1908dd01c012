"""What an output format of a gate is: `gate --NAME FILE` writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.gate.verdict import GateResult

__all__ = ["Output"]


@dataclass(frozen=True)
class Output:
    """A format: the name of its option, what the help says of it, and the text of a result."""

    name: str
    help: str
    text: Callable[[GateResult], str]
