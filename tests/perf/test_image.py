"""A user's image: laying it out beside `docker load`, and a command of it beside what the law of lookups says of it."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench import discovery
from bench.drivers.overlay2 import Overlay2
from bench.engines import images
from bench.engines.docker import Docker
from bench.host.packages import find_program
from bench.image import source
from bench.layers.content import Copy, Directory, File
from bench.model import Temperature
from bench.reading.analysis import Analysis
from bench.stats.compared import compared
from bench.stats.paired import Word
from bench.store.reader import load
from tests.host.isolated import isolated
from tests.integration.places import made, require

if TYPE_CHECKING:
    from bench.layers.content import Entry
    from bench.store.reader import Run

LAYERS, FILES, BYTES = 30, 500, 68_000  # 1 GB
ROUNDS = 3
ROOT = Path(__file__).resolve().parents[2]
# Layers, paths that a command looks up, names in each other layer as of `lookup`, directories that it is the first in.
DEEP, LOOKED_UP, NAMES, DIRECTORIES = 60, 5_000, 8, 2
ALL = "/busybox sh -c '/busybox stat -c %s $(/busybox cat /paths)'"


def layers() -> list[list[Entry]]:
    return [
        [Directory("every"), *(File(f"every/{number}-{index}", BYTES) for index in range(FILES))]
        for number in range(LAYERS)
    ]


@pytest.mark.root
@pytest.mark.slow
def test_an_image_of_a_gigabyte(benchmark: Any, place: Path) -> None:
    """The fastest of our rounds takes no longer than the fastest of docker's; neither waits for the device."""
    if benchmark.disabled:
        pytest.skip("its answer is a time; `./noxw -s perf` asks for it")
    require(driver="docker/overlay2")
    archive = place / "image.tar"
    images.save(layers(), [LAYERS], 1, archive)

    def work() -> None:
        times: dict[str, list[float]] = {"docker": [], "ours": []}
        with made("ext4", place, size=5 << 30, inodes=80_000) as volume:
            engine = Docker(volume.path / "docker", "overlay2")
            engine.home.mkdir()
            engine.start()
            try:
                for _ in range(ROUNDS):
                    times["docker"].append(timed(lambda: engine.load(archive), volume))
                    engine._docker("rmi", images.image_name(LAYERS), action="remove an image")
                    times["ours"].append(timed(lambda: lay_out(archive, place, volume.path / "ours"), volume))
                    shutil.rmtree(volume.path / "ours")
            finally:
                engine.stop()
        print(times)
        assert min(times["ours"]) <= min(times["docker"]), times

    benchmark.pedantic(isolated, args=(work,), rounds=1)


def timed(operation: Any, volume: Any) -> float:
    volume.sync()
    start = time.perf_counter()
    operation()
    return time.perf_counter() - start


def lay_out(archive: Path, place: Path, home: Path) -> None:
    with source.opened(str(archive), place) as image:
        entries = [layer.entries for layer in image.layers]
        Overlay2().build(home, entries, (len(entries),), 0)


@pytest.mark.root
@pytest.mark.slow
def test_a_command_takes_what_its_lookups_take(benchmark: Any, place: Path) -> None:
    """In 60 layers more than in one, as `lookup` has it, measured before and after; and `true` takes the same.

    That is 5,000 lookups of a file in the lowest layer, and the first access in two directories, the root and theirs.
    """
    if benchmark.disabled:
        pytest.skip("its answer is a time; `./noxw -s perf` asks for it")
    archive = place / "deep.tar"
    images.save(deep(place), [DEEP], 1, archive)
    runs: dict[str, list[Run]] = {"lookup": [], "all": [], "true": []}

    def work() -> None:
        for number in range(2):
            survey = ("run", "--scenario", "lookup", "--driver", "overlay2", "--depth", f"1,16,32,48,{DEEP}")
            runs["lookup"].append(bench(place / f"lookup-{number}", *survey, "--budget", "40s"))
            if not number:
                runs["all"].append(bench(place / "all", "image", str(archive), "--run", ALL, "--budget", "100s"))
        runs["true"].append(bench(place / "true", "image", str(archive), "--run", "/busybox true", "--budget", "60s"))

    benchmark.pedantic(work, rounds=1)
    for temperature in (Temperature.NEW, Temperature.COLD):
        said = [predicted(run, temperature) for run in runs["lookup"]]
        low, high = min(one[0] for one in said), max(one[1] for one in said)
        command = answer(runs["all"][0], temperature)
        assert command.times is not None
        more, less = command.times
        value, half = more.value - less.value, math.hypot(more.high - more.low, less.high - less.low) / 2
        print(
            f"{temperature.value}: {command.sentence()}; {text(value - half, value + half)} more, as {text(low, high)} "
            f"of lookups ({', '.join(text(*one) for one in said)})"
        )
        assert command.verdict.word is Word.FASTER
        assert value - half <= high
        assert low <= value + half
        nothing = answer(runs["true"][0], temperature)
        print(f"{temperature.value}: true: {nothing.sentence()}")
        assert nothing.verdict.word in {Word.SAME, Word.INCONCLUSIVE}


def deep(place: Path) -> list[list[Entry]]:
    """Return layers as of scenario lookup, with paths to look up and a program that does it in the lowest."""
    program = find_program("busybox")
    if program is None:
        pytest.skip("busybox is not installed; apt-get install busybox-static")
    paths = place / "paths"
    paths.write_text("".join(f"every/0-{number}\n" for number in range(LOOKED_UP)))
    made: list[list[Entry]] = [
        [Directory("every"), *(File(f"every/{layer}-{number}", 0) for number in range(NAMES if layer else LOOKED_UP))]
        for layer in range(DEEP)
    ]
    made[0] += [
        Copy("busybox", os.path.getsize(program), mode=0o755, source=Path(program)),
        Copy("paths", paths.stat().st_size, source=paths),
    ]
    return made


def bench(results: Path, *arguments: str) -> Run:
    """Run a command on ext4, in a process that fills its volumes and waits for quiet CPUs; return its run."""
    places = ("--results", str(results), "--reports", str(results))
    command = (sys.executable, "-m", "bench", *arguments, "--volume", "ext4", *places)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    [found] = results.glob("*/run.json")
    return load(found.parent)


def predicted(run: Run, temperature: Temperature) -> tuple[float, float]:
    """Return the interval of what the lookups of the command take in the layers above the lowest."""
    analysis = Analysis(run, discovery.readings())
    [arm] = [arm for arm in analysis.arms("lookup") if arm.driver == "overlay2"]
    law = analysis.law("lookup", "bottom", "depth", arm, temperature=temperature.value)
    firsts = [analysis.cell("lookup", arm, "first", depth=depth, temperature=temperature.value) for depth in (DEEP, 1)]
    assert law is not None
    assert None not in firsts
    first = sum(sign * one.value for sign, one in zip((1, -1), firsts, strict=True) if one is not None)
    slope = law.line.slope
    times = LOOKED_UP * (DEEP - 1)
    return times * slope.low + DIRECTORIES * first, times * slope.high + DIRECTORIES * first


def answer(run: Run, temperature: Temperature) -> Any:
    """Return the comparison of the command with the squashed image."""
    records = run.provenance.comparisons or []
    [found] = [
        one
        for one, record in zip(compared(run), records, strict=True)
        if record.metric == "run" and record.b.depth == 1 and record.a.temperature is temperature
    ]
    return found


def text(low: float, high: float) -> str:
    return f"{low / 1e6:.1f} to {high / 1e6:.1f} ms"
