"""The terms of the project as records, shared by all packages (defined in docs/architecture.md)."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError

__all__ = [
    "INSTRUCTIONS",
    "NANOSECONDS",
    "NATIVE",
    "SLACK",
    "TURNS",
    "USUAL_VOLUMES",
    "WITHOUT_EFFECT",
    "WITHOUT_TYPES",
    "WITH_TYPES",
    "Arm",
    "Cell",
    "Difference",
    "Mismatch",
    "Param",
    "RunWarning",
    "Sample",
    "Skip",
    "Support",
    "Temperature",
    "expectation",
    "format_size",
    "parse_seconds",
    "parse_size",
    "volume_order",
]

INSTRUCTIONS = "instructions"  # the clock of a run whose metrics count them in place of nanoseconds
NANOSECONDS = "ns"  # the unit of metrics, unless their reading says otherwise
NATIVE = "native"  # the driver that others are compared with
TURNS = "in turns with the other unit of its pair"  # in a row's `how`, under `operations`
USUAL_VOLUMES = ("ext4", "xfs")  # most hosts keep their images on these: their headline figures come first
WITHOUT_EFFECT = "without effect"  # in a row's `how`: the requested options that are not in effect
# Values of a parameter `types`: whether listings of a file system tell the types of names (d_type).
WITH_TYPES, WITHOUT_TYPES = "told", "not told"
Param = int | str

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|min|sec)?")
_SECONDS = {None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def volume_order(volume: str) -> tuple[bool, str]:
    """Return a key that puts USUAL_VOLUMES and their variants before other volumes."""
    return re.split("[-,]", volume)[0] not in USUAL_VOLUMES, volume


def parse_size(text: str) -> int:
    """Parse a size such as `64`, `4K`, `4KiB` or `1 GiB` (powers of 1024); return bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BenchError(f"{text!r} is not a size", fix="write it like 4096, 4KiB, 16MiB or 1GiB")
    return int(match[1]) << (10 * _POWERS[match[2].upper()])


def parse_seconds(text: str) -> float:
    """Parse a time such as `90`, `90s`, `5m` or `1h`; return seconds."""
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise BenchError(f"{text!r} is not a time", fix="write it like 90s, 5m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def format_size(size: float) -> str:
    """Format bytes: 4 KiB, 1 MiB, 0 B."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:g} {unit}" if float(size).is_integer() else f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class Support:
    """Whether something works on this machine; if not, the reason, and the command or change that would add it."""

    ok: bool
    reason: str = ""
    fix: str = ""

    @staticmethod
    def yes(detail: str = "") -> Support:
        """Supported, with a detail."""
        return Support(True, detail)

    @staticmethod
    def no(reason: str, fix: str = "") -> Support:
        """Unsupported, with the reason."""
        return Support(False, reason, fix)


@dataclass(frozen=True)
class Difference:
    """A known difference between a container and a plain directory.

    `operations` are the names of the operations of bench.oracle that it concerns; none: all. `refused`: the error of
    these operations in the container only. `hides`: the metadata (a field of bench.oracle's Seen) that differs in the
    container. `avoids` tells, from the kinds of the image's names and the open root, which operations are not run at
    all, because they would corrupt all later results.
    Without these, the operations are run in both and their results may differ.
    """

    name: str
    source: str
    operations: tuple[str, ...] = ()
    refused: str = ""
    hides: str = ""
    avoids: Callable[[Any, Mapping[str, str], int], bool] | None = None

    def concerns(self, operation: str) -> bool:
        """Tell whether it concerns an operation."""
        return not self.operations or operation in self.operations


class Temperature(enum.StrEnum):
    """What the kernel has cached when the timed operation starts."""

    HOT = "hot"  # the same container has just done it: overlay and backing dentries, pages
    NEW = "new container"  # another container of the same image has done it: backing only
    COLD = "cold"  # the backing file system was mounted a moment ago: nothing


@dataclass(frozen=True)
class Arm:
    """A driver with its options on a volume."""

    driver: str
    volume: str
    options: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def parse(text: str) -> Arm:
        """Parse an arm; a text without `@` is a driver without a volume."""
        stack, _, volume = text.partition("@")
        driver, *options = stack.split(",")
        pairs = (option.partition("=") for option in options)
        return Arm(driver, volume, tuple((key, value) for key, _, value in pairs))

    def __str__(self) -> str:
        return f"{self.stack}@{self.volume}"

    @property
    def name(self) -> str:
        """The arm as it is written: `overlay2,metacopy=on@xfs`."""
        return str(self)

    @property
    def stack(self) -> str:
        """The driver with its options, without the volume."""
        return ",".join([self.driver, *(f"{key}={value}" for key, value in self.options)])

    @property
    def engine(self) -> str:
        """The engine that builds its stacks: `docker` of `docker/overlay2`; empty if the suite builds them."""
        engine, slash, _ = self.driver.partition("/")
        return engine if slash else ""

    @property
    def storage(self) -> str:
        """The storage driver without the engine: `overlay2` of `docker/overlay2`."""
        return self.driver.rpartition("/")[2]

    @property
    def native(self) -> Arm:
        """The plain directory on the same volume."""
        return Arm(NATIVE, self.volume)


@dataclass(frozen=True)
class Cell:
    """Scenario × arm × parameters; a unit is one observation of a cell."""

    scenario: str
    arm: Arm
    depth: int
    temperature: Temperature
    params: tuple[tuple[str, Param], ...] = ()
    max_blocks: int | None = None  # maximum number of its units; None: as many as the budget allows

    @property
    def values(self) -> Mapping[str, Param]:
        """The scenario's own parameters by name."""
        return dict(self.params)


@dataclass(frozen=True)
class Skip:
    """Something that a run leaves out, the reason, and the remedy; `scenario` is empty if it concerns none."""

    what: str
    reason: str = ""
    fix: str = ""
    by_choice: bool = False  # the profile's choice, and not missing on the machine
    scenario: str = ""


SLACK = 1.05  # a pace up to this multiple of the best is undisturbed: a busy sibling gives 1.3 to 1.8 times


@dataclass(frozen=True)
class RunWarning:
    """A reason to doubt a run's figures: a stable code, a sentence, and its subject (an arm, a volume)."""

    code: str
    text: str
    where: str = ""

    def __str__(self) -> str:
        return self.text


def expectation(low: float, high: float) -> str:
    """Format the expected range of a counter: `4`, `4..8`."""
    return f"{low:g}" if low == high else f"{low:g}..{high:g}"


@dataclass(frozen=True)
class Mismatch:
    """A counter outside of the expected range [low, high], and the reason for the expectation."""

    counter: str
    value: float
    low: float
    high: float
    why: str

    def __str__(self) -> str:
        return f"{self.counter} is {self.value:g}, expected {expectation(self.low, self.high)} ({self.why})"


@dataclass(frozen=True)
class Sample:
    """One unit: the observation of a cell from one fresh set-up.

    `metrics` are nanoseconds unless the scenario says otherwise; `expected` has the keys of those
    `counters` that have an expectation. `pace`: the last `cpu`, the largest `slowness` at the start of a
    timed part, `slowness_after` the last part (1: as fast as its best), and the nanoseconds `waited`. A
    unit whose proof failed has `error` and counts as an error, never as a sample.
    """

    sequence: int
    block: int
    scenario: str
    arm: Arm
    depth: int
    temperature: Temperature
    params: Mapping[str, Param]
    started: float  # seconds since the epoch
    metrics: Mapping[str, float] = field(default_factory=dict)
    operations: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    expected: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    mismatches: tuple[Mismatch, ...] = ()
    proofs: tuple[str, ...] = ()
    pace: Mapping[str, float] = field(default_factory=dict)
    how: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
