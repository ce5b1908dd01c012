"""The records of the result files: a row of samples.jsonl, and run.json.

msgspec checks the types and reports the place of an error. Files of older versions can be read: schema 1 has no
`pace`; up to schema 2 the expectation of a counter, a mismatch and a warning were texts, and a skip named its scenario
only in its text.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from bench.model import Mismatch, Param, RunWarning, Skip, Temperature

__all__ = [
    "SCHEMA",
    "Compares",
    "PaceRecord",
    "Place",
    "Provenance",
    "Row",
    "Side",
    "StreamRecord",
    "bounds",
    "mismatch",
    "upgraded",
]

SCHEMA = 3
"""The version of run.json and samples.jsonl. A reader accepts older versions and refuses newer ones."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_MISMATCH = re.compile(r"(.+?) is (\S+), expected (\S+) \((.*)\)", re.DOTALL)  # the text of schema 2


class PaceRecord(msgspec.Struct, gc=False):
    """Where and how fast the clock ran (bench.measure.pace); NaN: not recorded."""

    cpu: Annotated[float, "the CPU of the last timed part"] = float("nan")
    slowness: Annotated[float, "at the start of the timed part that began worst; 1: as fast as at its best"] = float(
        "nan"
    )
    slowness_after: Annotated[float, "the same after the last timed part"] = float("nan")
    waited: Annotated[float, "nanoseconds waited for a quiet moment"] = float("nan")


class Row(msgspec.Struct, gc=False, kw_only=True):
    """One unit: what was observed of a cell from one fresh set-up, and how."""

    schema: Annotated[int, "version of the row"]
    sequence: Annotated[Int64, "number of the unit in its run; rises"]
    block: Annotated[Int64, "units of one block ran one after the other, in random order"]
    scenario: Annotated[str, "its name"]
    arm: Annotated[str, "driver with options on a volume, as it is written"]
    driver: Annotated[str, "the driver alone"]
    options: Annotated[dict[str, str], "of the driver"] = {}
    volume: Annotated[str, "the volume alone"]
    depth: Annotated[Int64, "layers of the image"]
    temperature: Annotated[Temperature, "what the kernel held in memory"]
    params: Annotated[dict[str, Int64 | str], "the scenario's own parameters"]
    started: Annotated[float, "seconds since the epoch, by time.time"]
    metrics: Annotated[dict[str, float], "nanoseconds by time.perf_counter_ns, unless the metric says otherwise"]
    operations: Annotated[dict[str, Int64], "timed calls behind each metric, which is their median"]
    counters: Annotated[dict[str, float], "what was counted"]
    expected: Annotated[dict[str, tuple[float, float] | str], "bounds of counters; up to schema 2 a text"]
    mismatches: Annotated[list[Mismatch | str], "counters beyond their bounds; up to schema 2 texts"]
    proofs: Annotated[list[str], "what was shown to have happened"]
    pace: Annotated[PaceRecord, "where and how fast the clock ran; since schema 2"] = msgspec.field(
        default_factory=PaceRecord
    )
    how: Annotated[dict[str, str], "how it was mounted and made"]
    clock: Annotated[str, "`instructions`: metrics count those of a guest, in place of nanoseconds"] = "nanoseconds"
    error: Annotated[str, "why the unit is no sample; empty if it is one"]


class Side(msgspec.Struct, frozen=True):
    """One side of a comparison: a cell of the comparison's scenario."""

    arm: str
    depth: Int64
    temperature: Temperature
    params: dict[str, Int64 | str]

    @property
    def facts(self) -> dict[str, Param]:
        """The depth, temperature and parameters of the side, by name."""
        return {"depth": self.depth, "temperature": self.temperature.value, **self.params}


class Compares(msgspec.Struct, frozen=True):
    """A comparison of two arms, as requested; `looks` are the numbers of pairs after which it may be decided."""

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
    """A stream of the self-test: its comparison, and the requested trials or pairs (bench.selftest.stream)."""

    number: int
    label: str
    kind: str
    share: float
    trials: int
    pairs: int = 0
    batch: int = 0
    tool: str = ""


class Place(msgspec.Struct, kw_only=True):
    """The guest in which a run was carried out."""

    kernel: Annotated[str, "its release"]
    origin: Annotated[str, "where the kernel is from: a file, this host, a suite of the archive"]
    sha256: Annotated[str, "of the kernel's image"]
    initramfs: Annotated[str, "sha256 of the files in the guest: the suite, Python, programs, modules"]
    clock: Annotated[str, "what metrics count"]
    machine: Annotated[str, "the program that emulates it, its version and arguments that matter"]
    memory_mib: Annotated[int, "of each guest"]
    boots: Annotated[int, "each of which measured one block"]
    command_line: Annotated[str, "of the kernel, in the first boot"]
    null: Annotated[dict[str, float], "what was subtracted: of two readings, of an empty call, of one in a pass"] = {}
    refused: Annotated[dict[str, str], "modules that the kernel did not take, and why"] = {}


class Provenance(msgspec.Struct, kw_only=True):
    """What run.json says, as far as something depends on it."""

    schema: Annotated[int, "version of the file"]
    version: Annotated[str, "of the suite"] = ""
    kind: Annotated[str, "`ab`, `gate` or `aa`; empty for a survey"] = ""
    command: Annotated[list[str], "that made the run"] = []
    request: Annotated[dict[str, Any], "what was asked for"] = {}
    host: Annotated[dict[str, Any], "machine, kernel, tools and packages"] = {}
    place: Annotated[Place | None, "the guest that it was measured in; null for this host"] = None
    started: Annotated[str, "time of day, ISO 8601, UTC"] = ""
    seconds: Annotated[float, "how long it measured"] = 0.0
    complete: Annotated[bool, "whether it ended by itself"] = False
    skips: Annotated[list[Skip], "what was left out, why, and what would add it"] = []
    warnings: Annotated[list[RunWarning], "what makes its figures less sure"] = []
    comparisons: Annotated[list[Compares] | None, "of a run that compares"] = None
    streams: Annotated[list[StreamRecord] | None, "of a test of the suite"] = None
    earlier: Annotated[list[dict[str, Any]], "stretches before the last, of a run that went on"] = []
    alpha: Annotated[float | None, "error of a gate, of a test of the suite"] = None
    asked: Annotated[dict[str, Any] | None, "options of a test of the suite"] = None


def upgraded(document: Any) -> Any:
    """Convert run.json of schema 1 or 2 to the current schema; return anything else unchanged."""
    if not isinstance(document, dict) or not isinstance(schema := document.get("schema"), int) or schema > 2:
        return document
    warnings, skips = document.get("warnings"), document.get("skips")
    if isinstance(warnings, list):
        document = {**document, "warnings": [{"code": "", "text": text} for text in warnings]}
    if isinstance(skips, list) and all(isinstance(skip, dict) for skip in skips):
        document = {**document, "skips": [_skip(skip) for skip in skips]}
    return document


def _skip(skip: dict[str, Any]) -> dict[str, Any]:
    renamed = {"fix" if key == "mend" else key: value for key, value in skip.items()}
    return {**renamed, "scenario": _scenario(str(skip.get("what")))}


def _scenario(what: str) -> str:
    """Return the scenario of a skip of schema 2: `scenario NAME`, `NAME on ARM`, `NAME: WHAT`."""
    match = re.match(r"(?:scenario )?([^\s:]+)(?:$|:| on )", what)
    return match[1] if match else ""


def bounds(expected: tuple[float, float] | str) -> tuple[float, float]:
    """Return the bounds of a counter, also from the text of schema 2; raises ValueError for another text."""
    if not isinstance(expected, str):
        return expected
    low, dots, high = expected.partition("..")
    return float(low), float(high if dots else low)


def mismatch(record: Mismatch | str) -> Mismatch:
    """Return a mismatch, also from the text of schema 2; raises ValueError for another text."""
    if not isinstance(record, str):
        return record
    match = _MISMATCH.fullmatch(record)
    if match is None:
        raise ValueError(f"mismatch {record!r} is not COUNTER is VALUE, expected RANGE (WHY)")
    counter, value, expected, why = match.groups()
    return Mismatch(counter, float(value), *bounds(expected), why)
