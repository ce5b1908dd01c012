"""Run `python -m bench` as a user does, and look at what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.traces import MARK, Traces, left

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        with self.start(*arguments, code=code) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT)
            except BaseException:  # it hangs, or the tests are stopped: it is not waited for
                process.kill()
                raise
        return Done(process.returncode, out, err)

    def traces(self) -> Traces:
        return Traces.of(self.work, self.mark)

    @contextmanager
    def nothing_left(self, *, results: bool = False) -> Iterator[None]:
        """Check that what happens meanwhile leaves nothing; with `results`, that no run is kept either."""
        before = self.traces()
        kept = sorted(self.place.iterdir())
        yield
        more = left(self.work, self.mark, before)
        assert not more, more
        if not results:
            assert sorted(self.place.iterdir()) == kept

    def runs(self) -> list[Path]:
        return sorted(self.results.iterdir()) if self.results.exists() else []
