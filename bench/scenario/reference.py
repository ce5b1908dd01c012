"""The C reference: compiling it if there is a compiler, and running it on a unit's container."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.model import Support

__all__ = ["DELAY", "NAME", "compile_reference", "run"]

NAME = "reference"
DELAY = "REFERENCE_DELAY"  # environment variable: nanoseconds of a busy-wait after each access or open
SOURCE = Path(__file__).with_name("reference.c")


def compile_reference(directory: Path) -> tuple[str, Support]:
    """Compile into `directory`; return the path and support, or an empty path and the reason."""
    compiler = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    if compiler is None:
        return "", Support.no("no C compiler (cc, gcc or clang) is installed", "apt-get install gcc libc6-dev")
    target = directory / NAME
    command = [compiler, "-O2", "-o", str(target), str(SOURCE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        errors = result.stderr.strip().splitlines()
        return "", Support.no(
            f"{compiler} failed: {errors[0] if errors else result.returncode}", "apt-get install gcc libc6-dev"
        )
    return str(target), Support.yes()


def run(program: str, mode: str, argument: str, paths: Sequence[str]) -> list[float]:
    """Run the reference on this process's CPU; return nanoseconds per path, or for each pass the mean per path."""
    result = subprocess.run([program, mode, argument, *paths], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BenchError(f"the C reference failed with status {result.returncode}", why=result.stderr.strip())
    return [float(line) for line in result.stdout.split()]
