"""Bad days: things fail in the middle of a run; it says so in one line and undoes everything."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.kernel import mounts
from bench.store.reader import load
from tests.cli.waiting import BOUND, rows, wait_for_rows
from tests.host.isolated import isolated
from tests.integration.places import require

if TYPE_CHECKING:
    from tests.cli.command import Bench

MS_BIND = 4096
LOOKUP = ["run", "--scenario", "lookup", "--volume", "ext4", "--depth", "1,2", "--budget", "4s"]


def fill(path: Path) -> None:
    """Write a file until its file system is full, which the run may be doing at the same time."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert os.statvfs(path).f_bavail == 0


@pytest.mark.root
@pytest.mark.parametrize("volume", ["ext4", "xfs"])
def test_a_work_directory_that_runs_full_does_no_harm(bench: Bench, volume: str) -> None:
    """All blocks of the image were written at the start: no other's file can take them."""
    require(volume=volume)

    def work() -> None:
        mounts.mount("none", bench.work, "tmpfs", options="size=700m")
        with bench.nothing_left(results=True):
            arguments = ["--scenario", "copy_up", "--driver", "overlay2", "--volume", volume, "--budget", "4s"]
            process = bench.start("run", *arguments, "--depth", "1", "--size", "4MiB")
            wait_for_rows(bench, process, 2)
            before = rows(bench)
            filler = bench.work / "filler"
            fill(filler)
            _, err = process.communicate(timeout=BOUND)
            filler.unlink(missing_ok=True)
            assert process.returncode == 0, err
        [run] = bench.runs()
        kept = load(run)
        assert kept.whole["complete"] is True
        assert len(kept.units) > before
        assert set(kept.units["error"]) == {""}

    isolated(work)


@pytest.mark.root
def test_the_results_run_full(bench: Bench) -> None:
    require(volume="ext4")

    def work() -> None:
        bench.results.mkdir()
        mounts.mount("none", bench.results, "tmpfs", options="size=200k")
        with bench.nothing_left(results=True):
            done = bench(*LOOKUP, "--budget", "60s", "--precision", "0.01%")
        assert done.status == 2
        assert "Traceback" not in done.err
        # The page and the pyperf files of what there is are tried as well, and say the same.
        lines = [line for line in done.err.splitlines() if line.startswith("bench: ")]
        assert all("cannot write results/" in line and "No space left on device" in line for line in lines)
        assert 1 <= len(lines) <= 2
        [run] = bench.runs()
        assert len(load(run).units) > 10
        assert load(run).whole["complete"] is False

    isolated(work)


@pytest.mark.root
def test_no_room_for_results_at_all(bench: Bench) -> None:
    require(volume="ext4")

    def work() -> None:
        bench.results.mkdir()
        mounts.mount("none", bench.results, "tmpfs", options="size=64k")
        fill(bench.results / "filler")
        with bench.nothing_left(results=True):
            bench(*LOOKUP).complains("cannot write results/", "No space left on device", alone=False)

    isolated(work)


def test_a_standard_output_that_is_full(bench: Bench) -> None:
    with open("/dev/full", "w") as full, bench.start("list", stdout=full.fileno()) as process:
        _, err = process.communicate(timeout=BOUND)
    assert err == "bench: cannot write standard output: No space left on device; make room\n"
    assert process.returncode == 2


@pytest.mark.root
def test_a_volume_too_small_for_its_stacks(bench: Bench) -> None:
    require(volume="ext4")
    code = "import bench.measure.sizing as p; p.MARGIN, p.SPARE_BYTES = 0.1, 128 << 20"
    with bench.nothing_left(results=True):
        done = bench(
            *("run", "--scenario", "copy_up", "--driver", "overlay2", "--volume", "ext4", "--budget", "20s"),
            *("--depth", "1", "--size", "128MiB"),
            code=code,
        )
    done.complains("building copy_up for ", "@ext4 failed: No space left on device", alone=False)


@pytest.mark.root
def test_a_volume_too_small_for_its_units(bench: Bench) -> None:
    require(volume="ext4")
    code = "import bench.measure.sizing as p; p.CONTAINERS, p.IN_TURNS, p.MARGIN, p.SPARE_BYTES = 0, 0, 1, 40 << 20"
    with bench.nothing_left(results=True):
        done = bench(
            *("run", "--scenario", "copy_up", "--driver", "vfs", "--volume", "ext4", "--budget", "60s"),
            *("--depth", "2", "--size", "32MiB,64MiB"),
            code=code,
        )
    done.complains("volume ext4 cannot be written any more: No space left on device", alone=False)
    [run] = bench.runs()
    assert load(run).whole["complete"] is False


FAKE = """#!/bin/sh
# Every third daemon is killed a moment after it has mounted.
count=$(($(cat {state} 2>/dev/null || echo 0) + 1))
echo $count >{state}
[ $((count % 3)) = 0 ] || exec {real} "$@"
for last; do :; done
{real} "$@" &
while kill -0 $! 2>/dev/null && ! grep -q " $last " /proc/self/mounts; do :; done
sleep 0.00{delay}
kill -9 $!
wait
echo "it had enough" >&2
exit 7
"""


@pytest.mark.root
@pytest.mark.parametrize("delay", [0, 5])
def test_a_daemon_that_dies_in_the_middle(bench: Bench, delay: int) -> None:
    require(volume="ext4", driver="fuse-overlayfs")
    programs = bench.place / "programs"
    programs.mkdir()
    fake = programs / "fuse-overlayfs"
    fake.write_text(FAKE.format(real=shutil.which("fuse-overlayfs"), state=bench.place / "count", delay=delay))
    fake.chmod(0o755)
    bench.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    with bench.nothing_left(results=True):
        done = bench(*LOOKUP, "--driver", "fuse-overlayfs", "--budget", "8s")  # so long that some die in time
    done.complains("units failed; their rows say why", alone=False)
    [run] = bench.runs()
    units = load(run).units
    errors = units[units["error"] != ""]
    assert len(errors)
    assert set(errors["driver"]) == {"fuse-overlayfs"}
    assert errors["error"].str.contains("the fuse-overlayfs daemon died").all(), list(errors["error"])
    fine = units[(units["error"] == "") & (units["driver"] == "fuse-overlayfs")]
    assert len(fine), "units after a dead daemon are measured"


@pytest.mark.root
def test_a_daemon_that_cannot_start(bench: Bench) -> None:
    require(volume="ext4", driver="fuse-overlayfs")
    programs = bench.place / "programs"
    programs.mkdir()
    (programs / "fuse-overlayfs").write_text("#!/bin/sh\necho 'fuse: it is Monday' >&2\nexit 1\n")
    (programs / "fuse-overlayfs").chmod(0o755)
    bench.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    with bench.nothing_left(results=True):
        done = bench(*LOOKUP, "--driver", "fuse-overlayfs")
    done.complains("units failed", alone=False)
    assert "daemon died (status 1): fuse: it is Monday" in done.err


@pytest.mark.root
@pytest.mark.parametrize(
    ("without", "arguments", "words"),
    [
        ("xfs", ["--volume", "xfs"], "volume xfs cannot be made here: not supported by this kernel: no xfs in"),
        ("overlay", ["--driver", "overlay2"], "arm overlay2@ext4 cannot run here: not supported by this kernel"),
    ],
)
def test_a_kernel_without_a_feature(bench: Bench, without: str, arguments: list[str], words: str) -> None:
    require(volume="xfs", driver="overlay2")
    if shutil.which("modprobe", path="/usr/sbin:/sbin"):
        pytest.skip("modprobe would say that this kernel has it")
    known = Path("/proc/filesystems").read_text().splitlines(keepends=True)
    source = bench.place / "filesystems"
    source.write_text("".join(line for line in known if line.split()[-1] != without))

    def work() -> None:
        mounts.mount(str(source), "/proc/filesystems", flags=MS_BIND)
        with bench.nothing_left():
            bench("run", *arguments).complains(words)

    isolated(work)


@pytest.mark.root
def test_a_program_that_is_not_installed(bench: Bench) -> None:
    require(volume="xfs")
    program = shutil.which("mkfs.xfs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program is not None

    def work() -> None:
        mounts.mount("/dev/null", os.path.realpath(program), flags=MS_BIND)
        with bench.nothing_left():
            done = bench("run", "--volume", "xfs")
            done.complains("volume xfs cannot be made here: the program mkfs.xfs is not installed", "xfsprogs")

    isolated(work)


@pytest.mark.root
def test_no_loop_devices(bench: Bench) -> None:
    require(volume="ext4")

    def work() -> None:
        mounts.mount("/dev/null", "/dev/loop-control", flags=MS_BIND)
        with bench.nothing_left(results=True):
            done = bench(*LOOKUP)
            done.complains("no loop device: /dev/loop-control: ", "`python -m bench doctor`", alone=False)

    isolated(work)


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["--help"], ["run", "--help"], ["doctor"]])
def test_a_standard_output_that_closes(bench: Bench, command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with bench.nothing_left(), bench.start(*command, stdout=writing) as process:
            _, err = process.communicate(timeout=BOUND)
    finally:
        os.close(writing)
    assert err == "bench: standard output was closed before everything was written\n"
    assert process.returncode == 2


@pytest.mark.root
def test_a_standard_output_that_closes_during_a_run(bench: Bench) -> None:
    require(volume="ext4")
    with bench.nothing_left(results=True):
        with bench.start("run", "--scenario", "limits", "--volume", "ext4", "--budget", "10s") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            err = process.stderr.read()
        assert process.returncode == 2, err
    assert "Traceback" not in err
    assert [line for line in err.splitlines() if line.startswith("bench: ")] == [
        "bench: standard output was closed before everything was written"
    ]
    [run] = bench.runs()
    assert load(run).whole["complete"] is True
