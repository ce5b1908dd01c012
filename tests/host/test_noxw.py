"""noxw on machines that lack something: one clear line and status 2; and once set up, at once nox."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

NOXW = Path(__file__).parents[2] / "noxw"
# As Debian without python3-venv, whose python3 has no ensurepip.
WITHOUT_ENSUREPIP = "import sys\nsys.modules['ensurepip'] = None\n"
FAKE_NOX = "import sys\nprint('fake nox', *sys.argv[1:])\nsys.exit(7)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with noxw alone, a place for programs, and one for Python modules."""
    for name in ("project", "bin", "site", "wheels"):
        (tmp_path / name).mkdir()
    shutil.copy(NOXW, tmp_path / "project" / "noxw")
    return tmp_path


def noxw(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "BENCH_", "PYTHON"))}
    environment = {
        **kept,
        "PATH": f"{root}/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{root}/site",
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_FIND_LINKS": f"{root}/wheels",
        **variables,
    }
    command = [sys.executable, str(root / "project" / "noxw"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of a refusal; before it only lines of noxw's own may stand."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(line.startswith("noxw: ") for line in lines), done.stderr
    return lines[-1]


def add_wheel(root: Path, version: str = "2026.1.1") -> None:
    """A nox that only says how it was called."""
    info = f"nox-{version}.dist-info"
    with zipfile.ZipFile(root / "wheels" / f"nox-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nox/__init__.py", "")
        wheel.writestr("nox/__main__.py", FAKE_NOX)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: nox\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def add_apt(root: Path, status: int) -> Path:
    calls = root / "calls"
    script = root / "bin" / "apt-get"
    script.write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho "E: Unable to locate package"\nexit {status}\n')
    script.chmod(0o755)
    return calls


def test_missing_venv_with_installing_turned_off(project: Path) -> None:
    (project / "site" / "sitecustomize.py").write_text(WITHOUT_ENSUREPIP)
    calls = add_apt(project, 0)
    done = noxw(project, "-s", "bench", BENCH_NO_INSTALL="1")
    line = refusal(done)
    package = f"python3.{sys.version_info[1]}-venv"
    assert "its ensurepip is missing and BENCH_NO_INSTALL is set" in line
    assert f"as root: apt-get install --yes --no-install-recommends {package}" in line
    assert len(done.stderr.splitlines()) == 1
    assert not calls.exists()
    assert not (project / "project" / ".venv").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user")
def test_missing_venv_for_an_ordinary_user(project: Path) -> None:
    (project / "site" / "sitecustomize.py").write_text(WITHOUT_ENSUREPIP)
    add_apt(project, 0)
    assert "; as root: apt-get install" in refusal(noxw(project))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="apt-get is only called as root")
@pytest.mark.parametrize(
    ("status", "words"), [(100, ": E: Unable to locate package"), (0, "-venv is installed, but still ")]
)
def test_root_installs_it_and_says_why(project: Path, status: int, words: str) -> None:
    (project / "site" / "sitecustomize.py").write_text(WITHOUT_ENSUREPIP)
    calls = add_apt(project, status)
    done = noxw(project)
    assert words in refusal(done)
    package = f"python3.{sys.version_info[1]}-venv"
    assert f"noxw: installing {package}, because " in done.stderr
    assert calls.read_text().splitlines()[-1].endswith(package)


def test_no_network(project: Path) -> None:
    done = noxw(project)
    line = refusal(done)
    assert "cannot install nox; is there a network?: ERROR: No matching distribution found for nox" in line
    assert "Looking in links" not in done.stderr
    assert "Looking in links" in (project / "project" / ".venv" / "pip.log").read_text()


def test_set_up_then_at_once(project: Path) -> None:
    add_wheel(project)
    first = noxw(project, "-s", "bench", "--", "--profile", "quick")
    assert (first.returncode, first.stdout) == (7, "fake nox -s bench -- --profile quick\n")
    assert "noxw: making " in first.stderr

    shutil.rmtree(project / "wheels")  # nothing to install from any more
    second = noxw(project, "--list")
    assert (second.returncode, second.stdout, second.stderr) == (7, "fake nox --list\n", "")


@pytest.fixture
def loaded(project: Path) -> Any:
    """The noxw of `project` as a module."""
    loader = SourceFileLoader("noxw", str(project / "project" / "noxw"))
    module = module_from_spec(spec_from_loader("noxw", loader) or pytest.fail("no spec"))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("mark", [None, "not complete\n", "nox<1\n"])
def test_a_half_made_environment_is_removed(loaded: Any, mark: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    (loaded.VENV / "bin").mkdir(parents=True)
    (loaded.VENV / "pyvenv.cfg").write_text("home = /usr/bin\n")
    if mark is not None:
        loaded.MARK.write_text(mark)
    assert not loaded.ready()
    assert loaded.clear() is False
    assert not loaded.VENV.exists()
    assert "is broken or half made: making it again" in capfd.readouterr().err


def test_an_environment_whose_python_has_gone_is_not_ready(loaded: Any) -> None:
    (loaded.VENV / "bin").mkdir(parents=True)
    loaded.MARK.write_text(f"{loaded.NOX}\n")
    loaded.PYTHON.symlink_to("/nonexistent/python3")
    assert not loaded.ready()
    loaded.PYTHON.unlink()
    loaded.PYTHON.symlink_to("/bin/false")  # stands for a Python that has no nox any more
    assert not loaded.ready()


def test_an_environment_of_the_users_own_stays(loaded: Any) -> None:
    (loaded.VENV / "bin").mkdir(parents=True)
    (loaded.VENV / "pyvenv.cfg").write_text("home = /usr/bin\n")
    loaded.PYTHON.symlink_to("/bin/true")  # stands for a Python that has pip
    assert not loaded.ready()
    assert loaded.clear() is True
    assert loaded.PYTHON.exists()


def test_what_is_no_environment_is_left_alone(project: Path) -> None:
    venv = project / "project" / ".venv"
    venv.mkdir()
    (venv / "precious").touch()
    assert "is in the way: not a virtual environment; move it" in refusal(noxw(project))
    assert (venv / "precious").exists()
    shutil.rmtree(venv)
    venv.write_text("")
    assert "is in the way: not a directory; move it" in refusal(noxw(project))


def test_old_python(project: Path) -> None:
    (project / "site" / "sitecustomize.py").write_text("import sys\nsys.version_info = (3, 9, 0)\n")
    assert "needs Python 3.11 or later" in refusal(noxw(project))
