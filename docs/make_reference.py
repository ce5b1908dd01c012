"""Make docs/reference.md from the code: `python docs/make_reference.py`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from bench import discovery
from bench.cli import cli
from bench.store.records import PaceRecord, Place, Provenance, Row

TARGET = Path(__file__).with_name("reference.md")
HEAD = """# Reference

Made from the code by `python docs/make_reference.py`; a test checks that it is up to date. `python -m bench COMMAND
--help` says the same."""


def command_part(name: str, command: click.Command) -> str:
    """Return what a command is for, its examples, and its options as a table."""
    about, _, examples = inspect.cleandoc(command.help or "").partition("\b\n")
    parts = [f"### {name}", f"`{_usage(name, command)}`", about.strip()]
    if examples:
        parts.append(f"```console\n{inspect.cleandoc(examples.partition(':')[2])}\n```")
    options = [one for one in command.params if isinstance(one, click.Option)]
    rows = [f"| {_names(one)} | {' '.join((one.help or '').split())}{_default(one)} |" for one in options]
    return "\n\n".join([*parts, *(["\n".join(["| option | |", "|---|---|", *rows])] if rows else [])])


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command by name, those of a group after the group."""
    for name, command in sorted(group.commands.items()):
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")


def _usage(name: str, command: click.Command) -> str:
    arguments = [str(one.metavar or one.name) for one in command.params if isinstance(one, click.Argument)]
    return " ".join(["python -m bench", name, *arguments])


def _names(option: click.Option) -> str:
    kind = f" {option.metavar}" if option.metavar else ""
    return ", ".join(f"`{name}{kind}`" for name in option.opts)


def _default(option: click.Option) -> str:
    return f" [default: {option.default}]" if option.show_default else ""


def record_part(title: str, kind: type) -> str:
    """Return a record's fields as a table: name, type as the code has it, and meaning."""
    rows = []
    for name, text in kind.__annotations__.items():
        shape, meaning = ast.parse(text, mode="eval").body, ""
        match shape:
            case ast.Subscript(
                value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, ast.Constant(value=str(words))])
            ):
                shape, meaning = inner, words
        told = ast.unparse(shape).replace("Int64", "int").replace(" | ", " or ")
        rows.append(f"| `{name}` | `{told}` | {meaning} |")
    about = inspect.getdoc(kind) or ""
    return "\n\n".join([f"### {title}", about, "\n".join(["| field | type | |", "|---|---|---|", *rows])])


def headlines_part() -> str:
    """Return the table of headline figures."""
    rows = [
        f"| `{headline.key}` | {headline.label} | {headline.unit} | `{reading.name}` |"
        for reading in sorted(discovery.readings().values(), key=lambda reading: (reading.order, reading.name))
        for headline in reading.headlines
    ]
    about = "`headlines.json` and `--json` have them for each arm ([schema](headlines.schema.json)). Keys are stable."
    table = "\n".join(["| key | what | unit | scenario |", "|---|---|---|---|", *rows])
    return f"### Headline figures\n\n{about}\n\n{table}"


def reference() -> str:
    """Return the whole page."""
    parts = [
        HEAD,
        "## Commands",
        *(command_part(name, command) for name, command in commands(cli)),
        "## Results",
        "`results/<run>/samples.jsonl` has a row per unit; `run.json` says how the run was made, and may have more.",
        record_part("A row", Row),
        record_part("Its pace", PaceRecord),
        record_part("run.json", Provenance),
        record_part("Its place", Place),
        headlines_part(),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
