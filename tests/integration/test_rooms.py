"""A room imports only rooms to its left (docs/architecture.md), read from the sources themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAST = 99

# From left to right; modules on one line are one room. The longest prefix of a module's name counts.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("bench", "bench.errors", "bench.model", "bench.quantities"),
    ("bench.kernel",),
    ("bench.host",),
    ("bench.volumes", "bench.layers"),
    ("bench.engines",),
    ("bench.drivers",),
    ("bench.oracle",),
    ("bench.measure.scenario", "bench.measure.clock", "bench.measure.temperature", "bench.measure.reference"),
    ("scenarios",),
    ("bench.discovery",),
    ("bench.measure",),
    ("bench.containers",),
    ("bench.pytest_plugin",),
    ("bench.selftest.asked", "bench.selftest.stream", "bench.selftest.delay", "bench.selftest.hyperfine"),
)
COMMANDS = ("bench.cli", "bench.__main__", "bench.commands", "bench.doctor")
# What reads results: beside that way, so that a laptop without root, Linux and drivers can analyse a run. Of
# bench.selftest that is all but what has a place on the way.
READERS = ("bench.stats", "bench.store", "bench.verdicts", "bench.report", "bench.gate", "bench.selftest")
READERS_MAY = ROOMS[0]
# What measures may write results, and stop when statistics say that it knows; a scenario says what it claims in
# the words of verdicts.
USERS = {
    ("bench.measure", "bench.store"),
    ("bench.measure", "bench.stats"),
    ("bench.selftest", "bench.selftest"),
    ("scenarios", "bench.verdicts"),
}
# The page is made of what scenarios say of themselves: laws, claims, tables.
REPORT_MAY = {("bench.report", "bench.discovery")}


def modules() -> dict[str, Path]:
    found = {}
    for path in (*(ROOT / "bench").rglob("*.py"), *(ROOT / "scenarios").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(tree: ast.AST) -> set[str]:
    """Return the modules of this project that are imported at run time, in functions as well."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in node.orelse:
                found |= imports(ast.Module([other], []))
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "relative imports are not used here"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        found |= imports(node)
    return {name for name in found if name.partition(".")[0] in {"bench", "scenarios"}}


def room(name: str, rooms: tuple[str, ...]) -> str:
    """Return the longest of `rooms` that `name` lies in, or nothing."""
    inside = [one for one in rooms if name == one or (name.startswith(f"{one}.") and one != "bench")]
    return max(inside, key=len, default="")


FLAT = tuple(one for rooms in ROOMS for one in rooms)


def readers(name: str) -> str:
    """Return the room of readers that `name` lies in, or nothing."""
    found = room(name, (*FLAT, *READERS))
    return found if found in READERS else ""


def place(name: str) -> int:
    found = room(name, FLAT)
    return next((number for number, rooms in enumerate(ROOMS) if found in rooms), LAST)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_nothing_from_a_room_to_its_right(name: str) -> None:
    wanted = imports(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    wrong = sorted(other for other in wanted if not allowed(name, other))
    assert not wrong, f"{name} imports {', '.join(wrong)} at run time"


def allowed(name: str, other: str) -> bool:
    if room(name, COMMANDS):
        return True
    if room(other, COMMANDS):
        return False
    reader, read = readers(name), readers(other)
    if reader:
        return bool(read) or other in READERS_MAY or (reader, other) in REPORT_MAY
    if read:
        return any(room(name, (mine,)) and read == theirs for mine, theirs in USERS)
    return place(other) <= place(name)


def test_every_module_has_a_room() -> None:
    for name in MODULES:
        assert place(name) != LAST or room(name, (*COMMANDS, *READERS)), f"{name} is in no room"


def test_the_rule_is_not_empty() -> None:
    assert "bench.kernel.mounts" in imports(ast.parse(MODULES["bench.drivers.overlay2"].read_text()))
    assert not allowed("bench.kernel.loop", "bench.host.packages")
    assert not allowed("bench.drivers.vfs", "bench.measure.clock")
    assert not allowed("bench.stats.fit", "bench.drivers.base")
    assert not allowed("bench.report.page", "bench.kernel.mounts")
    assert not allowed("scenarios.lookup", "bench.measure.runner")
    assert not allowed("bench.errors", "bench.kernel.libc")
    assert not allowed("bench.selftest.results", "bench.selftest.stream")
    assert not allowed("bench.selftest.page", "bench.measure.compare")
    assert not allowed("bench.measure.runner", "bench.selftest.trials")
    assert allowed("bench.selftest.stream", "bench.selftest.trials")
    assert allowed("bench.measure.runner", "bench.measure.scenario")


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("scenarios.")))
def test_no_scenario_knows_another(name: str) -> None:
    wanted = imports(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert not {other for other in wanted if other.startswith("scenarios")}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_commands_know_the_test_of_the_suite(name: str) -> None:
    wanted = imports(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    if not room(name, (*COMMANDS, "bench.selftest")):
        assert not {other for other in wanted if room(other, ("bench.selftest",))}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("bench.")))
def test_nothing_of_the_engine_knows_a_scenario(name: str) -> None:
    wanted = imports(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert not {other for other in wanted if other.startswith("scenarios.")}
