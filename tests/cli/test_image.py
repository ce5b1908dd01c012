"""The command image, as a user gives it: what it says of an image, and of what is none."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from bench.image import blobs
from bench.store.reader import load
from tests.image.archives import docker, pack
from tests.image.built import busybox
from tests.layers.archives import DIRECTORY, Given, crafted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Bench

OWNER: dict[str, Any] = {"uid": 7, "data": b"x" * 5000}


@pytest.fixture(autouse=True)
def little_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "RESERVE", 1 << 20)


def image(place: Path, *layers: list[Given], name: str = "app.tar") -> str:
    """Write an image with these layers over one of fifty files and a program."""
    below: list[Given] = [("d", DIRECTORY), *((f"d/{number}", {"data": b"x" * 5000}) for number in range(50))]
    content = [crafted(*below, *busybox()), *(crafted(*members) for members in layers)]
    return str(pack(docker([layer.getvalue() for layer in content]), place / name))


CHOWN: list[Given] = [("d", DIRECTORY), *((f"d/{number}", OWNER) for number in range(20))]
REMOVED: list[Given] = [("d", DIRECTORY), *((f"d/.wh.{number}", {}) for number in range(20, 25))]
MORE: list[Given] = [("e", DIRECTORY), ("e/new", {"data": b"y" * 9})]


@pytest.mark.root
def test_an_image_is_counted_and_measured(bench: Bench) -> None:
    path = image(bench.place, CHOWN, REMOVED, MORE)
    done = bench("image", path, "--volume", "ext4", "--budget", "7s", "--json")
    assert done.status == 0, done.err
    said = json.loads(done.out)
    assert said["image"]["hidden_bytes"] == 25 * 5000
    assert said["image"]["copied_bytes"] == 20 * 5000
    assert [layer["hides"] for layer in said["layers"]] == [0, 100_000, 25_000, 0]
    costs = {(cost["operation"], cost["temperature"], cost["against"]) for cost in said["costs"]}
    assert {operation for operation, *_ in costs} == {"mount", "lookup", "list", "write"}
    assert {against for *_, against in costs} == {"squashed", "halved"}
    assert any(cost["as_built_ns"] for cost in said["costs"])
    run = load(bench.results / said["run"])
    assert (run.units["error"] == "").all()
    assert set(run.units["layering"]) == {"as built", "squashed", "halved"}
    page = (bench.place / said["page"]).read_text()
    assert "What do the layers of app:1 cost?" in page
    again = bench("report", said["run"], "--json")
    assert json.loads(again.out)["layers"] == said["layers"]


@pytest.mark.root
def test_a_command_of_the_image_is_timed(bench: Bench) -> None:
    path = image(bench.place, MORE)
    command = "/busybox sh -c '/busybox cat /e/new && test $$ = 1 && ! test -e /d/../../etc/debian_version'"
    done = bench("image", path, "--run", command, "--volume", "ext4", "--budget", "5s", "--json")
    assert done.status == 0, done.err
    said = json.loads(done.out)
    assert {cost["operation"] for cost in said["costs"]} == {"mount", "run"}
    [cost, *_] = [cost for cost in said["costs"] if cost["operation"] == "run" and cost["temperature"] != "cold"]
    assert cost["as_built_ns"][0] > 100_000


@pytest.mark.root
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/busybox false", "the command ended with status 1"),
        ("/busybox sh -c 'echo $PPID $RANDOM$RANDOM$RANDOM'", "the command wrote what it wrote the first time"),
        ("/absent", "the command cannot be executed"),
        ("/busybox mount -t tmpfs none /d", "the command ended with status 1"),
        ("/busybox mknod /d/null c 1 3", "the command ended with status 1"),
    ],
)
def test_a_command_that_fails_is_an_error_that_is_shown(bench: Bench, command: str, reason: str) -> None:
    done = bench("image", image(bench.place, MORE), "--run", command, "--volume", "ext4", "--budget", "4s")
    assert done.status == 2
    assert reason in done.out
    assert "units failed" in done.err


@pytest.mark.root
def test_a_start_is_measured_by_its_paths(bench: Bench) -> None:
    path, start = image(bench.place, MORE), bench.place / "start.txt"
    start.write_text("# a start\n/d/1\nr /e/new\nw d/2\nd/absent\n")
    done = bench("image", path, "--paths", str(start), "--volume", "ext4", "--budget", "5s", "--json")
    assert done.status == 0, done.err
    assert {cost["operation"] for cost in json.loads(done.out)["costs"]} == {"mount", "start"}


@pytest.mark.root
def test_an_image_is_compared_with_another(bench: Bench) -> None:
    one = image(bench.place, *[[(f"d/{number}", {"data": b"z"})] for number in range(12)])
    other = image(bench.place, MORE, name="other.tar")
    done = bench("image", one, "--against", other, "--volume", "ext4", "--budget", "5s", "--json")
    assert done.status == 0, done.err
    assert "the other image" in {cost["against"] for cost in json.loads(done.out)["costs"]}


def test_an_image_without_any_of_it_is_told_so(bench: Bench) -> None:
    root = bench.place / "rootfs"
    (root / "d").mkdir(parents=True)
    (root / "d/a").write_text("a")
    done = bench("image", str(root), "--budget", "4s", *(() if os.geteuid() else ("--volume", "ext4")))
    assert done.status == 0, done.err
    assert "No layer hides bytes of another: squashing would ship as much." in done.out
    assert "rootfs (directory): 1 layer, 1 file and 1 directory" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.tar"], ["no image absent.tar; give an archive, a directory, or docker:NAME with --socket"]),
        (["docker:app:1"], ["no engine is asked unless its socket is named; give --socket"]),
        (["docker:app:1", "--socket", "nothing"], ["no engine answers at nothing"]),
        (["app.tar", "--limit", "x"], ["'x' is not a size"]),
        (["app.tar", "--limit", "1KiB"], ["is too large: uncompressed it has more than 1 KiB; give a larger --limit"]),
        (["app.tar", "--image", "other:1"], ["the archive has no image 'other:1'; app:1"]),
        (["app.tar", "--volume", "ext5"], ["unknown volume 'ext5'"]),
        (["app.tar", "--driver", "overlay22"], ["unknown driver 'overlay22'"]),
        (["app.tar", "--run", ""], ["--run names no command"]),
        (["app.tar", "--run", "'"], ["is no command: No closing quotation"]),
        (["app.tar", "--paths", "absent"], ["cannot read absent"]),
        (["app.tar", "--paths", "empty"], ["empty has no path"]),
        (["app.tar", "--paths", "wrong"], ["the image has no file 'nothing'", "leave it out"]),
        (["app.tar", "--delta", "-1"], ["delta"]),
        (["empty"], ["the image's archive is damaged"]),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_one_line(bench: Bench, arguments: list[str], words: list[str]) -> None:
    image(bench.place, MORE)
    (bench.place / "empty").write_text("")
    (bench.place / "wrong").write_text("r nothing\n")
    bench("image", *arguments).complains(*words)
    assert not bench.results.exists()


def test_a_run_says_that_an_image_needs_its_own_command(bench: Bench) -> None:
    bench("run", "--scenario", "image").complains(
        "scenario image needs more than a run; see `python -m bench image --help`"
    )
