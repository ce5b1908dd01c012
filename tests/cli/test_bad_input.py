"""Bad input: one clear line, exit status 2, and everything as before."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bench.kernel import mounts
from bench.measure.session import LOCK_NAME
from bench.store.records import SCHEMA
from tests.builders import make_sample, write_run
from tests.host.isolated import isolated
from tests.integration.places import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Bench

MS_RDONLY = 1
ROOT_ONLY = pytest.mark.root


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--scenario", "copyup"], ["unknown scenario 'copyup'; did you mean 'copy_up'?"]),
        (["run", "--scenario", "lookup,zzz"], ["unknown scenario 'zzz'; known: choice, commit, copy_up,"]),
        (["run", "--driver", "overlay22"], ["unknown driver 'overlay22'; did you mean 'overlay2'?"]),
        (["run", "--volume", "exts4"], ["unknown volume 'exts4'; did you mean 'ext4'?"]),
        (["run", "--driver", "overlay2,metacop=on"], ["unknown option of overlay2 'metacop'", "'metacopy'?"]),
        (["run", "--driver", "overlay2,metacopy=maybe"], ["metacopy='maybe' is not known; one of: on, off"]),
        (["run", "--driver", "overlay2,metacopy"], ["is not option=value; write it like overlay2,metacopy=on"]),
        (["run", "--profile", "quik"], ["unknown profile 'quik'; did you mean 'quick'?"]),
        (["run", "--budget", "soon"], ["'soon' is not a time; write it like 90s, 5m or 1h"]),
        (["run", "--depth", "none"], ["'none' is not a depth"]),
        (["run", "--depth", "0"], ["'0' is not a depth"]),
        (["run", "--depth", "²"], ["'²' is not a depth"]),
        (["run", "--size", "4X"], ["'4X' is not a size; write it like 4096"]),
        (["run", "--seed", "x"], ["'x' is not a valid integer"]),
        (["run", "--depht", "4"], ["No such option", "--depth", "bench run --help`"]),
        (
            ["doctor", "--socket", "nothing"],
            ["no engine answers at nothing: No such file or directory", "socket of one"],
        ),
        (["rnu"], ["No such command", "--help"]),
        (["run", "surplus"], ["unexpected extra argument (surplus)"]),
        (["run", "--resume", "nothing"], ["no run at results/nothing"]),
        (["report", "nothing"], ["no run at results/nothing"]),
        (["report"], ["no run in results; `python -m bench run` makes one"]),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else None,
)
def test_a_word_that_is_not_known(bench: Bench, arguments: list[str], words: list[str]) -> None:
    with bench.nothing_left():
        line = bench(*arguments).complains()
    for word in words:
        assert word in line


@ROOT_ONLY
@pytest.mark.parametrize("driver", ["overlay2", "overlay", "fuse-overlayfs"])
def test_a_file_system_without_types_in_listings(bench: Bench, driver: str) -> None:
    require(volume="ext4", driver=driver)
    arm = f"{driver}@ext4,mkfs=-O ^filetype"
    with bench.nothing_left(results=True):
        done = bench("ab", "native@ext4", arm, "--scenario", "lookup", "--budget", "30s")
    done.complains(f"{arm} cannot be measured: ", "(d_type)", "-O filetype", alone=False)


@ROOT_ONLY
@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ("ext4,mkfs=-O casefold", ("does not mount", "EXT4-fs (loop")),
        ("ext4,mkfs=-O quota,project", ("does not mount", "EXT4-fs (loop")),
        ("xfs-noreflink,mkfs=-m crc=0", ("does not mount", "XFS (loop")),
        ("xfs,mkfs=-n version=ci", ("does not mount", "XFS (loop")),
        ("xfs,mkfs=-m crc=0", ("mkfs.xfs ", " failed: reflink not supported without CRC support")),
        ("ext4,mkfs=-O no_such", ("mkfs.ext4 ", " failed: Invalid filesystem option set: no_such")),
        ("ext4,mkfs=--no-such", ("mkfs.ext4 ", " failed: mkfs.ext4: invalid option -- '-'")),
    ],
)
def test_a_file_system_that_cannot_be_made_or_mounted(bench: Bench, volume: str, words: tuple[str, ...]) -> None:
    """In one line with the reason of mkfs or, from its log, of the kernel; a kernel that mounts it has an answer."""
    require(volume=volume.partition(",")[0], driver="overlay2")
    with bench.nothing_left(results=True):
        done = bench("ab", "native@ext4", f"native@{volume}", "--scenario", "lookup", "--pairs", "6", "--budget", "30s")
    if done.status in {0, 3} and "does not mount" in words:
        pytest.skip("this kernel mounts it")
    line = done.complains(*words, alone=False)
    assert "Usage" not in line
    assert len(line) < 600


@ROOT_ONLY
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--driver", "overlay2", "--depth", "501"], "overlay2 takes at most 500 layers: depth 501 was asked for"),
        (["--depth", "1,100000000"], "takes at most 500 layers: depth 100000000 was asked for"),
        (["--driver", "vfs", "--depth", "100000000"], "takes at most 500 layers"),
        (["--scenario", "copy_up", "--size", "900TiB"], "nothing to measure: copy_up on "),
        (["--driver", "native"], "nothing to measure"),
        (["--volume", "dir", "--scenario", "lookup", "--driver", "fuse-overlayfs", "--depth", "501"], "at most 500"),
    ],
)
def test_more_than_there_can_be(bench: Bench, arguments: list[str], words: str) -> None:
    require(volume="ext4", driver="fuse-overlayfs")
    with bench.nothing_left():
        bench("run", *arguments).complains(words)


@ROOT_ONLY
def test_a_size_larger_than_the_disk(bench: Bench) -> None:
    """Within what the profile builds, but more than is free where the volumes are made."""

    def work() -> None:
        mounts.mount("none", bench.work, "tmpfs", options="size=64m")
        with bench.nothing_left():
            done = bench("run", "--volume", "ext4", "--scenario", "copy_up", "--size", "64MiB", "--depth", "1")
            done.complains(f"not enough space in {bench.work}: the run needs ", "64 MiB are free; give a --workdir")

    require(volume="ext4")
    isolated(work)


def missing(path: Path) -> None:
    path.rmdir()


def file(path: Path) -> None:
    path.rmdir()
    path.touch()


def link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def others(path: Path) -> None:
    os.chown(path, 12345, 12345)


def open_to_all(path: Path) -> None:
    path.chmod(0o777)


def read_only(path: Path) -> None:
    mounts.mount("none", path, "tmpfs", flags=MS_RDONLY)


def overlay(path: Path) -> None:
    stage = path.with_name("stage")
    stage.mkdir()
    mounts.mount("none", stage, "tmpfs")
    for name in ("lower", "upper", "work"):
        (stage / name).mkdir()
    options = f"lowerdir={stage}/lower,upperdir={stage}/upper,workdir={stage}/work"
    mounts.mount("overlay", path, "overlay", options=options)


@ROOT_ONLY
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (missing, "it does not exist; `mkdir "),
        (file, "it is not a directory; give another with --workdir"),
        (link, "it is a symbolic link; give the directory itself: "),
        (others, "it belongs to user 12345, who could replace files in it"),
        (open_to_all, "everybody may rename and delete everybody's files in it"),
        (read_only, "its file system is mounted read-only"),
        (overlay, "it lies on overlay, as a container's own files do"),
    ],
)
@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_work_directory_that_cannot_be_worked_in(
    bench: Bench, spoil: Callable[[Path], None], why: str, by: str
) -> None:
    def work() -> None:
        spoil(bench.work)
        with bench.nothing_left():
            arguments = ["--workdir", str(bench.work)] if by == "option" else []
            bench("run", *arguments).complains(f"cannot work in {bench.work}: {why}")

    isolated(work)


@ROOT_ONLY
@pytest.mark.parametrize("option", ["--results", "--reports"])
def test_results_that_cannot_be_written(bench: Bench, option: str) -> None:
    require(volume="ext4")
    (bench.place / "taken").touch()
    arguments = ["run", "--volume", "ext4", "--scenario", "limits", "--budget", "5s", option, "taken"]
    with bench.nothing_left(results=True):
        done = bench(*arguments)
    done.complains("Not a directory" if option == "--results" else "cannot write the page to taken", alone=False)


@ROOT_ONLY
def test_two_at_a_time(bench: Bench) -> None:
    require(volume="ext4")
    bench.alone = False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        with suppress(OSError):  # in use: somebody measures here just now, which serves as well
            lock.bind(LOCK_NAME)
        with bench.nothing_left():
            bench("run", "--volume", "ext4").complains("another run is measuring on this machine", "wait for it to end")


def cut(directory: Path) -> None:
    with (directory / "samples.jsonl").open("r+") as opened:
        opened.truncate((directory / "samples.jsonl").stat().st_size // 2)


def edited(directory: Path) -> None:
    text = (directory / "samples.jsonl").read_text()
    (directory / "samples.jsonl").write_text(text.replace('"sequence":1', '"sequence":0', 1))


def not_json(directory: Path) -> None:
    text = (directory / "samples.jsonl").read_text()
    (directory / "samples.jsonl").write_text(text.replace('{"', "{", 1))


def newer(directory: Path) -> None:
    facts = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**facts, "schema": 99}))


def newer_row(directory: Path) -> None:
    text = (directory / "samples.jsonl").read_text()
    (directory / "samples.jsonl").write_text(text.replace(f'"schema":{SCHEMA}', '"schema":99'))


def without_provenance(directory: Path) -> None:
    (directory / "run.json").unlink()


def half_provenance(directory: Path) -> None:
    text = (directory / "run.json").read_text()
    (directory / "run.json").write_text(text[: len(text) // 2])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (edited, "was edited: its sequence numbers do not rise at line 2"),
        (not_json, "line 1 is not JSON"),
        (newer, f"was written by a newer version: schema 99, this version reads up to {SCHEMA}"),
        (newer_row, "line 1 was written by a newer version"),
        (without_provenance, "is not a run: it has no run.json"),
        (half_provenance, "cannot read results/run/run.json"),
    ],
)
@pytest.mark.parametrize("command", [["report"], ["run", "--resume"]], ids=["report", "resume"])
def test_results_that_are_not_as_they_were_written(
    bench: Bench, command: list[str], spoil: Callable[[Path], None], words: str
) -> None:
    write_run(bench.results / "run", [make_sample(number, block=number) for number in range(4)])
    spoil(bench.results / "run")
    before = {path.name: path.read_bytes() for path in (bench.results / "run").iterdir()}
    with bench.nothing_left():
        bench(*command, "run").complains(words)
    assert {path.name: path.read_bytes() for path in (bench.results / "run").iterdir()} == before


def test_a_run_that_is_complete_is_not_resumed(bench: Bench) -> None:
    write_run(bench.results / "run", [make_sample()])
    with bench.nothing_left():
        bench("run", "--resume", "run").complains("run run is complete; start a new one")


def test_a_row_cut_short_is_left_out_and_the_page_is_made(bench: Bench) -> None:
    samples = [make_sample(number, arm, block=number // 2) for number in range(8) for arm in [ARMS[number % 2]]]
    write_run(bench.results / "run", samples)
    cut(bench.results / "run")
    done = bench("report", "run")
    assert (done.status, done.err) == (0, "")
    assert (bench.place / "reports" / "run.html").is_file()


ARMS = ("native@ext4", "overlay2@ext4")


@pytest.mark.parametrize(
    "arguments", [("--scenario", "absent", "--scenario", "lookup"), ("--scenario", "absent,lookup")]
)
def test_a_list_is_given_with_commas_or_again(arguments: tuple[str, ...], bench: Bench) -> None:
    """The last one alone would otherwise be measured, without a word."""
    bench("run", *arguments).complains("absent")
