"""The records of the result files: a row of samples.jsonl, and run.json.

msgspec checks the types and says what is wrong and where. What older versions wrote is read as well: schema 1 has no
`pace`, and up to schema 2 what was expected of a counter, a mismatch and a warning were texts, and a skip named its
scenario only in its text.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any

import msgspec

from bench.model import Mismatch, Param, RunWarning, Skip, Temperature

__all__ = ["SCHEMA", "Compares", "Pace", "Provenance", "Row", "Side", "StreamRecord", "bounds", "mismatch"]

SCHEMA = 3
"""Of run.json and samples.jsonl. A reader takes older ones and refuses newer ones."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_MISMATCH = re.compile(r"(.+?) is (\S+), expected (\S+) \((.*)\)", re.DOTALL)  # as schema 2 has it


class Pace(msgspec.Struct, gc=False):
    """Where and how fast the clock ran (bench.measure.pace); NaN: not recorded."""

    cpu: float = float("nan")
    slowness: float = float("nan")
    slowness_after: float = float("nan")
    waited: float = float("nan")


class Row(msgspec.Struct, gc=False, kw_only=True):
    """One unit, as a line of samples.jsonl has it; `bench.model.Sample` says what the fields are."""

    schema: int
    sequence: Int64
    block: Int64
    scenario: str
    arm: str
    driver: str
    options: dict[str, str] = {}
    volume: str
    depth: Int64
    temperature: Temperature
    params: dict[str, Int64 | str]
    started: float
    metrics: dict[str, float]
    operations: dict[str, Int64]
    counters: dict[str, float]
    expected: dict[str, tuple[float, float] | str]
    mismatches: list[Mismatch | str]
    proofs: list[str]
    pace: Pace = msgspec.field(default_factory=Pace)
    how: dict[str, str]
    error: str


class Side(msgspec.Struct, frozen=True):
    """One side of a comparison: a cell of the comparison's scenario."""

    arm: str
    depth: Int64
    temperature: Temperature
    params: dict[str, Int64 | str]

    @property
    def facts(self) -> dict[str, Param]:
        """Where it is measured, by name."""
        return {"depth": self.depth, "temperature": self.temperature.value, **self.params}


class Compares(msgspec.Struct, frozen=True):
    """A comparison of two arms, as it was asked for; `looks` are numbers of pairs after which it may be decided."""

    scenario: str
    metric: str
    a: Side
    b: Side
    alpha: float
    delta: float
    looks: tuple[int, ...]
    control: str = ""
    apart: bool = False


class StreamRecord(Compares, frozen=True, kw_only=True):
    """A stream of the suite's test of itself: its comparison, and what is wanted of it (bench.selftest.stream)."""

    number: int
    label: str
    kind: str
    share: float
    trials: int
    pairs: int = 0
    batch: int = 0
    tool: str = ""


class Provenance(msgspec.Struct, kw_only=True):
    """What run.json says, as far as something depends on it; the file may have more.

    `started` is a time of day (ISO 8601, UTC), `seconds` is how long it measured; `asked` are the options of a test of
    the suite.
    """

    schema: int
    version: str = ""
    kind: str = ""
    command: list[str] = []
    request: dict[str, Any] = {}
    host: dict[str, Any] = {}
    started: str = ""
    seconds: float = 0.0
    complete: bool = False
    skips: list[Skip] = []
    warnings: list[RunWarning | str] = []
    comparisons: list[Compares] | None = None
    streams: list[StreamRecord] | None = None
    earlier: list[dict[str, Any]] = []
    alpha: float | None = None
    asked: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Make records of what schema 2 has as text."""
        self.warnings = [RunWarning("", one) if isinstance(one, str) else one for one in self.warnings]
        if self.schema < 3:
            self.skips = [replace(skip, scenario=_scenario(skip.what)) for skip in self.skips]


def _scenario(what: str) -> str:
    """Return the scenario that a skip of schema 2 is about: `scenario NAME`, `NAME on ARM`, `NAME: WHAT`."""
    match = re.match(r"(?:scenario )?([^\s:]+)(?:$|:| on )", what)
    return match[1] if match else ""


def bounds(expected: tuple[float, float] | str) -> tuple[float, float]:
    """Return between what a counter should be; raises ValueError for a text that schema 2 has not."""
    if not isinstance(expected, str):
        return expected
    low, dots, high = expected.partition("..")
    return float(low), float(high if dots else low)


def mismatch(told: Mismatch | str) -> Mismatch:
    """Return a mismatch, also from the text of schema 2; raises ValueError for another text."""
    if not isinstance(told, str):
        return told
    match = _MISMATCH.fullmatch(told)
    if match is None:
        raise ValueError(f"mismatch {told!r} is not COUNTER is VALUE, expected RANGE (WHY)")
    counter, value, expected, why = match.groups()
    return Mismatch(counter, float(value), *bounds(expected), why)
