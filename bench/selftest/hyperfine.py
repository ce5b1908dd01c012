"""hyperfine on a scenario's operation: it times a whole program that does the operation, on the same fresh containers.

The program is the C reference. hyperfine runs it once per unit, because each run needs a container of its own; its
users write a --prepare command for this.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.host.answers import answered, ended
from bench.host.packages import find_program, install_hint
from bench.model import Support
from bench.reading.laws import Metric
from bench.scenario import reference
from bench.scenario.contract import Scenario, Unit

__all__ = ["METRIC", "NAME", "probe", "timed"]

NAME = "hyperfine"
METRIC = Metric("program", "a program that does the operation, from its start to its end")
NANOSECONDS = 1e9


def probe(tools: Mapping[str, str]) -> Support:
    """Tell whether hyperfine can run here."""
    if find_program(NAME) is None:
        return Support.no("hyperfine is not installed", install_hint(NAME))
    if reference.NAME not in tools:
        return Support.no("no C compiler made the program that it would time", install_hint("cc"))
    return Support.yes()


def timed(scenario: Scenario) -> Scenario:
    """Return `scenario` with its compared operation done by a program that hyperfine times, as metric `program`."""
    program = scenario.program
    if program is None:
        raise BenchError(f"scenario {scenario.name} has no program that does what is compared")
    reading = replace(scenario.reading, metrics=(METRIC,))
    return replace(scenario, reading=reading, operate=_operation(program), prove=_succeeded)


def _operation(arguments: Callable[[Unit], tuple[str, ...]]) -> Callable[[Unit], None]:
    def operate(unit: Unit) -> None:
        command = shlex.join([unit.tools[reference.NAME], *arguments(unit)])
        environment = {**os.environ, reference.DELAY: str(unit.params.get("delay", 0))}
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            export = Path(directory, "times.json")
            completed = subprocess.run(
                [NAME, "--shell=none", "--runs=1", "--style=none", f"--export-json={export}", command],
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            ended(NAME, completed)
            text = export.read_text(encoding="utf-8", errors="replace") if export.exists() else ""
            times = answered(NAME, text, _times, said=completed.stderr)
        unit.record(METRIC.name, [NANOSECONDS * time for time in times])

    return operate


def _times(document: Any) -> list[float]:
    """Return the seconds of each run of the program; raises ValueError if there is none."""
    [result] = document["results"]
    times = [float(time) for time in result["times"]]
    if not times:
        raise ValueError("no run")
    return times


def _succeeded(unit: Unit) -> None:
    unit.require_proof(
        METRIC.name in unit.metrics, "the program ended with status 0, which it does where every call succeeded"
    )
