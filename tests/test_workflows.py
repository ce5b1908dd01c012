"""What a user copies and reads of CI is true of the code: sessions, commands, options, settings."""

from __future__ import annotations

import ast
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from bench import discovery
from bench.cli import cli
from bench.commands.gate import BUDGET
from bench.gate.config import GateConfig, Settings, load_config
from bench.measure.arms import parse_arm

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


def steps(text: str) -> list[dict[str, Any]]:
    """Return the steps of a workflow's jobs."""
    told = yaml.safe_load(text)
    return [step for job in told["jobs"].values() for step in job["steps"]]


def runs(text: str) -> Iterator[str]:
    """Yield the commands of a workflow, and of its example in comments, as if that were none."""
    uncommented = re.sub(r"^(\s*)# (- name| {2}|$)", r"\1\2", text, flags=re.MULTILINE)
    yield from (step["run"] for step in steps(uncommented) if "run" in step)


def quoted(text: str) -> Iterator[str]:
    """Yield the commands of this suite in the code blocks of a page."""
    for block in re.findall(r"^```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if "noxw " in line or "python -m bench" in line:
                yield line.strip().removeprefix("- ")


def commands() -> list[str]:
    whole = [*runs(WORKFLOW.read_text()), *runs(CHECKS.read_text()), *quoted(GUIDE.read_text())]
    return [command for command in whole if "gate" in command or "bench" in command]


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
    assert len(list(runs(WORKFLOW.read_text()))) == 2, "the gate, and the variant in comments"
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
    told = {word for command in runs(CHECKS.read_text()) for word in command.partition(" -- ")[0].split()}
    assert {"lint", "typecheck", "tests", "gate"} <= told
    assert {"lint", "typecheck", "tests", "gate"} <= sessions()


@pytest.mark.parametrize("workflow", [WORKFLOW, CHECKS], ids=lambda path: path.name)
def test_a_workflow_runs_for_changes_and_has_steps(workflow: Path) -> None:
    told = yaml.safe_load(workflow.read_text())
    assert set(told[True]) == {"pull_request", "push"}, "`on` is a boolean in YAML 1.1"
    assert all({"uses", "run"} & step.keys() for step in steps(workflow.read_text()))


def test_the_workflow_runs_the_front_door() -> None:
    assert os.access(ROOT / "noxw", os.X_OK)
    [version] = [step["with"]["python-version"] for step in steps(WORKFLOW.read_text()) if "setup-python" in str(step)]
    assert tuple(map(int, version.split("."))) >= (3, 11)
    assert "--junit gate.xml" in WORKFLOW.read_text()
    [kept] = [step["with"]["path"] for step in steps(WORKFLOW.read_text()) if "upload-artifact" in str(step)]
    assert kept.split() == ["gate.xml", "gate.md", "results/"]


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (.*?) \|", GUIDE.read_text(), re.MULTILINE)
    told = {key: value.strip("`") for key, value in rows}
    keys = {key.partition(".")[0] for key in told}
    assert keys == set(Settings.__struct_encode_fields__)
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


@pytest.mark.xdist_group("groups")
def test_tests_of_one_group_run_in_one_process(request: pytest.FixtureRequest) -> None:
    """Else they meet in /tmp and wait for locks: pytest-xdist 3.8 ignores its marks with pytest 9.2, silently."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("they run in this process alone")
    assert request.node.nodeid.endswith("@groups"), f"pytest-xdist does not group tests for pytest {pytest.__version__}"
