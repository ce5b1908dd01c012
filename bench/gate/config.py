"""The settings of a gate, in `[tool.bench.gate]` of a project's pyproject.toml."""

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
ANY = "*"  # in a tolerance: every scenario
ALPHA_LARGEST = 0.5  # a larger error probability is worse than tossing a coin
INCONCLUSIVE = ("pass", "fail")
# Default tolerances of counters that are not exact: how many absolute paths fit into a page of mount options depends
# on their length, and that on the plan.
TOLERANCE = {"limits.layers_absolute_diff": 0.05, "limits.layers_absolute_links": 0.05}


class StoredTimes(enum.StrEnum):
    """How ratios to native of another run are used: reported only, able to fail the gate, or ignored."""

    ADVISORY = "advisory"
    BLOCKING = "blocking"
    OFF = "off"


@dataclass(frozen=True)
class ComparisonSetting:
    """Two arms that a gate compares, as written in the settings.

    `scenarios` are the scenarios to compare them in (empty: every scenario that gates). `where` has the depth, size,
    temperature and other parameters of both sides, as given.
    """

    a: str
    b: str
    scenarios: tuple[str, ...] = ()
    where: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class ScenarioOverride:
    """Settings of one scenario; None: the general setting applies."""

    delta: float | None = None
    block: bool | None = None


@dataclass(frozen=True)
class GateConfig:
    """The settings of a gate.

    `alpha` is the error probability of all blocking verdicts together. Ratios within 1 + `delta` count as the same.
    `tolerance` is the share by which a counter may leave its baseline, by `scenario.counter` or `*.counter`.
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
        """Whether an inconclusive verdict that blocks fails the gate."""
        return self.inconclusive == "fail"

    def delta_of(self, scenario: str) -> float:
        """Return the share by which a time of `scenario` may differ and still count as the same."""
        delta = self.scenarios.get(scenario, ScenarioOverride()).delta
        return self.delta if delta is None else delta

    def blocks(self, scenario: str) -> bool:
        """Return whether verdicts on `scenario` may fail the gate."""
        return self.scenarios.get(scenario, ScenarioOverride()).block is not False

    def tolerance_of(self, scenario: str, counter: str) -> float:
        """Return the tolerance of a counter: its own, else that of `*`, else the default in TOLERANCE."""
        name = f"{scenario}.{counter}"
        return self.tolerance.get(name, self.tolerance.get(f"{ANY}.{counter}", TOLERANCE.get(name, 0.0)))

    def check_scenarios(self, known: Iterable[str]) -> None:
        """Raise BenchError, with the nearest known name, if a setting names an unknown scenario."""
        names = set(known)
        named = [*self.scenarios, *(name for setting in self.compare for name in setting.scenarios)]
        named += [key.partition(".")[0] for key in self.tolerance]
        for name in named:
            if name not in names | {ANY}:
                raise nearest(f"scenario in [{SECTION}]", name, names)


Text = Annotated[str, msgspec.Meta(min_length=1)]
Alpha = Annotated[float, msgspec.Meta(gt=0, le=ALPHA_LARGEST)]
Delta = Annotated[float, msgspec.Meta(gt=0, le=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]


class Settings(msgspec.Struct, rename="kebab"):
    """The content of the section in the file."""

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
    """The content of a table `scenario.NAME`."""

    delta: Delta | None = None
    block: bool | None = None


class _Sides(msgspec.Struct):
    """The keys of an entry of `compare` that are not parameters."""

    a: Text
    b: Text
    scenario: Text | tuple[Text, ...] = ()


def load_config(path: Path) -> GateConfig:
    """Return the gate's settings in the TOML file `path`; the defaults if it has no such section."""
    name, section = f"[{SECTION}]", _section(path)
    known_keys(section, Settings, f"{name} key")
    settings: Settings = taken(section, Settings, name)
    for key, word, words in (
        ("inconclusive", settings.inconclusive, INCONCLUSIVE),
        ("stored-times", settings.stored_times, [mode.value for mode in StoredTimes]),
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
        compare=tuple(_comparison(number, table) for number, table in enumerate(settings.compare, 1)),
        scenarios={scenario: _override(scenario, table) for scenario, table in settings.scenario.items()},
        tolerance=_tolerance(settings.tolerance),
    )


def _section(path: Path) -> Mapping[str, Any]:
    try:
        section: Any = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise BenchError(f"no {path}", fix="give the pyproject.toml that has the gate's settings") from None
    except OSError as error:
        raise BenchError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not TOML", why=str(error), fix="see https://toml.io") from error
    for depth, key in enumerate(SECTION.split("."), 1):
        section = section.get(key, {})
        if not isinstance(section, dict):
            name = ".".join(SECTION.split(".")[:depth])
            raise BenchError(f"{name} in {path} is {section!r}", fix=f"write it as a table, [{SECTION}]")
    return dict(section)


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


def _comparison(number: int, table: Mapping[str, Any]) -> ComparisonSetting:
    name = f"[{SECTION}] comparison {number}"
    sides: _Sides = taken(table, _Sides, name, 'write it like {a = "overlay2@ext4", b = "overlay2@xfs"}')
    parameters = {key: value for key, value in table.items() if key not in _Sides.__struct_fields__}
    scenarios = (sides.scenario,) if isinstance(sides.scenario, str) else sides.scenario
    for key, value in parameters.items():
        taken(value, str | int, f"{name}: {key}")
    return ComparisonSetting(sides.a, sides.b, scenarios, parameters)


def _override(scenario: str, table: Mapping[str, Any]) -> ScenarioOverride:
    name = f"[{SECTION}.scenario.{scenario}]"
    known_keys(table, _Override, f"{name} key")
    override: _Override = taken(table, _Override, name)
    return ScenarioOverride(override.delta, override.block)


def _tolerance(section: Mapping[str, Any]) -> dict[str, float]:
    """Return the tolerances, also from `copy_up.open_bytes = 0.05` without quotes, which is a table in TOML."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= {f"{key}.{name}": share for name, share in value.items()} if isinstance(value, dict) else {key: value}
    name = f"[{SECTION}.tolerance]"
    for key in flat:
        scenario, _, counter = key.partition(".")
        if not scenario or not counter or counter == ANY:
            raise BenchError(
                f"{name} {key!r} names no counter", fix='write it like "copy_up.open_bytes" or "*.open_bytes"'
            )
    return {key: taken(value, Share, f"{name} {key}") for key, value in flat.items()}
