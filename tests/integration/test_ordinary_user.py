"""Without root: the kernel's overlayfs in a user namespace, on the directory that was given."""

from __future__ import annotations

import os
import signal
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.store.reader import load
from tests.cli.command import TIMEOUT, Done
from tests.cli.waiting import rows
from tests.image.archives import docker, pack
from tests.integration.nobody import Nobody, readable_checkout
from tests.integration.traces import processes
from tests.layers.archives import DIRECTORY, Given, crafted, hard

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.xdist_group("nobody")]  # who has one /tmp
RUN = ["run", "--scenario", "lookup,whiteouts", "--depth", "1,2", "--budget", "4s"]
GONE_WITHIN = 30.0  # a directory that another command made for itself
START_SECONDS = 30.0  # within which a run has its first row


@pytest.fixture(scope="module")
def code() -> Iterator[Path]:
    with readable_checkout() as path:
        yield path


@pytest.fixture
def nobody(place: Path, code: Path) -> Nobody:
    return Nobody(place, code)


def measured(nobody: Nobody, *arguments: str) -> Done:
    done = nobody(*RUN, *arguments)
    if "cannot make a private namespace" in done.err:
        pytest.skip(f"no user namespaces here: {done.err.strip()}")
    return done


def started(nobody: Nobody) -> subprocess.Popen[str]:
    """Start a run and wait for its first row."""
    process = nobody.start(*RUN, "--budget", "5m")
    end = time.monotonic() + START_SECONDS
    while not rows(nobody):
        if process.poll() is not None:
            said = process.communicate()[1]
            assert "cannot make a private namespace" in said, said
            pytest.skip(f"no user namespaces here: {said.strip()}")
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


def test_an_image_is_measured_with_what_he_may_build(nobody: Nobody) -> None:
    """Owners, devices and attributes of the system are left out, and that is said."""
    device: dict[str, Any] = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}
    below: list[Given] = [
        ("d", DIRECTORY),
        ("d/a", {"data": b"a", "uid": 7}),
        ("null", device),
        ("other", hard("null")),
    ]
    layers = [crafted(*below).getvalue(), crafted(("d", DIRECTORY), ("d/.wh.a", {}), ("d/b", {})).getvalue()]
    image = pack(docker(layers), nobody.place / "app.tar")
    image.chmod(0o644)
    with nobody.nothing_left(results=True):
        done = nobody("image", str(image), "--budget", "5s")
    if "cannot make a private namespace" in done.err:
        pytest.skip(f"no user namespaces here: {done.err.strip()}")
    assert done.status == 0, done
    assert "as an ordinary user: built without owners, devices and attributes of the system" in done.out
    assert "hidden by later layers: 1 B in 1 files" in done.out
    nobody("image", str(image), "--run", "true").complains("--run needs root")


def test_overlay2_and_native_are_measured_on_his_directory(nobody: Nobody) -> None:
    with nobody.nothing_left(results=True):
        done = measured(nobody)
    assert done.status == 0, done
    complaints = [line for line in done.err.splitlines() if line.startswith("bench: ")]
    assert complaints
    assert all(line.startswith("bench: without ") and line.endswith("; run as root") for line in complaints), complaints
    assert any("volume ext4" in line for line in complaints)
    [directory] = nobody.runs()
    run = load(directory)
    assert run.whole["complete"] is True
    assert run.whole["request"]["rootless"] is True
    assert {"overlay2@dir", "native@dir"} <= set(run.units["arm"])
    assert list(run.units["error"].unique()) == [""]
    assert list(run.units["mismatches"].unique()) == [""]
    overlay2 = run.units[run.units["driver"] == "overlay2"]
    assert all("userxattr" in how["options"] for how in overlay2["how"])
    assert (directory / "samples.jsonl").stat().st_uid == nobody.user
    assert list(nobody.work.iterdir()) == []
    told = {skip["what"]: skip["fix"] for skip in run.whole["skips"]}
    for what in ("volume ext4", "volume xfs", "volume xfs-noreflink", "lookup: cold cells"):
        assert told[what] == "run as root"
    [page] = (nobody.home / "reports").iterdir()
    assert "run as root" in page.read_text(encoding="utf-8")


def test_doctor_says_what_root_would_add(nobody: Nobody) -> None:
    done = nobody("doctor")
    assert done.status == 0, done
    lines = [line for line in done.out.splitlines() if line.startswith("no")]
    assert any("ext4" in line and "root" in line for line in lines)
    assert any("xfs" in line and "root" in line for line in lines)


def test_a_volume_that_needs_root_is_refused(nobody: Nobody) -> None:
    with nobody.nothing_left():
        done = nobody("run", "--volume", "ext4")
    done.complains("volume ext4 cannot be made here: loop devices and mounts need root; run as root to add ext4")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_readable_run_and_no_file(nobody: Nobody, number: signal.Signals) -> None:
    with nobody.nothing_left(results=True):
        process = started(nobody)
        process.send_signal(number)
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number, err
    [directory] = nobody.runs()
    assert load(directory).whole["complete"] is False


def test_what_a_kill_left_is_cleaned(nobody: Nobody) -> None:
    """Here the stacks lie in his directory itself, so SIGKILL leaves them; `clean` removes them."""
    process = started(nobody)
    process.kill()
    process.communicate(timeout=TIMEOUT)
    end = time.monotonic() + START_SECONDS
    while processes(nobody.mark):
        assert time.monotonic() < end
        time.sleep(0.05)
    [left] = nobody.work.iterdir()
    assert left.name.startswith("bench-work-")
    told = nobody("clean", "--dry-run")
    assert (told.status, told.err) == (0, "")
    assert f"would remove: directory {left}" in told.out
    assert left.exists()
    done = nobody("clean")
    assert (done.status, done.err) == (0, ""), done
    assert f"removed: directory {left}" in done.out
    assert list(nobody.work.iterdir()) == []
    assert "bench-work-" not in nobody("clean").out  # other runs of this moment may be told of


def test_he_compares_two_arms(nobody: Nobody) -> None:
    with nobody.nothing_left(results=True):
        done = nobody("ab", "native@dir", "overlay2@dir", "--scenario", "whiteouts", "--pairs", "12", "--budget", "12s")
    assert done.status in {0, 3}, done
    assert "whiteouts unlink: overlay2@dir against native@dir" in done.out
    [run] = nobody.runs()
    units = load(run).units
    assert set(units["side"]) == {"a", "b", "control a", "control b"}
    assert (units["error"] == "").all()


def test_he_is_told_what_he_cannot_compare(nobody: Nobody) -> None:
    done = nobody("ab", "overlay2@ext4", "native@ext4")
    done.complains("arm overlay2@ext4 cannot run here")


def test_looking_for_engines_leaves_nothing_in_the_directory_for_temporary_files(nobody: Nobody) -> None:
    """Podman makes directories there, even to tell its version."""

    def his() -> set[str]:
        return {entry.name for entry in os.scandir("/tmp") if entry.stat(follow_symlinks=False).st_uid == nobody.user}

    before = his()
    done = nobody("doctor", "--json")
    assert done.status == 0, done
    assert '"podman"' in done.out
    new = his() - before
    end = time.monotonic() + GONE_WITHIN
    while new & his() and time.monotonic() < end:  # another test's command may be looking for engines
        time.sleep(0.1)
    assert not new & his()


def test_a_long_work_directory_and_a_deep_image(nobody: Nobody) -> None:
    """Paths are longer than one string of fsconfig may be."""
    deep = nobody.work / "/".join(["w" * 100] * 2)
    deep.mkdir(parents=True)
    os.chown(deep, nobody.user, nobody.group)
    done = nobody("run", "--scenario", "lookup", "--depth", "500", "--budget", "8s", "--workdir", str(deep))
    if "cannot make a private namespace" in done.err:
        pytest.skip(f"no user namespaces here: {done.err.strip()}")
    assert done.status == 0, done
    [directory] = nobody.runs()
    units = load(directory).units
    mine = units[units["driver"] == "overlay2"]
    assert len(mine)
    assert (mine["error"] == "").all()
    assert all("lowerdir×500" in how["options"] for how in mine["how"])
    assert os.listdir(deep) == []
