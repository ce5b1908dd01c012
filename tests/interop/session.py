"""Run pytest as a user does whose environment has the suite, and look at what it leaves."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cli.command import ROOT, Bench, Done

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Session", "counted", "documented", "options"]

BLOCK = re.compile(r'^```python\n("""(test_\w+\.py)""".*?)^```$', re.MULTILINE | re.DOTALL)


def options() -> list[str]:
    """Return what makes pytest load the plugin, where it is not installed."""
    entries = importlib.metadata.entry_points(group="pytest11")
    installed = any(entry.value == "bench.pytest_plugin" for entry in entries)
    quick = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # importing Hypothesis takes half of the time
    return [*quick, *([] if installed else ["-p", "bench.pytest_plugin"])]


def documented() -> dict[str, str]:
    """Return the test files of docs/pytest.md by name."""
    text = (ROOT / "docs/pytest.md").read_text(encoding="utf-8")
    return {name: code for code, name in BLOCK.findall(text)}


def counted(done: Done) -> dict[str, int]:
    """Return pytest's own counts: {"passed": 2, "skipped": 1}."""
    last = [line for line in done.out.splitlines() if re.search(r" in [\d.]+s", line)][-1]
    return {
        word.rstrip("s") if word == "errors" else word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last)
    }


# As tests/conftest.py does: volumes stay sparse, for no test asserts a time.
SPARSE = """
from bench.kernel import loop

loop.fill = lambda descriptor, size: None
"""


@dataclass
class Session(Bench):
    """Sessions of pytest in `home`, with its own temporary directories in the same place."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.home = self.place / "home"
        self.home.mkdir()
        self.write(conftest=SPARSE)
        self.environment = {"PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1", **self.environment}

    def write(self, **files: str) -> None:
        """Write test files by their names without `.py`."""
        for name, code in files.items():
            (self.home / f"{name}.py").write_text(code, encoding="utf-8")

    def command(self, *arguments: str, code: str = "") -> list[str]:
        where = ["--rootdir", str(self.home), "--basetemp", str(self.home / "tmp"), str(self.home)]
        return [sys.executable, "-m", "pytest", "-rA", "--color=no", *options(), *arguments, *where]

    def variables(self) -> Mapping[str, str]:
        outer = {name: told for name, told in super().variables().items() if not name.startswith("PYTEST_XDIST_")}
        return {**outer, "COLUMNS": "300"}

    def temporary(self) -> list[Path]:
        """Return the files below pytest's directories for stacks, of which there should be none."""
        return [path for top in self.home.glob("tmp/layers*") for path in top.rglob("*")]
