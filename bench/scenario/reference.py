"""The C reference: compile it where a compiler is present, and run it on a unit's container."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.model import Support

__all__ = ["DELAY", "NAME", "compile_reference", "run"]

NAME = "reference"
DELAY = "REFERENCE_DELAY"  # in its environment: nanoseconds that it busy-waits after each access or open
SOURCE = Path(__file__).with_name("reference.c")


def compile_reference(directory: Path) -> tuple[str, Support]:
    """Compile into `directory`; return (path, Supported) or ("", the reason why not)."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        return "", Support.no("no C compiler (cc, gcc or clang) is installed", "apt-get install gcc libc6-dev")
    target = directory / NAME
    command = [compiler, "-O2", "-o", str(target), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return "", Support.no(
            f"{compiler} failed: {said[0] if said else done.returncode}", "apt-get install gcc libc6-dev"
        )
    return str(target), Support.yes()


def run(program: str, mode: str, argument: str, paths: Sequence[str]) -> list[float]:
    """Run the reference (it inherits this process's CPU); return nanoseconds per path, or of each pass per path."""
    done = subprocess.run([program, mode, argument, *paths], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the C reference failed with status {done.returncode}", why=done.stderr.strip())
    return [float(line) for line in done.stdout.split()]
