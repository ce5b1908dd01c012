"""The provenance of a run: the content of run.json as tables, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from bench.model import format_size
from bench.report.sheets import Sheet
from bench.store.reader import Run

__all__ = ["command", "machine", "sheets"]

Tree = dict[str, Any]

# Shown elsewhere on the page, with their scenario.
ELSEWHERE = frozenset({"skips", "warnings"})
SIZES = frozenset({"bytes", "memory_bytes"})


def machine(run: Run) -> str:
    """Return the machine in one line."""
    host, place = run.provenance.host, run.provenance.place
    if place is not None:
        emulator = " ".join(place.machine.partition(",")[0].split())
        return f"Linux {place.kernel} ({place.origin}) in {place.boots} boots of a machine emulated by {emulator}"
    cores = _tree(host.get("cores"))
    memory = host.get("memory_bytes")
    virtualisation = _tree(host.get("virtualisation"))
    parts = [
        host.get("cpu_model"),
        f"{cores['logical']} CPUs" if cores.get("logical") else None,
        format_size(round(memory / 2**28) * 2**28) if isinstance(memory, int | float) else None,
        f"Linux {host['kernel']}" if host.get("kernel") else None,
        host.get("distribution"),
        "virtual machine" if virtualisation.get("hypervisor") else None,
    ]
    return ", ".join(str(part) for part in parts if part) or "machine not recorded"


def command(run: Run) -> str:
    """Return the command that made the run, quoted for a shell; "" if it was not recorded."""
    return shlex.join(run.provenance.command)


def sheets(run: Run) -> list[Sheet]:
    """Return the content of run.json as tables."""
    whole_file = run.whole
    facts = [
        ("run", run.id),
        *((key, _text(key, value)) for key, value in sorted(whole_file.items()) if not isinstance(value, dict | list)),
    ]
    tables = [_pairs("Run", dict(facts), prefix=False)]
    if command(run):
        tables.append(_pairs("Command", {"command": command(run)}, prefix=False))
    for key, value in sorted(whole_file.items(), key=lambda item: (item[0] not in {"request", "host"}, item[0])):
        if key in ELSEWHERE or key == "command":
            continue
        sheet = _sheet(key, value)
        if sheet is not None:
            tables.append(sheet)
    return tables


def _sheet(key: str, value: Any) -> Sheet | None:
    title = {"host": "Machine and tools", "request": "What was asked for"}.get(key, key.replace("_", " ").capitalize())
    if key == "conditions" and isinstance(value, dict) and {"before", "after"} <= value.keys():
        return _before_after(title, _tree(value["before"]), _tree(value["after"]))
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        return _crossed(title, value)
    if isinstance(value, dict) and value:
        return _pairs(title, value)
    if isinstance(value, list) and value:
        return Sheet(title, ("entry",), tuple((_text(key, entry),) for entry in value))
    return None


def _pairs(title: str, tree: Mapping[str, Any], *, prefix: bool = True) -> Sheet:
    lines = _flat(tree) if prefix else [(str(key), _text(str(key), value)) for key, value in tree.items()]
    return Sheet(title, ("what", "value"), tuple(lines))


def _crossed(title: str, tree: Mapping[str, Mapping[str, Any]]) -> Sheet:
    """Return a table with one row per fact and one column per thing (such as a volume)."""
    facts = dict.fromkeys(str(key) for thing in tree.values() for key in thing)
    lines = tuple((fact, *(_text(fact, thing.get(fact)) for thing in tree.values())) for fact in facts)
    return Sheet(title, ("what", *(str(name) for name in tree)), lines)


def _before_after(title: str, before: Tree, after: Tree) -> Sheet:
    first, last = dict(_flat(before)), dict(_flat(after))
    keys = dict.fromkeys([*first, *last])
    lines = tuple((key, first.get(key, "–"), last.get(key, "–")) for key in keys)
    note = "Counters of the whole host before and after measuring; the warnings at the head of the page judge them."
    return Sheet(title, ("what", "before", "after"), lines, note)


def _flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, dict):
            pairs += _flat(value, name)
        else:
            pairs.append((name, _text(str(key), value)))
    return pairs


def _text(key: str, value: Any) -> str:
    if value is None or value in ([], "", {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key in SIZES and isinstance(value, int):
        return f"{format_size(value)} ({value:,})"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list) and key == "mkfs":
        return shlex.join(str(part) for part in value)
    if isinstance(value, list):
        return ", ".join(_text("", part) for part in value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_text(str(name), part)}" for name, part in value.items())
    return str(value)


def _tree(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}
