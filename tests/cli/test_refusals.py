"""What is refused at once is refused before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import ROOT

HEAVY = ("numpy", "pandas", "scipy", "plotly")
SCRIPT = """
import sys
from bench.cli import main
sys.argv = ["bench", *{arguments!r}]
try:
    main()
except SystemExit as ended:
    print(ended.code, *(name for name in {heavy!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["ab", "overlay2", "x"],
        ["ab", "overlay2@ext4", "overlay9@ext4"],
        ["report", "nothing"],
        ["gate", "nothing"],
        ["run", "--resume", "nothing"],
    ],
    ids=" ".join,
)
def test_a_refusal_imports_nothing_heavy(arguments: list[str]) -> None:
    script = SCRIPT.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "2\n", done
    assert done.stderr.count("\n") == 1
