"""The gate's settings: what is taken, and one line for each thing that makes no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.errors import BenchError
from bench.gate.config import ComparisonSetting, GateConfig, ScenarioOverride, StoredTimes, load_config

if TYPE_CHECKING:
    from pathlib import Path

GATE = "[tool.bench.gate]\n"


def read(directory: Path, text: str) -> GateConfig:
    path = directory / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.other]\na = 1\n", "[tool.bench]\n", GATE])
def test_a_file_that_says_nothing_gives_the_defaults(tmp_path: Path, text: str) -> None:
    told = read(tmp_path, text)
    assert told == GateConfig(baseline=tmp_path / "bench-baseline.json")
    assert (told.alpha, told.delta, told.inconclusive_fails, told.budget) == (0.05, 0.03, False, None)
    assert told.stored_times is StoredTimes.ADVISORY
    assert (told.delta_of("any"), told.blocks("any"), told.tolerance_of("any", "bytes")) == (0.03, True, 0.0)


def test_everything_that_can_be_set(tmp_path: Path) -> None:
    told = read(
        tmp_path,
        """
        [tool.bench.gate]
        alpha = 0.01
        delta = 0.1
        inconclusive = "fail"
        baseline = "ci/counters.json"
        stored-times = "blocking"
        budget = "5m"
        compare = [
            {a = "overlay2@ext4", b = "overlay2,volatile=on@ext4", scenario = "copy_up", size = "4KiB", depth = 8},
            {a = "overlay2@ext4", b = "overlay2@xfs", scenario = ["lookup", "copy_up"]},
            {a = "vfs@ext4", b = "vfs@xfs"},
        ]
        [tool.bench.gate.scenario.lookup]
        delta = 0.2
        block = false
        [tool.bench.gate.scenario.limits]
        block = true
        [tool.bench.gate.tolerance]
        "copy_up.open_bytes" = 0.05
        "*.open_bytes" = 0.5
        inodes.bytes = 1
        """,
    )
    assert (told.alpha, told.delta, told.inconclusive, told.budget) == (0.01, 0.1, "fail", "5m")
    assert told.inconclusive_fails
    assert told.baseline == tmp_path / "ci" / "counters.json"
    assert told.stored_times is StoredTimes.BLOCKING
    assert told.compare == (
        ComparisonSetting("overlay2@ext4", "overlay2,volatile=on@ext4", ("copy_up",), {"size": "4KiB", "depth": 8}),
        ComparisonSetting("overlay2@ext4", "overlay2@xfs", ("lookup", "copy_up")),
        ComparisonSetting("vfs@ext4", "vfs@xfs"),
    )
    assert told.scenarios == {"lookup": ScenarioOverride(0.2, False), "limits": ScenarioOverride(None, True)}
    assert [told.delta_of(name) for name in ("lookup", "limits", "inodes")] == [0.2, 0.1, 0.1]
    assert [told.blocks(name) for name in ("lookup", "limits", "inodes")] == [False, True, True]
    counters = (("copy_up", "open_bytes"), ("lookup", "open_bytes"), ("inodes", "bytes"), ("inodes", "inodes"))
    assert [told.tolerance_of(*names) for names in counters] == [0.05, 0.5, 1.0, 0.0]


def test_an_absolute_baseline_stays_where_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, f'{GATE}baseline = "/srv/baseline.json"\n').baseline.as_posix() == "/srv/baseline.json"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{GATE}alfa = 0.05", "unknown [tool.bench.gate] key 'alfa'; did you mean 'alpha'?"),
        (f"{GATE}stored_times = 'off'", "did you mean 'stored-times'?"),
        (f"{GATE}alpha = 0", "[tool.bench.gate] alpha is 0: expected a number > 0"),
        (f"{GATE}alpha = 0.51", "alpha is 0.51: expected a number <= 0.5"),
        (f"{GATE}alpha = nan", "alpha is nan: expected a number > 0"),
        (f"{GATE}alpha = true", "alpha is True: expected a number, got true or false"),
        (f"{GATE}alpha = '5%'", "alpha is '5%': expected a number, got text"),
        (f"{GATE}delta = 0.0", "delta is 0.0: expected a number > 0"),
        (f"{GATE}delta = -1", "delta is -1: expected a number > 0"),
        (f"{GATE}delta = 1.01", "delta is 1.01: expected a number <= 1"),
        (f"{GATE}inconclusive = 'passes'", "value of inconclusive, 'passes'; did you mean 'pass'?"),
        (f"{GATE}inconclusive = true", "inconclusive is True: expected text"),
        (f"{GATE}stored-times = 'block'", "value of stored-times, 'block'; did you mean 'blocking'?"),
        (f"{GATE}baseline = ''", "baseline is '': expected text of length >= 1"),
        (f"{GATE}baseline = 1", "baseline is 1: expected text"),
        (f"{GATE}budget = 'long'", "[tool.bench.gate] budget: 'long' is not a time; write it like 90s, 5m or 1h"),
        (f"{GATE}budget = 300", "budget is 300: expected text"),
        (f"{GATE}budget = ''", "budget is '': expected text of length >= 1"),
        (f"{GATE}budget = '0s'", "budget is '0s': nothing can be measured in no time"),
        (f"{GATE}compare = {{a = 'x@y', b = 'z@y'}}", "compare cannot be read: expected a list, got a table"),
        (f"{GATE}compare = ['x@y']", "compare[0] is 'x@y': expected a table, got text"),
        (
            f"{GATE}compare = [{{a = 'x@y'}}]",
            "[tool.bench.gate] comparison 1 cannot be read: it lacks b; write it like {a =",
        ),
        (
            f"{GATE}compare = [{{a = 'x@y', b = 'z@y'}}, {{b = 'z@y'}}]",
            "[tool.bench.gate] comparison 2 cannot be read: it lacks a; write it like {a =",
        ),
        (f"{GATE}compare = [{{a = 1, b = 'z@y'}}]", "comparison 1 a is 1: expected text"),
        (
            f"{GATE}compare = [{{a = 'x@y', b = 'z@y', scenario = 3}}]",
            "scenario is 3: expected text or a list, got a whole number",
        ),
        (
            f"{GATE}compare = [{{a = 'x@y', b = 'z@y', scenario = ['s', 1]}}]",
            "scenario[1] is 1: expected text, got a whole number",
        ),
        (f"{GATE}compare = [{{a = 'x@y', b = 'z@y', depth = 1.5}}]", "depth is 1.5: expected a whole number or text"),
        (f"{GATE}compare = [{{a = 'x@y', b = 'z@y', depth = true}}]", "depth is True: expected a whole number or text"),
        (f"{GATE}scenario = 3", "scenario is 3: expected a table"),
        (f"{GATE}scenario.lookup = 0.1", "scenario[...] cannot be read: expected a table, got a number"),
        (
            f"{GATE}scenario.lookup.blocks = true",
            "[tool.bench.gate.scenario.lookup] key 'blocks'; did you mean 'block'?",
        ),
        (f"{GATE}scenario.lookup.block = 1", "[tool.bench.gate.scenario.lookup] block is 1: expected true or false"),
        (f"{GATE}scenario.lookup.delta = 2", "[tool.bench.gate.scenario.lookup] delta is 2: expected a number <= 1"),
        (f"{GATE}tolerance = 0.1", "tolerance is 0.1: expected a table"),
        (f"{GATE}tolerance.open_bytes = 0.1", "[tool.bench.gate.tolerance] 'open_bytes' names no counter"),
        (f"{GATE}tolerance.copy_up.'*' = 0.1", "[tool.bench.gate.tolerance] 'copy_up.*' names no counter"),
        (f"{GATE}tolerance.copy_up.open_bytes = -0.1", "copy_up.open_bytes is -0.1: expected a number >= 0"),
        (f"{GATE}tolerance.copy_up.open_bytes = inf", "copy_up.open_bytes is inf: expected a number <= "),
        (f"{GATE}tolerance.copy_up.open_bytes = '5%'", "copy_up.open_bytes is '5%': expected a number, got text"),
        ("[tool.bench]\ngate = 1", "tool.bench.gate in"),
        ("tool = 1", "write it as a table, [tool.bench.gate]"),
        ("[tool.bench.gate\n", "is not TOML: "),
        ("a = " + "[" * 5000, "is not TOML: "),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BenchError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no .*pyproject.toml; give the pyproject.toml that has"):
        load_config(tmp_path / "pyproject.toml")
    with pytest.raises(BenchError, match=r"cannot read .*: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "latin1.toml").write_bytes(b"a = '\xe9'\n")
    with pytest.raises(BenchError, match="is not TOML"):
        load_config(tmp_path / "latin1.toml")


@pytest.mark.parametrize(
    "text",
    [
        "scenario.copyup.block = true",
        "tolerance.copyup.open_bytes = 0.1",
        "compare = [{a = 'x@y', b = 'z@y', scenario = ['lookup', 'copyup']}]",
    ],
)
def test_a_scenario_that_is_not_known_is_told_with_the_nearest(tmp_path: Path, text: str) -> None:
    told = read(tmp_path, GATE + text)
    told.check_scenarios(["copyup", "lookup"])
    with pytest.raises(BenchError, match="'copyup'; did you mean 'copy_up'"):
        told.check_scenarios(["copy_up", "lookup"])


def test_any_scenario_needs_no_name(tmp_path: Path) -> None:
    read(tmp_path, f"{GATE}tolerance.'*'.bytes = 0.1").check_scenarios([])
