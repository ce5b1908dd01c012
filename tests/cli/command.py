"""Run `python -m bench` as a user does, and look at what it leaves."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bench.cli import main
from bench.commands import options
from bench.kernel import libc
from tests.apart import CLONE_NEWNET
from tests.integration.traces import MARK, Traces, left

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ROOT", "Bench", "Done"]

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0  # seconds after which a command hangs


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    def complains(self, *words: str, alone: bool = True) -> str:
        """Check that it is one clear line and exit status 2; with `alone`, that nothing else was said."""
        lines = [line for line in self.err.splitlines() if line.startswith("bench: ")]
        if not alone:  # a run says first what this machine lacks
            lines = [line for line in lines if not line.startswith("bench: without ")]
        assert "Traceback" not in self.err, self.err
        assert self.status == 2, self
        assert len(lines) == 1, self.err
        if alone:
            assert self.err == f"{lines[0]}\n"
            assert self.out == ""
        for word in words:
            assert word in lines[0]
        return lines[0]


def _ended(child: int) -> int:
    """Wait for a child and return its exit status as subprocess has it; raises TimeoutError if it hangs."""
    ended = os.pidfd_open(child)
    try:
        if not select.select([ended], [], [], TIMEOUT)[0]:
            raise TimeoutError(f"it runs for more than {TIMEOUT:g} s")
    finally:
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@dataclass
class Bench:
    """Commands below one directory: its `work` is their work directory, unless they are told another.

    As root each runs in a network namespace of its own, because the lock that keeps two runs apart is
    of the namespace, and others may measure on this machine while its tests run.
    """

    place: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    environment: dict[str, str] = field(default_factory=dict)
    alone: bool = True
    sessions: list[int] = field(default_factory=list)  # of commands that were forks

    def __post_init__(self) -> None:
        self.work = self.place / "work"
        self.work.mkdir()
        self.results = self.place / "results"

    def command(self, *arguments: str, code: str = "") -> list[str]:
        """Return the argument list; `code` runs first in the same process, to break something."""
        program = ["-c", f"{code}\nfrom bench.cli import main\nmain()"] if code else ["-m", "bench"]
        apart = ["unshare", "--net"] if self.alone and os.geteuid() == 0 else []
        return [*apart, sys.executable, *program, *arguments]

    def variables(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BENCH_WORKDIR": str(self.work),
            MARK: self.mark,
            **self.environment,
        }

    def start(self, *arguments: str, code: str = "", stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments, code=code),
            env=self.variables(),
            cwd=self.place,
            stdout=stdout,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: str, code: str = "") -> Done:
        """Run a command to its end, where that is the same in a fork of this process, which has all imported."""
        if type(self) is Bench and not code and not self.environment:
            return self._forked(arguments)
        with self.start(*arguments, code=code) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT)
            except BaseException:  # it hangs, or the tests are stopped: it is not waited for
                process.kill()
                raise
        return Done(process.returncode, out, err)

    def _forked(self, arguments: Sequence[str]) -> Done:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                self._become(arguments, out.fileno(), err.fileno())
            self.sessions.append(child)
            try:
                status = _ended(child)
            except BaseException:  # it hangs, or the tests are stopped: it is not waited for
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise
            out.seek(0)
            err.seek(0)
            return Done(status, out.read(), err.read())

    def _become(self, arguments: Sequence[str], out: int, err: int) -> NoReturn:
        """Do in a forked child what `python -m bench` does in a process of its own; never return."""
        status = 1
        try:
            os.setsid()
            for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
                os.dup2(descriptor, number)
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
            os.chdir(self.place)
            os.environ.update(self.variables())
            if self.alone and os.geteuid() == 0:
                libc.call("unshare", CLONE_NEWNET)
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            sys.argv = ["bench", *arguments]
            options.STARTED = time.monotonic()
            main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(status)

    def traces(self) -> Traces:
        return Traces.of(self.work, self.mark, self.sessions)

    @contextmanager
    def nothing_left(self, *, results: bool = False) -> Iterator[None]:
        """Check that what happens meanwhile leaves nothing; with `results`, that no run is kept either."""
        before = self.traces()
        kept = sorted(self.place.iterdir())
        yield
        more = left(self.work, self.mark, before, sessions=self.sessions)
        assert not more, more
        if not results:
            assert sorted(self.place.iterdir()) == kept

    def runs(self) -> list[Path]:
        return sorted(self.results.iterdir()) if self.results.exists() else []
