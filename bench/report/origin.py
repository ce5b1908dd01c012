"""Where a run's figures come from: everything in run.json as tables, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from bench.model import format_size
from bench.report.sheets import Sheet
from bench.store.reader import Run

__all__ = ["command", "machine", "sheets"]

Tree = dict[str, Any]

# Shown elsewhere on the page, with what they are about.
ELSEWHERE = frozenset({"skips", "warnings"})
SIZES = frozenset({"bytes", "memory_bytes"})


def machine(run: Run) -> str:
    """Return the machine in one line."""
    host = run.provenance.host
    cores = _tree(host.get("cores"))
    memory = host.get("memory_bytes")
    around = _tree(host.get("virtualisation"))
    parts = [
        host.get("cpu_model"),
        f"{cores['logical']} CPUs" if cores.get("logical") else None,
        format_size(round(memory / 2**28) * 2**28) if isinstance(memory, int | float) else None,
        f"Linux {host['kernel']}" if host.get("kernel") else None,
        host.get("distribution"),
        "virtual machine" if around.get("hypervisor") else None,
    ]
    return ", ".join(str(part) for part in parts if part) or "machine not recorded"


def command(run: Run) -> str:
    """Return the command that made the run, as a shell takes it; "" if it was not recorded."""
    return shlex.join(run.provenance.command)


def sheets(run: Run) -> list[Sheet]:
    """Return everything in run.json as tables."""
    whole_file = run.whole
    whole = [
        ("run", run.id),
        *((key, _text(key, value)) for key, value in sorted(whole_file.items()) if not isinstance(value, dict | list)),
    ]
    found = [_pairs("Run", dict(whole), prefix=False)]
    if command(run):
        found.append(_pairs("Command", {"command": command(run)}, prefix=False))
    for key, value in sorted(whole_file.items(), key=lambda item: (item[0] not in {"request", "host"}, item[0])):
        if key in ELSEWHERE or key == "command":
            continue
        told = _sheet(key, value)
        if told is not None:
            found.append(told)
    return found


def _sheet(key: str, value: Any) -> Sheet | None:
    title = {"host": "Machine and tools", "request": "What was asked for"}.get(key, key.replace("_", " ").capitalize())
    if key == "conditions" and isinstance(value, dict) and {"before", "after"} <= value.keys():
        return _before_after(title, _tree(value["before"]), _tree(value["after"]))
    if isinstance(value, dict) and value and all(isinstance(told, dict) for told in value.values()):
        return _crossed(title, value)
    if isinstance(value, dict) and value:
        return _pairs(title, value)
    if isinstance(value, list) and value:
        return Sheet(title, ("entry",), tuple((_text(key, told),) for told in value))
    return None


def _pairs(title: str, tree: Mapping[str, Any], *, prefix: bool = True) -> Sheet:
    told = _flat(tree) if prefix else [(str(key), _text(str(key), value)) for key, value in tree.items()]
    return Sheet(title, ("what", "value"), tuple(told))


def _crossed(title: str, tree: Mapping[str, Mapping[str, Any]]) -> Sheet:
    """Return a table with a row for each fact and a column for each thing (volumes)."""
    facts = dict.fromkeys(str(key) for told in tree.values() for key in told)
    told = tuple((fact, *(_text(fact, thing.get(fact)) for thing in tree.values())) for fact in facts)
    return Sheet(title, ("what", *(str(name) for name in tree)), told)


def _before_after(title: str, before: Tree, after: Tree) -> Sheet:
    first, last = dict(_flat(before)), dict(_flat(after))
    keys = dict.fromkeys([*first, *last])
    told = tuple((key, first.get(key, "–"), last.get(key, "–")) for key in keys)
    note = "Counters of the whole host before and after measuring; the warnings at the head of the page judge them."
    return Sheet(title, ("what", "before", "after"), told, note)


def _flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, dict):
            found += _flat(value, name)
        else:
            found.append((name, _text(str(key), value)))
    return found


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
        return "; ".join(f"{name}: {_text(str(name), told)}" for name, told in value.items())
    return str(value)


def _tree(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}
