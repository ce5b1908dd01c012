"""A guest is booted, and what it measured is a run like any other, in instructions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import pytest

from bench.errors import BenchError
from bench.guest import boots, image, kernels, machine
from bench.guest.kernels import Kernel
from bench.measure.request import Request
from bench.measure.workshop import RunContext
from bench.store.reader import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.store.reader import Run
    from tests.guest.conftest import Boot

T = TypeVar("T")
REQUEST = Request(scenarios=("lookup", "copy_up"), volumes=("ext4",), depths=(1, 4), sizes=(4096,))
COMMAND = ("--scenario", "lookup,copy_up", "--volume", "ext4", "--depth", "1,4", "--size", "4KiB", "--boots", "1")


def here(version: str) -> Kernel:
    """Return a kernel that was fetched; tests have no network."""
    found = kernels.find(version)
    if found is None:
        pytest.skip(f"`python -m bench kernel fetch {version}` was not run")
    return found


def measured(directory: Path, kernel: Kernel, *rest: str) -> tuple[Run, dict[str, Any]]:
    command = [sys.executable, "-m", "bench", "run", "--kernel", kernel.release, *COMMAND, *rest, "--json"]
    done = subprocess.run(
        [*command, "--results", directory, "--reports", directory], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return load(next(directory.glob("*/run.json")).parent), json.loads(done.stdout)


def metrics(run: Run) -> list[tuple[str, ...]]:
    rows = (json.loads(line) for line in run.samples.read_text().splitlines())
    return sorted(tuple(map(str, (row["sequence"], row["arm"], row["depth"], row["metrics"]))) for row in rows)


@pytest.mark.xdist_group("guests")
def test_a_guest_measures_in_instructions(boot: Boot, kernel: Kernel) -> None:
    provenance = boot.run.provenance
    assert provenance.complete
    place = provenance.place
    assert place is not None
    assert (place.kernel, place.clock, place.boots) == (kernel.release, "instructions", 1)
    assert provenance.host["kernel"] == kernel.release
    assert {row["error"] for row in boot.rows} == {""}
    assert {"native@ext4", "overlay2@ext4"} <= set(boot.run.arms)
    assert {row["clock"] for row in boot.rows} == {"instructions"}
    hot = [row for row in boot.rows if (row["scenario"], row["temperature"]) == ("lookup", "hot")]
    assert all(float(row["metrics"]["top"]) > 1000 for row in hot if "top" in row["metrics"])
    assert {figure["unit"] for figure in boot.told["headlines"]} <= {"instructions", "×", "1", "bytes"}
    page = next(boot.directory.glob("*.html")).read_text()
    assert "instr." in page
    assert not re.findall(r"\d [nµm]s\b", page.partition("<script")[0])


@pytest.mark.boots
@pytest.mark.xdist_group("guests")
def test_two_runs_with_one_seed_are_equal_to_the_instruction(tmp_path: Path, kernel: Kernel) -> None:
    first, second = (measured(tmp_path / name, kernel, "--seed", "5")[0] for name in ("one", "other"))
    assert metrics(first) == metrics(second)


def context(directory: Path) -> RunContext:
    from bench.commands.console import Console

    return RunContext(directory, directory / "results", ("test",), lambda: Console(1.0, quiet=True), 0.0)


@pytest.mark.xdist_group("guests")
def test_a_guest_that_panics_is_one_line_with_its_last_words(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "make", lambda *rest: b"no archive")
    monkeypatch.setattr(machine, "KERNEL_OPTIONS", ("console=ttyS0", "panic=-1"))
    with pytest.raises(BenchError, match=r"ended in boot 1: .*Kernel panic - not syncing: .*root fs") as raised:
        boots.execute(boots.GuestRequest(REQUEST, 1), kernel, context(tmp_path))
    assert "\n" not in str(raised.value)
    [directory] = (tmp_path / "results").iterdir()
    assert load(directory).provenance.complete is False


@pytest.mark.xdist_group("guests")
def test_a_guest_that_says_nothing_is_ended(tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "make", lambda *rest: b"")
    monkeypatch.setattr(machine, "KERNEL_OPTIONS", ("console=ttyS0", "quiet", "panic=0"))
    monkeypatch.setattr(machine, "SILENCE", 3.0)
    with pytest.raises(BenchError, match="says nothing any more"):
        boots.execute(boots.GuestRequest(REQUEST, 1), kernel, context(tmp_path))


@pytest.mark.xdist_group("guests")
def test_a_kill_leaves_no_guest(tmp_path: Path, kernel: Kernel) -> None:
    command = [sys.executable, "-m", "bench", "run", "--kernel", kernel.release, *COMMAND, "--results", tmp_path]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL) as parent:
        guest = wait_for(lambda: guest_of(parent.pid))
        parent.kill()
    wait_for(lambda: not guest.is_running() or guest.status() == psutil.STATUS_ZOMBIE)


def guest_of(parent: int) -> psutil.Process | None:
    """Return the guest that a process started, and not the QEMU that was asked for its version."""
    for child in psutil.Process(parent).children():
        with suppress(psutil.NoSuchProcess):
            if "-icount" in child.cmdline():
                return child
    return None


def wait_for(found: Callable[[], T | None], seconds: float = 60.0) -> T:
    """Return what `found` returns, as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_an_engine_that_needs_more_than_programs_is_refused(tmp_path: Path) -> None:
    absent = Kernel("6.1.0", tmp_path / "vmlinuz", tmp_path, "nowhere")
    with pytest.raises(BenchError, match="podman/overlay cannot be measured in a guest: it needs more"):
        boots.execute(boots.GuestRequest(replace(REQUEST, drivers=("podman/overlay",)), 1), absent, context(tmp_path))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (replace(REQUEST, drivers=("overlay2,native",)), "'native' in 'overlay2,native' is not option=value"),
        (replace(REQUEST, drivers=("overlay2,absent=on",)), "unknown option of overlay2 'absent'"),
        (replace(REQUEST, scenarios=("look-up",)), "unknown scenario 'look-up'"),
        (replace(REQUEST, volumes=("ext5",)), "unknown volume 'ext5'"),
    ],
)
def test_a_wrong_word_is_told_before_anything_is_booted(tmp_path: Path, wrong: Request, words: str) -> None:
    absent = Kernel("6.1.0", tmp_path / "vmlinuz", tmp_path, "nowhere")
    with pytest.raises(BenchError, match=words):
        boots.execute(boots.GuestRequest(wrong, 1), absent, context(tmp_path))


def test_without_qemu_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_program", lambda name: None)
    with pytest.raises(BenchError, match=r"qemu-system-x86_64 is not installed; apt-get install qemu-system-x86"):
        machine.VirtualMachine(tmp_path, 0, 1, 0, 64)


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.boots
@pytest.mark.xdist_group("guests")
@pytest.mark.parametrize(
    ("scenario", "a", "b", "word", "ratio"),
    [
        ("lookup", "overlay2@ext4,depth=64", "overlay2@ext4,depth=65", "slower", 1.01),
        ("copy_up", "overlay2@ext4,size=1048576", "overlay2@ext4,size=1058816", "slower", 1.005),
        ("copy_up", "overlay2@ext4", "overlay2,volatile=on@ext4", "faster", 0.2),
        ("lookup", "overlay2@xfs", "overlay2@xfs", "same", 1.0),
    ],
)
def test_one_boot_a_side_tells_a_small_change(
    tmp_path: Path, kernel: Kernel, scenario: str, a: str, b: str, word: str, ratio: float
) -> None:
    arms = [f"{arm},kernel={kernel.release}" for arm in (a, b)]
    done = bench("ab", *arms, "--scenario", scenario, "--boots", "1", "--json", "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)["comparisons"]
    assert found["word"] == word
    assert found["ratio"] >= ratio
    assert word != "same" or found["counts"]["a"] == found["counts"]["b"]


@pytest.mark.boots
@pytest.mark.xdist_group("guests")
def test_a_gate_on_a_kernel_names_what_takes_more(tmp_path: Path, kernel: Kernel) -> None:
    """A later kernel takes fewer instructions for copying data on ext4, so the earlier one stands for a slower one."""
    later, baseline = here("7.2"), tmp_path / "exact.json"
    options = ("--baseline", baseline, "--results", tmp_path)
    made = bench("gate", "--kernel", later.release, "--scenario", "copy_up", "--volume", "ext4", "--update", *options)
    assert made.returncode == 0, made.stderr
    again = bench("gate", "--kernel", later.release, *options)
    assert again.returncode == 0, again.stdout + again.stderr
    slower = bench("gate", "--kernel", kernel.release, *options)
    assert slower.returncode == 1
    assert "first write, 16 MiB file, overlay2@ext4" in slower.stdout
    assert kernel.release in slower.stdout
    (tmp_path / "bzImage").write_bytes(kernel.image.read_bytes()[:0x20000])
    broken = bench("gate", "--kernel", tmp_path / "bzImage", *options)
    assert broken.returncode == 2
    assert broken.stderr.strip().startswith("bench: the guest with")
