"""Every help text, as it prints: examples a line each, and no mark-up."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from bench.cli import cli

COMMANDS = [
    (),
    *((name,) for name in sorted(cli.commands)),
    *(
        (name, below)
        for name, group in cli.commands.items()
        if isinstance(group, click.Group)
        for below in group.commands
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "bench")
def test_examples_are_lines_of_their_own(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, [*command, "--help"], prog_name="python -m bench")
    assert done.exit_code == 0
    assert "\\b" not in done.output
    assert "\b" not in done.output
    examples = [line for line in done.output.splitlines() if "python -m bench" in line and not line.startswith("Usage")]
    assert all(line.startswith("    python -m bench ") for line in examples)
    assert all(line.count("python -m bench") == 1 for line in examples)
    if "Examples:" in done.output:
        assert examples
    assert not any(line.endswith("...") for line in done.output.splitlines() if not line.startswith("Usage")), "cut off"
