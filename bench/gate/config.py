"""A gate's settings: `[tool.bench.gate]` of a project's pyproject.toml."""

from __future__ import annotations

import enum
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, nearest
from bench.gate import toml
from bench.model import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Comparison", "GateConfig", "ScenarioOverride", "StoredTimes", "load_config"]

SECTION = "tool.bench.gate"
ANY = "*"  # stands for every scenario in a tolerance
ALPHA_LARGEST = 0.5  # a verdict that errs more often than a coin decides nothing
INCONCLUSIVE = ("pass", "fail")
KEYS = (
    *("alpha", "delta", "inconclusive", "baseline", "stored-times", "budget"),
    *("compare", "scenario", "tolerance"),
)


# Of counters that are not exact, unless the settings say otherwise.
# How many absolute paths fit a page of mount options depends on how long they are, and that on the plan.
TOLERANCE = {"limits.layers_absolute_diff": 0.05, "limits.layers_absolute_links": 0.05}


class StoredTimes(enum.StrEnum):
    """What ratios to native from another run are good for: said, able to fail the gate, or not looked at."""

    ADVISORY = "advisory"
    BLOCKING = "blocking"
    OFF = "off"


@dataclass(frozen=True)
class Comparison:
    """Two arms that a gate compares, as they are written.

    `scenarios`: in which (empty: every scenario that gates). `where`: depth, size, temperature and other
    parameters of both sides, as given.
    """

    a: str
    b: str
    scenarios: tuple[str, ...] = ()
    where: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class ScenarioOverride:
    """What is different for one scenario; None: as for all."""

    delta: float | None = None
    block: bool | None = None


@dataclass(frozen=True)
class GateConfig:
    """The settings of a gate.

    `alpha` is the error of all blocking verdicts together, ratios within 1 + `delta` are the same, and
    `tolerance` is by what share a counter may leave its baseline, by `scenario.counter` or `*.counter`.
    """

    alpha: float = 0.05
    delta: float = 0.03
    inconclusive: str = "pass"
    baseline: Path = Path("bench-baseline.json")
    stored_times: StoredTimes = StoredTimes.ADVISORY
    budget: str | None = None
    compare: tuple[Comparison, ...] = ()
    scenarios: Mapping[str, ScenarioOverride] = field(default_factory=dict)
    tolerance: Mapping[str, float] = field(default_factory=dict)

    @property
    def inconclusive_fails(self) -> bool:
        """Whether what blocks and is inconclusive fails the gate."""
        return self.inconclusive == "fail"

    def delta_of(self, scenario: str) -> float:
        """Return by what share a time of `scenario` may differ and still be the same."""
        own = self.scenarios.get(scenario, ScenarioOverride()).delta
        return self.delta if own is None else own

    def blocks(self, scenario: str) -> bool:
        """Return whether verdicts on `scenario` may fail the gate."""
        return self.scenarios.get(scenario, ScenarioOverride()).block is not False

    def tolerance_of(self, scenario: str, counter: str) -> float:
        """Return by what share a counter may leave its baseline: its own, else that of `*`, else TOLERANCE."""
        name = f"{scenario}.{counter}"
        return self.tolerance.get(name, self.tolerance.get(f"{ANY}.{counter}", TOLERANCE.get(name, 0.0)))

    def check_scenarios(self, known: Iterable[str]) -> None:
        """Raise BenchError, with the nearest known name, if a setting names a scenario that is not known."""
        names = set(known)
        told = [*self.scenarios, *(name for one in self.compare for name in one.scenarios)]
        told += [key.partition(".")[0] for key in self.tolerance]
        for name in told:
            if name not in names | {ANY}:
                raise nearest(f"scenario in [{SECTION}]", name, names)


def load_config(path: Path) -> GateConfig:
    """Return the gate's settings in the TOML file `path`; the defaults if it has none."""
    told = _section(path)
    if unknown := [key for key in told if key not in KEYS]:
        raise nearest(f"[{SECTION}] key", unknown[0], KEYS)
    default = GateConfig()
    take = toml.Table(f"[{SECTION}]", told)
    return GateConfig(
        alpha=take.number("alpha", default.alpha, above=0, most=ALPHA_LARGEST),
        delta=take.number("delta", default.delta, above=0, most=1),
        inconclusive=take.word("inconclusive", default.inconclusive, INCONCLUSIVE),
        baseline=path.parent / take.text("baseline", str(default.baseline)),
        stored_times=StoredTimes(take.word("stored-times", default.stored_times, [one.value for one in StoredTimes])),
        budget=_budget(take),
        compare=tuple(_comparison(number, one) for number, one in enumerate(take.tables("compare"), 1)),
        scenarios={name: _override(name, one) for name, one in take.table("scenario").items()},
        tolerance=_tolerance(take.table("tolerance")),
    )


def _section(path: Path) -> Mapping[str, Any]:
    try:
        told: Any = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise BenchError(f"no {path}", mend="give the pyproject.toml that has the gate's settings") from None
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not TOML", why=str(error), mend="see https://toml.io") from error
    for depth, key in enumerate(SECTION.split("."), 1):
        told = told.get(key, {})
        if not isinstance(told, dict):
            name = ".".join(SECTION.split(".")[:depth])
            raise BenchError(f"{name} in {path} is {told!r}", mend=f"write it as a table, [{SECTION}]")
    return dict(told)


def _budget(take: toml.Table) -> str | None:
    text = take.text("budget", "")
    if "budget" not in take.told:
        return None
    try:
        seconds = parse_seconds(text)
    except BenchError as error:
        raise BenchError(f"{take.name} budget: {error.what}", mend=error.mend) from error
    if seconds <= 0:
        raise BenchError(f"{take.name} budget is {text!r}", why="nothing can be measured in no time")
    return text


def _comparison(number: int, told: Mapping[str, Any]) -> Comparison:
    name = f"[{SECTION}] comparison {number}"
    take = toml.Table(name, told)
    for side in ("a", "b"):
        if side not in told:
            raise BenchError(f"{name} has no {side}", mend='write it like {a = "overlay2@ext4", b = "overlay2@xfs"}')
    where = {key: value for key, value in told.items() if key not in {"a", "b", "scenario"}}
    for key, value in where.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BenchError(f"{name}: {key} is {value!r}", why="it is neither text nor a whole number")
    return Comparison(take.text("a"), take.text("b"), take.texts("scenario"), where)


def _override(scenario: str, told: Any) -> ScenarioOverride:
    name = f"[{SECTION}.scenario.{scenario}]"
    if not isinstance(told, dict):
        raise BenchError(f"{SECTION}.scenario.{scenario} is {told!r}", mend=f"write it as a table, {name}")
    known = ("delta", "block")
    if unknown := [key for key in told if key not in known]:
        raise nearest(f"{name} key", unknown[0], known)
    take = toml.Table(name, told)
    delta = take.number("delta", GateConfig.delta, above=0, most=1) if "delta" in told else None
    return ScenarioOverride(delta, take.flag("block") if "block" in told else None)


def _tolerance(told: Mapping[str, Any]) -> dict[str, float]:
    """Return the tolerances; `copy_up.open_bytes = 0.05` without quotes is a table in TOML, and is meant as well."""
    flat: dict[str, Any] = {}
    for key, value in told.items():
        flat |= {f"{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
    take = toml.Table(f"[{SECTION}.tolerance]", flat)
    for key in flat:
        scenario, _, counter = key.partition(".")
        if not scenario or not counter or counter == ANY:
            raise BenchError(
                f"{take.name} {key!r} names no counter", mend='write it like "copy_up.open_bytes" or "*.open_bytes"'
            )
    return {key: take.number(key, 0.0, least=0) for key in flat}
