"""A gate's settings: `[tool.bench.gate]` of a project's pyproject.toml."""

from __future__ import annotations

import enum
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench.errors import BenchError, nearest
from bench.model import parse_seconds
from bench.store.typed import known_keys, taken

__all__ = ["ComparisonSetting", "GateConfig", "ScenarioOverride", "Settings", "StoredTimes", "load_config"]

SECTION = "tool.bench.gate"
ANY = "*"  # stands for every scenario in a tolerance
ALPHA_LARGEST = 0.5  # a verdict that errs more often than a coin decides nothing
# Of counters that are not exact, unless the settings say otherwise.
# How many absolute paths fit a page of mount options depends on how long they are, and that on the plan.
INCONCLUSIVE = ("pass", "fail")
TOLERANCE = {"limits.layers_absolute_diff": 0.05, "limits.layers_absolute_links": 0.05}


class StoredTimes(enum.StrEnum):
    """What ratios to native from another run are good for: said, able to fail the gate, or not looked at."""

    ADVISORY = "advisory"
    BLOCKING = "blocking"
    OFF = "off"


@dataclass(frozen=True)
class ComparisonSetting:
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
    compare: tuple[ComparisonSetting, ...] = ()
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


Text = Annotated[str, msgspec.Meta(min_length=1)]
Alpha = Annotated[float, msgspec.Meta(gt=0, le=ALPHA_LARGEST)]
Delta = Annotated[float, msgspec.Meta(gt=0, le=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]


class Settings(msgspec.Struct, rename="kebab"):
    """The section as the file has it."""

    alpha: Alpha = GateConfig.alpha
    delta: Delta = GateConfig.delta
    inconclusive: str = GateConfig.inconclusive
    baseline: Text = str(GateConfig.baseline)
    stored_times: str = GateConfig.stored_times
    budget: Text | None = None
    compare: list[dict[str, Any]] = []
    scenario: dict[str, dict[str, Any]] = {}
    tolerance: dict[str, Any] = {}


class _Override(msgspec.Struct):
    """A table `scenario.NAME`."""

    delta: Delta | None = None
    block: bool | None = None


class _Sides(msgspec.Struct):
    """What an entry of `compare` has beside parameters."""

    a: Text
    b: Text
    scenario: Text | tuple[Text, ...] = ()


def load_config(path: Path) -> GateConfig:
    """Return the gate's settings in the TOML file `path`; the defaults if it has none."""
    name, told = f"[{SECTION}]", _section(path)
    known_keys(told, Settings, f"{name} key")
    settings: Settings = taken(told, Settings, name)
    for key, word, words in (
        ("inconclusive", settings.inconclusive, INCONCLUSIVE),
        ("stored-times", settings.stored_times, [one.value for one in StoredTimes]),
    ):
        if word not in words:
            raise nearest(f"{name} value of {key},", word, words)
    return GateConfig(
        alpha=settings.alpha,
        delta=settings.delta,
        inconclusive=settings.inconclusive,
        baseline=path.parent / settings.baseline,
        stored_times=StoredTimes(settings.stored_times),
        budget=_budget(settings.budget, name),
        compare=tuple(_comparison(number, one) for number, one in enumerate(settings.compare, 1)),
        scenarios={key: _override(key, one) for key, one in settings.scenario.items()},
        tolerance=_tolerance(settings.tolerance),
    )


def _section(path: Path) -> Mapping[str, Any]:
    try:
        told: Any = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise BenchError(f"no {path}", fix="give the pyproject.toml that has the gate's settings") from None
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not TOML", why=str(error), fix="see https://toml.io") from error
    for depth, key in enumerate(SECTION.split("."), 1):
        told = told.get(key, {})
        if not isinstance(told, dict):
            name = ".".join(SECTION.split(".")[:depth])
            raise BenchError(f"{name} in {path} is {told!r}", fix=f"write it as a table, [{SECTION}]")
    return dict(told)


def _budget(text: str | None, name: str) -> str | None:
    if text is None:
        return None
    try:
        seconds = parse_seconds(text)
    except BenchError as error:
        raise BenchError(f"{name} budget: {error.what}", fix=error.fix) from error
    if seconds <= 0:
        raise BenchError(f"{name} budget is {text!r}", why="nothing can be measured in no time")
    return text


def _comparison(number: int, told: Mapping[str, Any]) -> ComparisonSetting:
    name = f"[{SECTION}] comparison {number}"
    sides: _Sides = taken(told, _Sides, name, 'write it like {a = "overlay2@ext4", b = "overlay2@xfs"}')
    where = {key: value for key, value in told.items() if key not in _Sides.__struct_fields__}
    scenarios = (sides.scenario,) if isinstance(sides.scenario, str) else sides.scenario
    for key, value in where.items():
        taken(value, str | int, f"{name}: {key}")
    return ComparisonSetting(sides.a, sides.b, scenarios, where)


def _override(scenario: str, told: Mapping[str, Any]) -> ScenarioOverride:
    name = f"[{SECTION}.scenario.{scenario}]"
    known_keys(told, _Override, f"{name} key")
    override: _Override = taken(told, _Override, name)
    return ScenarioOverride(override.delta, override.block)


def _tolerance(told: Mapping[str, Any]) -> dict[str, float]:
    """Return the tolerances; `copy_up.open_bytes = 0.05` without quotes is a table in TOML, and is meant as well."""
    flat: dict[str, Any] = {}
    for key, value in told.items():
        flat |= {f"{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
    name = f"[{SECTION}.tolerance]"
    for key in flat:
        scenario, _, counter = key.partition(".")
        if not scenario or not counter or counter == ANY:
            raise BenchError(
                f"{name} {key!r} names no counter", fix='write it like "copy_up.open_bytes" or "*.open_bytes"'
            )
    return {key: taken(value, Share, f"{name} {key}") for key, value in flat.items()}
