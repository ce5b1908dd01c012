"""What the harness itself takes: a deep stack, and the runner around a sample; no test asserts a time."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bench import discovery
from bench.model import Temperature
from tests.cli.command import ROOT
from tests.integration.places import require
from tests.measure.fakes import make_cell, make_runner, recording_scenario
from tests.perf.stacks import FILES, LAYERS, READY, layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def builder(place: Path) -> Iterator[Callable[[str], str]]:
    """A process with a volume of its own; call the value with a command to get its answer."""
    command = [sys.executable, "-m", "tests.perf.stacks", str(place)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sending, answers = process.stdin, process.stdout

        def ask(text: str) -> str:
            sending.write(f"{text}\n")
            sending.flush()
            return answers.readline().strip()

        assert answers.readline().strip() == READY
        yield ask
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.root
@pytest.mark.slow
def test_a_stack_of_124_layers_of_1000_files(benchmark: Any, place: Path) -> None:
    require(volume="ext4")
    with builder(place) as ask:
        empty = int(ask("count"))

        def again() -> None:
            assert ask("remove") == "removed"

        assert benchmark.pedantic(ask, args=("build",), setup=again, rounds=3, warmup_rounds=1) == "built"
        want = discovery.driver("overlay2")().footprint(layers(), (LAYERS,), discovery.volume("ext4"))
        assert want.inodes > LAYERS * FILES
        assert int(ask("count")) - empty == want.inodes


@pytest.mark.parametrize("temperature", list(Temperature))
def test_a_sample_of_nothing(benchmark: Any, monkeypatch: pytest.MonkeyPatch, temperature: Temperature) -> None:
    log: list[str] = []
    cell = make_cell(temperature)
    runner, samples, _ = make_runner(monkeypatch, log, [cell])
    scenario = recording_scenario(log)
    benchmark(runner.observe, scenario, cell, 0)
    assert samples
    assert {sample.error for sample in samples} == {""}
