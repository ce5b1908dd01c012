"""The front door: ./noxw -s bench, image, gate, aa, kernels, report, tests, perf, lint or typecheck.

Each session has an environment of its own below .nox, installed once and again whenever
pyproject.toml changes. What follows `--` goes to the command behind the session:

    ./noxw -s bench -- --profile standard
    ./noxw -s tests -- tests/host -k workdir
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from types import FrameType

ROOT = Path(__file__).resolve().parent
PYPROJECT = ROOT / "pyproject.toml"
STAMP = ".installed"  # in each environment: what it was installed from
WORKERS = 4  # that run tests: with two processors, half of their time is waiting for mounts, devices and daemons
STOP_SECONDS = 60.0  # how long an interrupted command may take to clean up

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "typecheck", "tests"]


def _install(session: nox.Session, *requirements: str, groups: tuple[str, ...] = (), project: bool = True) -> None:
    """Install the project (editable), dependency groups and `requirements`, unless that was done before."""
    wanted = [*nox.project.dependency_groups(nox.project.load_toml(PYPROJECT), *groups), *requirements]
    if project:
        wanted += ["-e", "."]
    if not wanted:
        return
    source = f"{ROOT}\0{wanted}\0".encode() + PYPROJECT.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    stamp = Path(session.virtualenv.location, STAMP)
    if stamp.exists() and stamp.read_text() == digest:
        return
    stamp.unlink(missing_ok=True)
    session.log("installing, once until pyproject.toml changes: a minute or so")
    session.install(*wanted)
    stamp.write_text(digest)


def _bench(session: nox.Session, *arguments: str) -> None:
    """Run `python -m bench`; if it fails, nox ends with exactly its exit status.

    Not session.run: that would turn every failure into status 1, mix standard error into standard
    output, and leave the command behind when nox is told to terminate.
    """
    if "--install-only" in sys.argv:
        return
    session.log(" ".join(["python -m bench", *arguments]))
    environment = {key: value for key, value in {**os.environ, **session.env}.items() if value is not None}
    before = {}
    command = [f"{session.bin}/python", "-m", "bench", *arguments]
    with subprocess.Popen(command, env=environment) as child:

        def forward(number: int, _frame: FrameType | None) -> None:
            child.send_signal(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before[number] = signal.signal(number, forward)
        status = child.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    if status != 0:
        sys.exit(status if status > 0 else 128 - status)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure: add the missing system packages (as root), then `python -m bench run`."""
    _install(session)
    _bench(session, "setup")
    _bench(session, "run", *session.posargs)


@nox.session
def gate(session: nox.Session) -> None:
    """Measure and judge, for CI: `python -m bench gate`."""
    _install(session)
    _bench(session, "setup")
    _bench(session, "gate", *session.posargs)


@nox.session
def aa(session: nox.Session) -> None:
    """Let the suite test its own verdicts: `python -m bench aa`."""
    _install(session, groups=("aa",))
    _bench(session, "setup", "--aa")
    _bench(session, "aa", *session.posargs)


@nox.session
def kernels(session: nox.Session) -> None:
    """Measure on several kernels, in instructions: `python -m bench kernels`."""
    _install(session)
    _bench(session, "setup", "--guests")
    _bench(session, "kernels", *session.posargs)


@nox.session
def image(session: nox.Session) -> None:
    """Tell what the layers of an image cost: `python -m bench image`, with the image after `--`."""
    _install(session)
    _bench(session, "setup")
    _bench(session, "image", *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Make the page of one or more runs: `python -m bench report`."""
    _install(session)
    _bench(session, "report", *session.posargs)


@nox.session
def reference(session: nox.Session) -> None:
    """Make docs/reference.md from the code."""
    _install(session)
    session.run("python", "docs/make_reference.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and layout of the code with ruff, and which room imports which with import-linter."""
    _install(session, groups=("lint",), project=False)
    session.run("ruff", "check", *session.posargs, ".", "noxw")
    session.run("ruff", "format", "--check", ".", "noxw")
    session.run("lint-imports", "--no-logo", "--no-cache")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    _install(session, f"nox=={version('nox')}", groups=("tests", "typecheck"))
    session.run("python", "-m", "mypy", *session.posargs, "-p", "bench", "-p", "scenarios", "-p", "tests")
    session.run("python", "-m", "mypy", *session.posargs, "noxfile.py", "noxw", "docs/make_reference.py")


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, those of tests/perf once each and untimed, in WORKERS processes."""
    _install(session, groups=("tests",))
    session.run("python", "-m", "bench", "setup", "--tests", stderr=None)
    _pytest(session, "--benchmark-disable", f"--numprocesses={WORKERS}", "--dist=loadgroup", *session.posargs)


@nox.session
def perf(session: nox.Session) -> None:
    """Time the harness itself with pytest-benchmark."""
    _install(session, groups=("tests",))
    columns = "--benchmark-columns=min,median,iqr,rounds,iterations"
    _pytest(session, "tests/perf", "--benchmark-only", columns, "--benchmark-sort=name", *session.posargs)


def _pytest(session: nox.Session, *arguments: str) -> None:
    session.run("python", "-m", "pytest", *arguments, stderr=None, interrupt_timeout=STOP_SECONDS)
