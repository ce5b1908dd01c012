"""The contract of an output format of a gate, which `gate --NAME FILE` writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.gate.verdict import GateResult

__all__ = ["Output"]


@dataclass(frozen=True)
class Output:
    """An output format: the name of its option, the help of that option, and the function that formats a result."""

    name: str
    help: str
    text: Callable[[GateResult], str]
