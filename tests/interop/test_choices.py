"""What the plugin makes of options, markers and parameters, without making anything; needs no root."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import ROOT
from tests.interop.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Done

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the plugin only skips tests")
AXES = """
import pytest

def test_plain(overlay_container):
    pass

@pytest.mark.layers(driver=["native", "overlay2,metacopy=on"])
def test_marked(overlay_container):
    pass

@pytest.mark.layers(volume="xfs")
class TestIn:
    @pytest.mark.layers(depth=(1, 2))
    def test_both(self, overlay_containers):
        pass

@pytest.mark.parametrize("layer_depth, other", [(4, "a"), (5, "b")])
def test_direct(overlay_container, other):
    pass

@pytest.mark.parametrize(["layer_driver"], [("vfs",)], indirect=True)
def test_indirect(overlay_container):
    pass

def test_without():
    pass
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def collected(session: Session, *arguments: str) -> list[str]:
    done = session("--collect-only", "-q", *arguments)
    assert done.status == 0, done
    return [line.partition("::")[2] for line in done.out.splitlines() if "::" in line]


def test_a_single_choice_leaves_the_names_of_tests(session: Session) -> None:
    session.write(test_axes=AXES)
    always = [
        "test_marked[native]",
        "test_marked[overlay2,metacopy=on]",
        "TestIn::test_both[1]",
        "TestIn::test_both[2]",
    ]
    always += ["test_direct[4-a]", "test_direct[5-b]", "test_indirect[vfs]", "test_without"]
    assert collected(session) == ["test_plain", *always]
    assert collected(session, "--layer-driver", "vfs", "--layer-depth", "3") == ["test_plain", *always]


def test_several_choices_make_a_test_of_each(session: Session) -> None:
    session.write(test_axes=AXES)
    found = collected(session, "--layer-depth=1", "--layer-depth=64", "--layer-driver=native", "--layer-driver=vfs")
    assert found[:4] == ["test_plain[native-1]", "test_plain[native-64]", "test_plain[vfs-1]", "test_plain[vfs-64]"]
    assert [name for name in found if name.startswith("TestIn")] == [
        *("TestIn::test_both[native-1]", "TestIn::test_both[native-2]"),
        *("TestIn::test_both[vfs-1]", "TestIn::test_both[vfs-2]"),
    ]
    assert "test_without" in found
    assert "test_indirect[1-vfs]" in found
    assert sum(name.startswith("test_direct") for name in found) == 4


def refused(done: Done) -> str:
    assert done.status == 4, done
    assert "Traceback" not in done.err
    return [line for line in done.err.splitlines() if re.match(r"ERROR:|.*: error:", line)][-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layer-driver", "overlay22"], "ERROR: unknown driver 'overlay22'; did you mean 'overlay2'?"),
        (["--layer-driver", "overlay2,metacpy=on"], "unknown option of overlay2 'metacpy'; did you mean 'metacopy'?"),
        (
            ["--layer-driver", "overlay2,metacopy=maybe"],
            "overlay2 option metacopy='maybe' is not known; one of: on, off",
        ),
        (["--layer-volume", "ext5"], "ERROR: unknown volume 'ext5'; did you mean 'ext4'?"),
        (["--layer-volume", "dir"], "volume dir is not for containers of tests: what they write in a directory would"),
        (["--layer-depth", "501"], "ERROR: 501 is not a depth of overlay2; give 1 to 500 layers"),
        (["--layer-depth", "0"], "ERROR: 0 is not a depth of overlay2; give 1 to 500 layers"),
        (["--layer-depth", "many"], "argument --layer-depth: 'many' is not a number of layers"),
        (["--layer-space", "much"], "argument --layer-space: 'much' is not a size; write it like"),
        (
            ["--layer-workdir", "/no/such"],
            "cannot work in /no/such: it does not exist; `mkdir /no/such`, or give another",
        ),
    ],
)
def test_an_option_that_names_nothing_is_refused(arguments: list[str], said: str, session: Session) -> None:
    session.write(test_axes=AXES)
    assert said in refused(session(*arguments))


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("driver='overlay22'", "unknown driver 'overlay22'; did you mean 'overlay2'?"),
        ("drivers='vfs'", "unknown argument of marker layers 'drivers'; did you mean 'driver'?"),
        ("'vfs'", "marker layers takes no positional argument; write layers(driver=…, depth=…)"),
        ("volume=[]", "marker layers names no volume: the list is empty"),
        ("depth='8'", "'8' is not a depth of overlay2; give 1 to 500 layers"),
        ("depth=True", "True is not a depth of overlay2"),
        ("driver=7", "driver 7 is not a name; write it like driver="),
    ],
)
def test_a_marker_that_names_nothing_is_refused(marker: str, said: str, session: Session) -> None:
    code = f"import pytest\n@pytest.mark.layers({marker})\ndef test_it(overlay_container):\n    pass\n"
    session.write(test_marker=code)
    assert f"test_marker.py::test_it: {said}" in refused(session())


PARAMETER = """
import pytest

@pytest.mark.parametrize("layer_driver", ["nativ"])
def test_it(overlay_container):
    pass
"""


def test_a_parameter_that_names_nothing_is_refused(session: Session) -> None:
    session.write(test_parameter=PARAMETER)
    said = "test_parameter.py::test_it[nativ]: unknown driver 'nativ'; did you mean 'native'?"
    assert said in refused(session())


IDLE = """
import os
import sys

OURS = {"bench", "scenarios", "numpy", "pandas", "scipy"}

def test_idle():
    assert {name for name in sys.modules if name.partition(".")[0] in OURS} == {
        "bench", "bench.containers", "bench.containers.requested", "bench.pytest_plugin"
    }
    assert os.readlink("/proc/self/ns/mnt") == os.readlink(f"/proc/{os.getppid()}/ns/mnt")
"""


def test_a_session_without_containers_is_left_alone(session: Session) -> None:
    session.write(test_idle=IDLE, conftest="")
    done = session("-p", "no:benchmark", "-p", "no:hypothesispytest")
    assert done.status == 0, done.out
    assert not list(session.home.glob("tmp/layers*"))


def test_the_plugin_is_loaded_without_pytest_benchmark(session: Session) -> None:
    session.write(test_axes=AXES)
    assert "test_plain" in collected(session, "-p", "no:benchmark")


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys, bench.pytest_plugin; print(*sorted(name for name in sys.modules if name.startswith('bench')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["bench", "bench.containers", "bench.containers.requested", "bench.pytest_plugin"]
