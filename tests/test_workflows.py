"""What a user copies and reads of CI is true of the code: sessions, commands, options, settings."""

from __future__ import annotations

import ast
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bench import discovery
from bench.cli import cli
from bench.commands.gate import BUDGET
from bench.gate.config import KEYS, GateConfig, load_config
from bench.measure.plan import parse_arm

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / "docs" / "examples" / "layer-gate.yml"
CHECKS = ROOT / ".github" / "workflows" / "checks.yml"
GUIDE = ROOT / "docs" / "ci.md"
SESSION = "-s"


def sessions() -> set[str]:
    """Return the names of the sessions of the noxfile."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    functions = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
    return {one.name for one in functions if any("nox.session" in ast.unparse(by) for by in one.decorator_list)}


def folded(text: str) -> Iterator[str]:
    """Yield the commands of a workflow, in comments too: what is indented below each `run: >-`."""
    lines = [re.sub(r"^(\s*)# ?", r"\1", line) for line in text.splitlines()]
    for start, line in enumerate(lines):
        if line.strip().endswith("run: >-"):
            indent = len(line) - len(line.lstrip(" -"))
            inner = []
            for other in lines[start + 1 :]:
                if len(other) - len(other.lstrip()) <= indent - 1 or not other.strip():
                    break
                inner.append(other.strip())
            yield " ".join(inner)


def quoted(text: str) -> Iterator[str]:
    """Yield the commands of this suite in the code blocks of a page."""
    for block in re.findall(r"^```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if "noxw " in line or "python -m bench" in line:
                yield line.strip().removeprefix("- ")


def commands() -> list[str]:
    return [*folded(WORKFLOW.read_text()), *folded(CHECKS.read_text()), *quoted(GUIDE.read_text())]


def parsed(command: str) -> tuple[str, list[str]]:
    """Return the command of `python -m bench` that a line means, and its arguments."""
    words = shlex.split(command, comments=True)
    if SESSION in words:
        place = words.index(SESSION)
        assert words[place - 1].endswith("noxw")
        assert words[place + 1] in sessions()
        assert words[place + 2 : place + 3] in ([], ["--"]), command
        return words[place + 1], words[place + 3 :]
    place = words.index("bench")
    assert words[place - 2 : place] == ["python", "-m"]
    return words[place + 1], words[place + 2 :]


def test_there_are_commands_to_check() -> None:
    assert len(list(folded(WORKFLOW.read_text()))) == 2, "the gate, and the variant in comments"
    assert len(commands()) >= 9


@pytest.mark.parametrize("command", commands())
def test_every_command_exists_with_its_options_and_arms(command: str) -> None:
    name, arguments = parsed(command)
    known = cli.commands[name]
    context = click.Context(known)
    parser = known.make_parser(context)
    values, rest, _ = parser.parse_args(list(arguments))
    arms = values.get("arms") or (rest if name == "ab" else [])
    for arm in arms:
        assert parse_arm(os.path.expandvars(arm))[0].name
    assert not [word for word in rest if word.startswith("-")]


def test_the_repositorys_own_workflow_runs_what_a_change_must_pass() -> None:
    """And no more: the example would fail here, for there is no baseline."""
    assert sorted(path.name for path in CHECKS.parent.iterdir()) == ["checks.yml"]
    ran = re.findall(r"noxw -s ((?:\w+ ?)+)", CHECKS.read_text())
    told = {session for line in ran for session in line.split()}
    assert told == {"lint", "typecheck", "tests", "gate"}
    assert told <= sessions()


@pytest.mark.parametrize("workflow", [WORKFLOW, CHECKS], ids=lambda path: path.name)
def test_a_workflow_can_be_read_as_yaml(workflow: Path) -> None:
    """As far as that can be told without a parser: indentation by spaces, keys, items and comments."""
    text = workflow.read_text()
    assert "\t" not in text
    assert text.endswith("\n")
    deeper = -1  # than this: inside of a block of text
    for line in text.splitlines():
        assert line == line.rstrip()
        indent = len(line) - len(line.lstrip())
        if not line or line.lstrip().startswith("#") or (deeper >= 0 and indent > deeper):
            continue
        assert indent % 2 == 0, line
        assert re.fullmatch(r" *(- )?[\w-]+:( \S.*)?", line), line
        deeper = indent if re.search(r": [|>]-?$", line) else -1


def test_the_workflow_runs_the_front_door() -> None:
    assert os.access(ROOT / "noxw", os.X_OK)
    python = re.search(r'python-version: "3\.(\d+)"', WORKFLOW.read_text())
    assert python is not None
    assert int(python[1]) >= 11
    assert "--junit gate.xml" in WORKFLOW.read_text()
    [files] = re.findall(r"path: \|\n((?:            \S+\n)+)", WORKFLOW.read_text())
    assert files.split() == ["gate.xml", "gate.md", "results/"]


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (.*?) \|", GUIDE.read_text(), re.MULTILINE)
    told = {key: value.strip("`") for key, value in rows}
    keys = {key.partition(".")[0] for key in told}
    assert keys == set(KEYS)
    default = GateConfig()
    assert float(told["alpha"]) == default.alpha
    assert float(told["delta"]) == default.delta
    assert told["inconclusive"] == f'"{default.inconclusive}"'
    assert told["baseline"] == f'"{default.baseline}"'
    assert told["stored-times"] == f'"{default.stored_times}"'
    assert told["budget"] == f'"{BUDGET}"'
    assert told["compare"] == str(list(default.compare))
    assert default.tolerance_of("any", "bytes") == float(told['tolerance."NAME.COUNTER"'])


def test_the_settings_of_the_example_are_taken(tmp_path: Path) -> None:
    [example] = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert tomllib.loads(example)
    path = tmp_path / "pyproject.toml"
    path.write_text(example)
    config = load_config(path)
    config.check_scenarios(discovery.scenarios())
    assert [parse_arm(arm)[0].driver for one in config.compare for arm in (one.a, one.b)] == ["overlay2"] * 4
    assert not config.blocks("whiteouts")
